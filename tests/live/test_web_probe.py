"""Websites as they are, played by a server on loopback: the probe tells what each is, in bounded time and bytes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.audits import declared
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
    assert prober.chain(f"https://endless.commune.example:{web.https}/").works
    assert prober.chain(f"https://bomb.commune.example:{web.https}/").works
    time.sleep(0.2)
    assert time.monotonic() - started < 10
    assert max(web.sent.values()) < 16 * 1024 * 1024  # what the system's own buffers hold included


def test_stored_facts_are_small(prober: Prober) -> None:
    assert len(str(gather(prober, "https://endless.commune.example/").as_json())) < 20_000


def test_each_version_of_tls_is_tried_on_its_own(prober: Prober, web: HostileWeb) -> None:
    found = prober.versions("honest.example", web.https)
    assert (found["TLSv1.2"], found["TLSv1.3"]) == (True, True)
    assert found["TLSv1"] in {False, None}


def test_the_file_of_authorities_is_where_the_settings_say(web: HostileWeb) -> None:
    assert Path(web.authority.file).read_text().startswith("-----BEGIN CERTIFICATE-----")
