"""The contract of the DNS backends by dynamic updates: on Knot with a catalog, on BIND where an operator adds zones."""

from collections.abc import Iterator

import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.protocols import Delegation, Dns, Record
from onboarding.provisioning.backends.rfc2136 import Rfc2136Dns
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from tests.live import chain
from tests.live.name_servers import CATALOG, UpdatedServer, bind, free_port, knot
from tests.provisioning.contracts.dns import DOMAIN, OURS, PARENT, THEIRS, DnsContract, refusal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rfc2136")]

MARK = Record(f"_suite-mx.{DOMAIN}", "TXT", (OURS,))


def on(settings: Settings, server: UpdatedServer, catalog: str) -> Rfc2136Dns:
    settings.RFC2136_SERVER = f"127.0.0.1:{server.port}"
    settings.RFC2136_KEY_NAME, settings.RFC2136_KEY_SECRET = "suite", server.secret
    settings.RFC2136_CATALOG = catalog
    return Rfc2136Dns()


@pytest.fixture(scope="module")
def knot_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdatedServer]:
    with knot(tmp_path_factory.mktemp("knot"), PARENT) as started:
        yield started


@pytest.fixture(scope="module")
def bind_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdatedServer]:
    with bind(tmp_path_factory.mktemp("bind"), PARENT, DOMAIN, f"autre.{PARENT}") as started:
        yield started


class TestKnot(DnsContract):
    """The contract, on Knot; its catalog's members are signed from the start."""

    signs_by_itself = True

    @pytest.fixture
    def dns(self, settings: Settings, knot_server: UpdatedServer) -> Dns:
        made = on(settings, knot_server, CATALOG)
        for each in list(made.zones()):
            made.ensure_no_zone(each.name, owner=str(each.owner))
        for owner in (OURS, THEIRS):
            for record in made.records(PARENT):
                try:
                    made.ensure_absent(PARENT, [(record.name, record.type)], owner=owner)
                except Refused:
                    continue
        assert made.records(PARENT) == ()
        return made


class TestKnotOnly:
    @pytest.fixture
    def dns(self, settings: Settings, knot_server: UpdatedServer) -> Rfc2136Dns:
        return on(settings, knot_server, CATALOG)

    def test_a_wrong_key_is_ours_to_mend_and_says_nothing_of_it(
        self, settings: Settings, knot_server: UpdatedServer, dns: Rfc2136Dns
    ) -> None:
        dns.ensure_zone(f"cle.{PARENT}", owner=OURS)
        settings.RFC2136_KEY_SECRET = "d3Jvbmc="
        with pytest.raises(Unavailable) as denied:
            Rfc2136Dns().ensure_records(
                f"cle.{PARENT}", [Record(f"cle.{PARENT}", "MX", ("10 a.example.",))], owner=OURS
            )
        assert denied.value.code == "denied"
        assert "d3Jvbmc=" not in denied.value.note
        assert knot_server.secret not in repr(vars(dns)) + repr(vars(vars(dns)["_updates"]))

    def test_a_set_that_somebody_else_made_by_hand_stays(self, dns: Rfc2136Dns, knot_server: UpdatedServer) -> None:
        zone = f"main.{PARENT}"
        dns.ensure_zone(zone, owner=OURS)
        by_hand(knot_server, zone, "www", "A", "192.0.2.9")
        assert refusal(dns.ensure_records, zone, [Record(f"www.{zone}", "A", ("192.0.2.1",))], owner=OURS) == "conflict"
        assert refusal(dns.ensure_absent, zone, [(f"www.{zone}", "A")], owner=OURS) == "conflict"
        assert dns.records(zone) == (Record(f"www.{zone}", "A", ("192.0.2.9",)),)

    def test_what_the_server_silently_leaves_out_is_not_called_done(
        self, dns: Rfc2136Dns, knot_server: UpdatedServer
    ) -> None:
        """An alias beside other data is ignored without a word (RFC 2136, 3.4.2.2)."""
        zone = f"muet.{PARENT}"
        dns.ensure_zone(zone, owner=OURS)
        by_hand(knot_server, zone, "www", "A", "192.0.2.9")
        with pytest.raises(Unavailable) as silent:
            dns.ensure_records(zone, [Record(f"www.{zone}", "CNAME", ("site.example.",))], owner=OURS)
        assert silent.value.code == "not_done"

    def test_a_zone_of_the_operator_is_not_taken(self, dns: Rfc2136Dns) -> None:
        assert refusal(dns.ensure_zone, PARENT, owner=OURS) == "conflict"

    def test_a_server_that_is_not_there_is_unavailable(self, settings: Settings) -> None:
        settings.RFC2136_SERVER, settings.RFC2136_CATALOG = f"127.0.0.1:{free_port()}", ""
        settings.RFC2136_KEY_NAME, settings.RFC2136_KEY_SECRET = "suite", "c2VjcmV0"
        with pytest.raises(Unavailable) as absent:
            Rfc2136Dns().ensure_zone(DOMAIN, owner=OURS)
        assert absent.value.code == "unreachable"


class TestBind:
    """Where an operator adds the zones: BIND takes catalogs for secondaries only."""

    @pytest.fixture
    def dns(self, settings: Settings, bind_server: UpdatedServer) -> Rfc2136Dns:
        return on(settings, bind_server, "")

    def test_a_zone_lives_from_the_operators_line_to_its_end(self, dns: Rfc2136Dns, bind_server: UpdatedServer) -> None:
        with pytest.raises(NotYet) as waiting:
            dns.ensure_zone(f"pas-encore.{PARENT}", owner=OURS)
        assert waiting.value.code == "zone_not_served"
        for _ in range(2):
            dns.ensure_zone(DOMAIN, owner=OURS)
        assert refusal(dns.ensure_zone, DOMAIN, owner=THEIRS) == "conflict"
        wanted = (
            Record(DOMAIN, "MX", ("10 a.example.",), ttl=300),
            Record(f"*.{DOMAIN}", "TXT", ("v=spf1 -all",)),
            Record(f"suite._domainkey.{DOMAIN}", "TXT", ("v=DKIM1; p=" + "Ab9+/" * 120,)),
        )
        for _ in range(2):
            dns.ensure_records(DOMAIN, wanted, owner=OURS)
        assert set(dns.records(DOMAIN)) == set(wanted)
        dns.ensure_signed(DOMAIN)
        delegation = dns.delegation(DOMAIN)
        for _ in range(2):
            dns.ensure_delegated(PARENT, DOMAIN, delegation, owner=OURS)
        assert {record.type for record in dns.records(PARENT) if record.name == DOMAIN} == {"NS", "DS"}
        assert refusal(dns.ensure_delegated, PARENT, DOMAIN, Delegation(("ns.x.fr.",)), owner=THEIRS) == "conflict"
        keys = chain.keys_of(chain.asking(bind_server.port), DOMAIN, delegation.ds)
        assert chain.answered(chain.asking(bind_server.port), DOMAIN, "MX", keys)
        dns.ensure_undelegated(PARENT, DOMAIN, owner=OURS)
        dns.ensure_no_zone(DOMAIN, owner=OURS)
        assert dns.records(DOMAIN) == dns.records(PARENT) == ()
        dns.ensure_zone(DOMAIN, owner=THEIRS)

    def test_a_zone_in_use_by_somebody_is_not_taken(self, dns: Rfc2136Dns, bind_server: UpdatedServer) -> None:
        zone = f"autre.{PARENT}"
        by_hand(bind_server, zone, "www", "A", "192.0.2.9")
        assert refusal(dns.ensure_zone, zone, owner=OURS) == "conflict"

    def test_without_a_catalog_nobody_lists(self, dns: Rfc2136Dns) -> None:
        with pytest.raises(Refused) as refused:
            list(dns.zones())
        assert refused.value.code == "unsupported"


def by_hand(server: UpdatedServer, zone: str, label: str, kind: str, value: str) -> None:
    """Add a record as an administrator would, without any mark."""
    name = dns.name.from_text("suite")
    key = dns.tsig.Key(name, server.secret, "hmac-sha256")
    update = dns.update.UpdateMessage(zone, keyring={name: key}, keyname=name)
    update.replace(label, 3600, kind, value)
    assert dns.query.tcp(update, "127.0.0.1", port=server.port, timeout=5).rcode() == dns.rcode.NOERROR
