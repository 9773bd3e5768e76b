"""Mail servers as they are, played on loopback: what encrypts, what does not, and what nobody can tell."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.audits import smtp
from onboarding.audits.facts import Facts, Lookup
from onboarding.audits.mail_facts import Policy, ServerFacts
from onboarding.audits.resolver import Resolver
from onboarding.audits.rules import servers
from onboarding.audits.web import Prober
from tests.live.certificates import Authority
from tests.live.hostile_smtp import HostileSmtp
from tests.live.hostile_web import HostileWeb, answer
from tests.live.zone_dns import ZoneDns

QUICK = 1.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("smtp"))


def negotiate(server: HostileSmtp, patience: float = QUICK) -> str | None:
    return smtp.negotiate(
        "mx.example", "127.0.0.1", server.port, time.monotonic() + patience, named="audit.suite.example"
    )


SEEN: list[tuple[str, str | None]] = [
    ("good", "TLSv1.3"),
    ("good12", "TLSv1.2"),
    ("plain", ""),
    ("oneline", ""),
    ("old", ""),
    ("liar", ""),
    ("fake", ""),
    ("frozen", None),
    ("busy", None),
    ("closed", None),
    ("mute", None),
    ("dripping", None),
    ("longline", None),
    ("manylines", None),
    ("garbage", None),
    ("web", None),
    ("hangup", None),
    ("leaves", None),
    ("injected", "TLSv1.3"),
]


@pytest.mark.parametrize(("behaviour", "version"), SEEN)
def test_each_kind_of_server_is_told_from_the_others(authority: Authority, behaviour: str, version: str | None) -> None:
    with HostileSmtp(behaviour, authority) as server:
        started = time.monotonic()
        assert negotiate(server) == version
        assert time.monotonic() - started < QUICK + 0.5
        assert server.sent < 8 * 1024 * 1024  # what the system's own buffers hold included


def test_nothing_is_said_that_looks_like_a_message(authority: Authority) -> None:
    with HostileSmtp("good", authority) as server:
        negotiate(server)
        time.sleep(0.1)
        assert server.said == ["EHLO audit.suite.example", "STARTTLS", "EHLO audit.suite.example", "QUIT"]


def test_a_server_without_encryption_is_left_politely(authority: Authority) -> None:
    with HostileSmtp("plain", authority) as server:
        negotiate(server)
        time.sleep(0.1)
        assert server.said == ["EHLO audit.suite.example", "QUIT"]


def test_a_closed_port_and_a_deadline_gone_by_say_nothing(authority: Authority) -> None:
    assert smtp.negotiate("mx.example", "127.0.0.1", 1, time.monotonic() + 1, named="x.example") is None
    with HostileSmtp("good", authority) as server:
        assert negotiate(server, patience=-1) is None
        assert server.said == []


@pytest.fixture
def zone() -> Iterator[ZoneDns]:
    with ZoneDns({("*", "A"): ["127.0.0.1"], ("lost.example", "A"): "nxdomain"}) as served:
        yield served


@pytest.fixture
def prober(zone: ZoneDns, settings: Settings) -> Prober:
    settings.AUDIT_PRIVATE_ADDRESSES = True
    return Prober(Resolver("{}:{}".format(*zone.address)), whole=2.0)


def test_the_first_servers_of_a_domain_are_asked_and_no_more(
    prober: Prober, authority: Authority, settings: Settings
) -> None:
    with HostileSmtp("good", authority) as server:
        settings.AUDIT_SMTP_PORT = server.port
        names = [f"mx{at}.example" for at in range(6)]
        assert prober.starttls([*names[:3], "lost.example", *names[3:]]) == {
            **dict.fromkeys(names[:3], "TLSv1.3"),
            "lost.example": None,
        }


def test_all_the_servers_together_are_held_to_one_deadline(
    prober: Prober, authority: Authority, settings: Settings
) -> None:
    with HostileSmtp("mute", authority) as server:
        settings.AUDIT_SMTP_PORT = server.port
        started = time.monotonic()
        assert set(prober.starttls(f"mx{at}.example" for at in range(4)).values()) == {None}
        assert time.monotonic() - started < 3


class PolicyWeb(HostileWeb):
    """Serves one policy, whatever it is asked."""

    content = b""

    def _honest(self, link, scheme: str, host: str, path: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a socket
        link.sendall(answer(self.content))


POLICIES = [
    (b"version: STSv1\nmode: enforce\nmx: mx.example\nmx: *.backup.example\nmax_age: 86400\n", "", "enforce"),
    (b"version: STSv1\r\nmode: testing\r\nmx: mx.example\r\n", "", "testing"),
    (b"Version: STSv1\nMode: Enforce\nmx: mx.example\n", "", "enforce"),
    (b"mode: enforce\nmx: mx.example\n", "malformed", ""),
    (b"version: STSv2\nmode: enforce\n", "malformed", ""),
    (b"version: STSv1\nmode: maybe\n", "malformed", ""),
    (b"", "malformed", ""),
    (b"\xff\xfe\x00" * 1000, "malformed", ""),
    (b"<html>404</html>", "malformed", ""),
]


@pytest.mark.parametrize(("content", "error", "mode"), POLICIES)
def test_a_policy_is_read(  # noqa: PLR0917 - fixtures, and what is tried
    prober: Prober, tmp_path: Path, settings: Settings, content: bytes, error: str, mode: str, zone: ZoneDns
) -> None:
    with PolicyWeb(tmp_path) as web:
        web.content = content
        settings.AUDIT_HTTPS_PORT, settings.AUDIT_CA_FILE = web.https, str(web.authority.file)
        seen = Prober(Resolver("{}:{}".format(*zone.address))).policy("commune.example")
        assert (seen.error, seen.mode) == (error, mode)


def test_a_policy_behind_a_bad_certificate_or_a_redirect_does_not_count(
    prober: Prober, tmp_path: Path, settings: Settings
) -> None:
    with HostileWeb(tmp_path) as web:
        settings.AUDIT_HTTPS_PORT = web.https
        assert prober.policy("commune.example") == Policy(error="certificate")


def test_what_a_server_negotiates_is_judged() -> None:
    mx = Lookup("commune.example", "MX", "answer", ("10 mx.example.",))
    empty = Lookup("commune.example", "TXT", "none", detail="nodata")
    facts = Facts("commune.example", mx, empty, empty)
    seen = {None: "unknown", "": "warning", "TLSv1": "warning", "TLSv1.2": "pass", "TLSv1.3": "pass"}
    for version, state in seen.items():
        assert servers.beyond(facts, ServerFacts(starttls={"mx.example": version}))["B9"].state == state
