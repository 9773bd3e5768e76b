"""`manage.py audit` from end to end: a DNS, a website and a mail server on loopback, and what it says of them."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from suite.directory.models import Organization
from tests.audits import mmdb
from tests.factories.directory import CommuneFactory, DeclaredContactFactory
from tests.live.hostile_smtp import HostileSmtp
from tests.live.hostile_web import HostileWeb
from tests.live.zone_dns import ZoneDns

HOME = ["127.0.0.1"]
ZONE: dict[tuple[str, str], list[str] | str] = {
    ("honest.fr", "MX"): ["10 mx.honest.fr."],
    ("honest.fr", "TXT"): ["v=spf1 mx -all"],
    ("_dmarc.honest.fr", "TXT"): ["v=DMARC1; p=quarantine"],
    ("_mta-sts.honest.fr", "TXT"): ["v=STSv1; id=1"],
    ("_smtp._tls.honest.fr", "TXT"): ["v=TLSRPTv1; rua=mailto:tls@honest.fr"],
    **{(name, "A"): HOME for name in ("honest.fr", "www.honest.fr", "mx.honest.fr", "mta-sts.honest.fr")},
    ("honest.fr", "CAA"): ['0 issue "letsencrypt.org"'],
    ("broken.fr", "A"): HOME,
    ("www.broken.fr", "A"): HOME,
    ("broken.fr", "MX"): ["0 ."],
    ("hurt.fr", "MX"): "servfail",
    ("hurt.fr", "TXT"): "timeout",
    ("hurt.fr", "A"): "servfail",
}


@pytest.fixture
def resolver(tmp_path: Path, settings: Settings) -> Iterator[str]:
    """Start the three servers, and say where the DNS is."""
    with ZoneDns(ZONE) as zone, HostileWeb(tmp_path) as web, HostileSmtp("good", web.authority) as mail:
        settings.AUDIT_HTTP_PORT, settings.AUDIT_HTTPS_PORT = web.http, web.https
        settings.AUDIT_SMTP_PORT, settings.AUDIT_CA_FILE = mail.port, str(web.authority.file)
        settings.AUDIT_PRIVATE_ADDRESSES = True
        base = mmdb.write(tmp_path / "base.mmdb", {"127.0.0.0/8": "FR"}, int(time.time()))
        settings.GEOIP_DATABASE = str(base)
        yield "{}:{}".format(*zone.address)


def audit(*arguments: str) -> str:
    out = io.StringIO()
    call_command("audit", *arguments, stdout=out)
    return out.getvalue()


def test_a_healthy_domain(resolver: str) -> None:
    said = json.loads(audit("honest.fr", "--resolver", resolver, "--json"))
    found = {each["id"]: (each["state"], each["reason"]) for each in said["findings"]}
    assert said["groups"] == dict.fromkeys(("1.a", "1.aa", "2.a", "2.aa", "a", "aa"), "pass"), found
    assert said["assumed"] is True
    assert found["B1"] == ("pass", "ok")
    assert found["B3"] == ("fail", "policy_malformed")  # announced, and what is there is a web page
    assert found["B6"] == ("pass", "ok")
    assert found["B9"] == ("pass", "ok")
    assert said["facts"]["servers"]["countries"] == {"127.0.0.1": "FR"}
    assert said["facts"]["web"]["certificate"]["issuer"] == "Autorité des essais"
    assert {each["to_confirm"] for each in said["findings"] if each["state"] == "pass"} == {False}


def test_a_broken_domain_and_how_to_mend_it(resolver: str) -> None:
    said = json.loads(audit("broken.fr", "--resolver", resolver, "--json"))
    found = {each["id"]: each for each in said["findings"]}
    assert (found["2.4"]["reason"], found["1.3"]["reason"]) == ("null_mx", "status_500")
    assert found["2.4"]["to_confirm"] is True
    assert found["2.4"]["observed"] == ["0 ."]
    assert found["2.4"]["remedy"]["record"].startswith("broken.fr. IN MX")
    assert said["groups"]["a"] == "fail"


def test_a_dns_that_is_ill_makes_nothing_red(resolver: str) -> None:
    said = json.loads(audit("hurt.fr", "--resolver", resolver, "--json"))
    states = {each["id"]: each["state"] for each in said["findings"]}
    assert {states[rule] for rule in ("1.3", "2.4", "2.5")} == {"unknown"}
    assert said["groups"]["2.a"] == "unknown"


def test_in_words_for_a_reader(resolver: str) -> None:
    said = audit("broken.fr", "--resolver", resolver)
    assert "✗ 2.4 Le domaine déclare qu’il ne reçoit pas de courriel (MX « . »). (à confirmer)" in said
    assert "broken.fr. IN MX 10" in said
    assert "B5 (au-delà du référentiel)" in said
    assert "a : fail" in said


@pytest.mark.django_db
def test_what_a_commune_declares(resolver: str) -> None:
    commune = CommuneFactory.create()
    DeclaredContactFactory.create(
        organization=commune, declared_email="mairie@honest.fr", declared_site="https://honest.fr/", record="r-9"
    )
    siren = Organization.objects.get(pk=commune.pk).siren or ""
    spaced = f"{siren[:3]} {siren[3:6]} {siren[6:]}"
    said = json.loads(audit(spaced, "--resolver", resolver, "--json"))
    assert said["assumed"] is False
    assert said["declaration"]["record"] == "r-9"
    assert said["groups"]["aa"] == "pass"


@pytest.mark.django_db
def test_a_siren_nobody_has() -> None:
    with pytest.raises(CommandError, match="Aucune collectivité") as refusal:
        audit("217500016")
    assert refusal.value.returncode == 4


@pytest.mark.parametrize("target", ["", "pas un domaine", "localhost", "a" * 70 + ".fr"])
def test_what_is_neither_a_siren_nor_a_domain(target: str) -> None:
    with pytest.raises(CommandError, match="ni un SIREN"):
        audit(target)


@pytest.mark.parametrize("server", ["ici", "127.0.0.1:x", "dns.example:53", "127.0.0.1:0", "127.0.0.1:70000"])
def test_a_resolver_that_is_not_an_address(server: str) -> None:
    with pytest.raises(CommandError, match="adresse de serveur"):
        audit("honest.fr", "--resolver", server)
