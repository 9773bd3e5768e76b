"""The contract on the stand-in of PowerDNS, and a PowerDNS that misbehaves: no fault passes for an answer."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from onboarding.provisioning import backends
from onboarding.provisioning.backends import calls
from onboarding.provisioning.backends.powerdns import PowerDns
from onboarding.provisioning.backends.protocols import Dns, Owned, Record
from onboarding.provisioning.errors import Outcome, Refused, Unavailable
from tests.provisioning.contracts.dns import DOMAIN, OURS, PARENT, DnsContract, refusal
from tests.standins.powerdns import KEY, PowerDnsStandIn

MX = Record(DOMAIN, "MX", ("10 a.example.",))


@pytest.fixture
def server(settings: Settings) -> Iterator[PowerDnsStandIn]:
    settings.DNS_NAME_SERVERS = ["ns1.suite.example", "ns2.suite.example"]
    standin = PowerDnsStandIn()
    with standin.running():
        settings.POWERDNS_URL, settings.POWERDNS_API_KEY = standin.url, KEY
        made = {"name": f"{PARENT}.", "nameservers": ["ns1.suite.example."]}
        standin.answer("POST", ["api", "v1", "servers", "localhost", "zones"], {}, made)
        yield standin


@pytest.fixture
def dns(server: PowerDnsStandIn) -> Dns:
    del server
    return PowerDns()


class TestPowerDnsStandIn(DnsContract):
    """The contract, on the stand-in."""


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            ("500", "server_error"),
            ("503", "server_error"),
            ("429", "busy"),
            ("401", "denied"),
            ("403", "denied"),
            ("302", "redirected"),
            ("drop", "unreachable"),
            ("garbage", "garbage"),
            ("other", "other_answer"),
        ],
    )
    def test_each_is_unavailable_with_its_own_code(
        self, dns: Dns, server: PowerDnsStandIn, fault: str, code: str
    ) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        server.faults = [("GET", fault)]
        with pytest.raises(Unavailable) as unavailable:
            dns.records(DOMAIN)
        assert unavailable.value.code == code
        assert KEY not in unavailable.value.note
        assert dns.records(DOMAIN) == ()

    def test_silence_ends(self, dns: Dns, server: PowerDnsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "READ_SECONDS", 0.3)
        dns.ensure_zone(DOMAIN, owner=OURS)
        server.faults = [("GET", "hang")]
        with pytest.raises(Unavailable) as unavailable:
            PowerDns().records(DOMAIN)
        assert unavailable.value.code == "timeout"

    def test_an_answer_without_end_is_cut(self, dns: Dns, server: PowerDnsStandIn) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        server.faults = [("GET", "endless")]
        with pytest.raises(Unavailable) as unavailable:
            dns.zones().__next__()
        assert unavailable.value.code == "too_long"

    @pytest.mark.parametrize("fault", ["500", "drop", "drop_after", "garbage", "lie"])
    def test_whatever_happens_to_a_change_the_same_call_ends_it_once(
        self, dns: Dns, server: PowerDnsStandIn, fault: str
    ) -> None:
        steps: list[tuple[str, Callable[[], None]]] = [
            ("POST", lambda: dns.ensure_zone(DOMAIN, owner=OURS)),
            ("POST", lambda: dns.ensure_signed(DOMAIN)),
            ("PATCH", lambda: dns.ensure_records(DOMAIN, [MX], owner=OURS)),
            ("PATCH", lambda: dns.ensure_delegated(PARENT, DOMAIN, dns.delegation(DOMAIN), owner=OURS)),
        ]
        for method, step in steps:
            server.faults = [(method, fault)]
            for _ in range(3):
                try:
                    step()
                except Unavailable:
                    continue
                break
            else:
                raise AssertionError(method)
            server.faults.clear()
        assert dns.records(DOMAIN) == (MX,)
        assert len(dns.delegation(DOMAIN).ds) == 1
        assert Record(DOMAIN, "DS", dns.delegation(DOMAIN).ds) in dns.records(PARENT)
        assert [each for each in dns.zones() if each.name == DOMAIN] == [Owned(DOMAIN, OURS)]

    @pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
    def test_a_server_that_says_done_and_is_not_is_not_believed(
        self, dns: Dns, server: PowerDnsStandIn, method: str
    ) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        server.faults = [(method, "lie")]
        with pytest.raises(Unavailable) as liar:
            {
                "POST": lambda: dns.ensure_zone(f"autre.{PARENT}", owner=OURS),
                "PATCH": lambda: dns.ensure_records(DOMAIN, [MX], owner=OURS),
                "DELETE": lambda: dns.ensure_no_zone(DOMAIN, owner=OURS),
            }[method]()
        assert liar.value.code == "not_done"

    def test_a_zone_without_our_mark_is_not_taken_nor_emptied(self, dns: Dns, server: PowerDnsStandIn) -> None:
        for call in (dns.ensure_zone, dns.ensure_no_zone):
            assert refusal(call, PARENT, owner=OURS) == "conflict"
        assert Owned(PARENT, None) in set(dns.zones())
        assert f"{PARENT}." in server.zones

    def test_a_set_made_by_hand_stays(self, dns: Dns, server: PowerDnsStandIn) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        by_hand = {
            "name": f"{DOMAIN}.",
            "type": "MX",
            "ttl": 60,
            "records": [{"content": "1 x.fr.", "disabled": False}],
        }
        server.zones[f"{DOMAIN}."]["sets"][f"{DOMAIN}.", "MX"] = {**by_hand, "comments": []}
        assert refusal(dns.ensure_records, DOMAIN, [MX], owner=OURS) == "conflict"
        assert refusal(dns.ensure_absent, DOMAIN, [(DOMAIN, "MX")], owner=OURS) == "conflict"
        assert dns.records(DOMAIN) == (Record(DOMAIN, "MX", ("1 x.fr.",), ttl=60),)

    def test_what_the_server_refuses_is_said_in_its_words_and_short(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_records(DOMAIN, [MX], owner=OURS)
        with pytest.raises(Refused) as refused:
            dns.ensure_records(DOMAIN, [Record(DOMAIN, "CNAME", ("x.example.",))], owner=OURS)
        assert refused.value.code == "invalid"
        assert "Conflicts with pre-existing RRset" in refused.value.note

    def test_the_mark_of_a_real_organization_fits_and_comes_back(self, dns: Dns, server: PowerDnsStandIn) -> None:
        owner = "organization:0b8d2e5c-8e0e-4a86-b83d-61ff3ef7e2a5"
        dns.ensure_zone(DOMAIN, owner=owner)
        assert len(server.zones[f"{DOMAIN}."]["account"]) <= 40
        assert Owned(DOMAIN, owner) in set(dns.zones())
        with pytest.raises(Refused):
            dns.ensure_zone(f"b.{PARENT}", owner="organization:" + "x" * 40)

    def test_parents_are_rectified_in_batches_and_none_is_forgotten(
        self, dns: PowerDns, server: PowerDnsStandIn
    ) -> None:
        assert not dns.rectify_changed(PARENT)  # not signed
        server.zones[f"{PARENT}."]["keys"] = [{"id": 1, "active": True, "ds": ["1 13 2 " + "ab" * 32]}]
        for number in range(3):
            dns.ensure_delegated(PARENT, f"c{number}.{PARENT}", dns.delegation(PARENT), owner=OURS)
        assert dns.rectify_changed(PARENT)
        assert not dns.rectify_changed(PARENT)
        dns.ensure_undelegated(PARENT, f"c1.{PARENT}", owner=OURS)
        server.faults = [("PUT", "500")]
        with pytest.raises(Outcome):
            dns.rectify_changed(PARENT)
        assert dns.rectify_changed(PARENT)
        assert server.rectified == [f"{PARENT}."] * 2

    @pytest.mark.django_db
    def test_the_beat_finds_the_server_down_and_comes_back(self, settings: Settings, server: PowerDnsStandIn) -> None:
        settings.BACKENDS = {**settings.BACKENDS, "dns": "onboarding.provisioning.backends.powerdns.PowerDns"}
        backends.renew()
        server.zones[f"{PARENT}."]["keys"] = [{"id": 1, "active": True, "ds": []}]
        server.zones[f"{PARENT}."]["serial"] += 7
        server.faults = [("GET", "drop")]
        assert not backends.rectify(PARENT)
        assert backends.rectify(PARENT)
        backends.renew()
