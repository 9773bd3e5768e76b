"""Websites as they are, played by a server on loopback: the probe tells what each is, in bounded time and bytes."""

import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from onboarding.audits import declared
from onboarding.audits.facts import Lookup
from onboarding.audits.lists import shipped
from onboarding.audits.resolver import Resolver
from onboarding.audits.rules import web as rules
from onboarding.audits.rules.finding import Finding
from onboarding.audits.web import Prober
from onboarding.audits.web_facts import WebFacts
from tests.live.hostile_web import HostileWeb
from tests.live.zone_dns import ZoneDns

NAMES: dict[tuple[str, str], list[str] | str] = {
    ("*", "A"): ["127.0.0.1"],
    ("gone.example", "A"): "nxdomain",
    ("gone.example", "AAAA"): "nxdomain",
    ("dumb.example", "A"): "servfail",
    ("intranet.private.example", "A"): "nxdomain",
    ("intranet.private.example", "AAAA"): "nxdomain",
    ("empty-name.example", "TXT"): ["nothing else"],
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileWeb]:
    with HostileWeb(tmp_path_factory.mktemp("web")) as served:
        yield served


@pytest.fixture
def zone() -> Iterator[ZoneDns]:
    with ZoneDns(NAMES) as served:
        yield served


@pytest.fixture
def prober(web: HostileWeb, zone: ZoneDns, settings: Settings) -> Prober:
    settings.AUDIT_HTTP_PORT, settings.AUDIT_HTTPS_PORT = web.http, web.https
    settings.AUDIT_CA_FILE = str(web.authority.file)
    settings.AUDIT_PRIVATE_ADDRESSES = True
    return Prober(Resolver("{}:{}".format(*zone.address)))


def gather(prober: Prober, url: str) -> WebFacts:
    site = declared.site(url)
    assert site is not None
    return prober.gather(site)


def judge(prober: Prober, url: str) -> dict[str, Finding]:
    site = declared.site(url)
    assert site is not None
    return rules.judge(prober.gather(site), site, shipped())


def test_a_healthy_site_passes_everything(prober: Prober, web: HostileWeb) -> None:
    found = judge(prober, "https://honest.example/")
    assert {rule: (finding.state, finding.reason) for rule, finding in found.items()} == {
        **dict.fromkeys(("1.3", "1.4", "1.5", "1.6", "1.7", "B7", "B8", "B11"), ("pass", "ok"))
    }


def test_the_certificate_is_kept_as_evidence(prober: Prober) -> None:
    seen = gather(prober, "https://honest.example/").certificate
    assert seen is not None
    assert (seen.error, seen.issuer, seen.names) == ("", "Autorité des essais", ("honest.example",))
    assert len(seen.fingerprint) == 64


CERTIFICATES = [
    ("expired", "fail", "certificate_expired"),
    ("notyet", "fail", "certificate_not_yet"),
    ("wrongname", "fail", "certificate_name"),
    ("soon", "pass", "ok"),
]


@pytest.mark.parametrize(("label", "state", "reason"), CERTIFICATES)
def test_a_bad_certificate_fails_1_5_alone(prober: Prober, label: str, state: str, reason: str) -> None:
    found = judge(prober, f"https://{label}.commune.example/")
    assert (found["1.5"].state, found["1.5"].reason) == (state, reason)
    assert found["1.3"].state == "pass"
    assert found["1.4"].state == "pass"


def test_a_certificate_about_to_expire_is_announced(prober: Prober) -> None:
    assert judge(prober, "https://soon.commune.example/")["B11"].reason == "expires_soon"
    assert judge(prober, "https://fresh.commune.example/")["B11"].state == "pass"  # three days left of six


def test_a_certificate_signed_by_nobody_known_fails(prober: Prober, settings: Settings, zone: ZoneDns) -> None:
    settings.AUDIT_CA_FILE = ""
    other = Prober(Resolver("{}:{}".format(*zone.address)))
    assert judge(other, "https://honest.commune.example/")["1.5"].reason == "certificate_untrusted"


ENDS = [
    ("broken", "fail", "status_500"),
    ("filtered", "unknown", "blocked"),
    ("empty", "pass", "empty_page"),
    ("plain", "pass", "ok"),
    ("nowhere", "fail", "status_302"),
    ("circle", "fail", "too_many_redirects"),
    ("script", "fail", "bad_redirect"),
    ("literal", "fail", "bad_redirect"),
    ("lowport", "fail", "bad_redirect"),
    ("hangup", "fail", "reset"),
    ("garbage", "fail", "reset"),
    ("gzipped", "pass", "ok"),
    ("charset", "pass", "ok"),
    ("endless", "pass", "ok"),
    ("bomb", "pass", "ok"),
    ("cookies", "pass", "ok"),
    ("hugeheader", "fail", "too_large"),
    ("manyheaders", "fail", "too_large"),
    ("notgzip", "pass", "ok"),
    ("strange", "pass", "ok"),  # the letters make a name
    ("dripping", "pass", "ok"),
    ("inside", "fail", "dns_nxdomain"),
]


@pytest.mark.parametrize(("label", "state", "reason"), ENDS)
def test_each_kind_of_site_is_told_from_the_others(prober: Prober, label: str, state: str, reason: str) -> None:
    found = judge(prober, f"https://{label}.commune.example/")["1.3"]
    assert (found.state, found.reason) == (state, reason)


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("gone.example", "fail", "dns_nxdomain"),
        ("empty-name.example", "fail", "dns_nodata"),
        ("dumb.example", "unknown", "dns_unknown"),
    ],
)
def test_a_name_that_leads_nowhere(prober: Prober, name: str, state: str, reason: str) -> None:
    found = judge(prober, f"https://{name}/")["1.3"]
    assert (found.state, found.reason) == (state, reason)


def test_a_closed_port_refuses(prober: Prober, settings: Settings) -> None:
    settings.AUDIT_HTTPS_PORT = 1
    found = judge(prober, "https://honest.commune.example/")
    assert (found["1.3"].reason, found["1.5"].reason) == ("refused", "no_https")


def test_nothing_goes_with_a_request_but_who_we_are(prober: Prober, web: HostileWeb, settings: Settings) -> None:
    web.heads.clear()
    gather(prober, "https://cookies.commune.example/")
    assert web.heads
    for head in web.heads:
        names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
        assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert settings.AUDIT_USER_AGENT in head


def test_the_page_is_read_to_its_limit_and_no_further(prober: Prober, web: HostileWeb) -> None:
    web.sent.clear()
    started = time.monotonic()
    for label in ("endless", "bomb", "hugeheader", "manyheaders"):
        prober.chain(f"https://{label}.commune.example/")
    time.sleep(0.2)
    assert time.monotonic() - started < 10
    assert max(web.sent.values()) < 16 * 1024 * 1024  # what the system's own buffers hold included


def test_stored_facts_are_small(prober: Prober) -> None:
    assert len(str(gather(prober, "https://endless.commune.example/").as_json())) < 20_000


def test_each_version_of_tls_is_tried_on_its_own(prober: Prober) -> None:
    found = gather(prober, "https://honest.example/").tls
    assert (found["TLSv1.2"], found["TLSv1.3"]) == (True, True)
    assert found["TLSv1"] in {False, None}


SLOW = ["slowheaders", "mute"]


@pytest.mark.parametrize("label", SLOW)
def test_nothing_holds_the_probe_beyond_its_deadline(
    web: HostileWeb, prober: Prober, zone: ZoneDns, label: str
) -> None:
    hurried = Prober(Resolver("{}:{}".format(*zone.address)), whole=1.5)
    started = time.monotonic()
    facts = gather(hurried, f"https://{label}.example/")
    assert time.monotonic() - started < 3
    assert facts.declared.last.error == "out_of_time" or facts.declared.works
    late = [each for each in (facts.from_http, facts.other_http, facts.other_https) if each]
    assert {each.last.error for each in late} == {"out_of_time"}


def test_our_own_haste_is_never_held_against_a_site(prober: Prober, zone: ZoneDns) -> None:
    site = declared.site("https://mute.example/")
    assert site is not None
    found = rules.judge(Prober(Resolver("{}:{}".format(*zone.address)), whole=0.5).gather(site), site, shipped())
    assert "fail" not in {finding.state for finding in found.values()}
    assert found["1.3"].reason == "out_of_time"


def test_a_dns_that_never_answers_holds_nothing_either(prober: Prober, zone: ZoneDns) -> None:
    zone.records["lost.example", "A"] = "timeout"
    hurried = Prober(Resolver("{}:{}".format(*zone.address)), whole=1.0)
    started = time.monotonic()
    facts = gather(hurried, "https://lost.example/")
    assert time.monotonic() - started < 3
    assert facts.declared.last.error in {"dns_unknown", "out_of_time"}


def test_no_address_is_asked_twice_in_one_visit(prober: Prober, web: HostileWeb) -> None:
    web.asked.clear()
    gather(prober, "https://honest.example/")
    assert max(web.asked.values()) == 1
    assert sum(web.asked.values()) == 4  # http and https, with and without www


def test_a_visit_looks_each_name_up_once(prober: Prober, zone: ZoneDns) -> None:
    gather(prober, "https://honest.example/")
    assert zone.asked["honest.example A"] == 1


class TestPrivateAddresses:
    @pytest.fixture
    def strict(self, prober: Prober, settings: Settings) -> Prober:
        settings.AUDIT_PRIVATE_ADDRESSES = False
        return prober

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.1.2.3"])
    def test_a_name_that_leads_inside_is_not_contacted(
        self, strict: Prober, zone: ZoneDns, web: HostileWeb, address: str
    ) -> None:
        web.asked.clear()
        zone.records["sly.example", "A"] = [address]
        found = judge(strict, "https://sly.example/")["1.3"]
        assert (found.state, found.reason) == ("fail", "private_address")
        assert not web.asked

    @pytest.mark.parametrize("address", ["::1", "::ffff:127.0.0.1", "fd00:ec2::254", "64:ff9b::7f00:1"])
    def test_nor_by_an_ipv6_address_beside_a_public_one(self, strict: Prober, zone: ZoneDns, address: str) -> None:
        zone.records["sly.example", "A"] = ["8.8.8.8"]
        zone.records["sly.example", "AAAA"] = [address]
        assert strict.chain("https://sly.example/").last.error == "private_address"

    def test_one_private_address_among_public_ones_is_enough(self, strict: Prober, zone: ZoneDns) -> None:
        zone.records["sly.example", "A"] = ["8.8.8.8", "127.0.0.1"]
        assert strict.chain("https://sly.example/").last.error == "private_address"

    def test_a_redirect_inside_is_not_followed(self, prober: Prober, zone: ZoneDns, settings: Settings) -> None:
        zone.records["intranet.private.example", "A"] = ["127.0.0.1"]
        strict = Prober(_StrictFrom("intranet.private.example", zone, settings))
        assert [hop.error for hop in strict.chain("https://inside.example/").hops] == ["", "private_address"]

    def test_a_name_that_changes_its_mind_is_taken_at_its_first_word(self, prober: Prober, zone: ZoneDns) -> None:
        """What was checked is what is contacted: nothing looks the name up again in between."""
        gather(prober, "https://plain.commune.example/")
        assert zone.asked["plain.commune.example A"] == 1

    def test_a_mail_server_inside_is_not_contacted(self, strict: Prober, zone: ZoneDns) -> None:
        assert strict.starttls(["mx.example"]) == {"mx.example": None}

    def test_a_policy_inside_is_not_fetched(self, strict: Prober) -> None:
        assert strict.policy("commune.example").error == "private_address"


class _StrictFrom:
    """Looks names up, and closes private addresses once it meets one name: until then loopback is the internet."""

    def __init__(self, name: str, zone: ZoneDns, settings: Settings) -> None:
        self._inner, self._name, self._settings = Resolver("{}:{}".format(*zone.address)), name, settings

    def lookup(self, name: str, kind: str) -> Lookup:
        if name == self._name:
            self._settings.AUDIT_PRIVATE_ADDRESSES = False
        return self._inner.lookup(name, kind)
