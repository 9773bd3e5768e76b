"""The rules on facts, as a table: nothing here touches a network or a database."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onboarding.audits.facts import Facts, Lookup, organizational_domain
from onboarding.audits.rules import Expected, inspect, tags


def key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


STRONG, OTHER, WEAK = key(2048), key(2048), key(1024)
DKIM = f"v=DKIM1; k=rsa; p={STRONG}"


def look(*values: str, outcome: Any = "answer", detail: str = "") -> Lookup:
    return Lookup("essai.fr", "TXT", outcome, values, detail)


ABSENT, SILENT = look(outcome="none", detail="nxdomain"), look(outcome="unknown", detail="timeout")


def facts(**changed: Any) -> Facts:
    good: dict[str, Any] = {
        "domain": "essai.fr",
        "mx": look("10 mx1.suite.example.", "20 mx2.suite.example."),
        "txt": look("v=spf1 include:_spf.suite.example -all", "autre chose"),
        "dmarc": look("v=DMARC1; p=reject"),
        "dkim": {"suite": look(DKIM)},
        "others": (
            *(
                Lookup(name, "TXT", "answer", ("v=spf1 ip4:192.0.2.1 -all",))
                for name in ("_spf.suite.example", "_spf.example", *(f"s{n}.fr" for n in range(11)))
            ),
            Lookup("essai.fr", "A", "answer", ("192.0.2.1",)),
        ),
    }
    return Facts(**{**good, **changed})


EXPECTED = Expected(
    mx=frozenset({"10 mx1.suite.example.", "20 mx2.suite.example."}),
    spf="include:_spf.suite.example",
    dkim={"suite": DKIM},
)


def judged(rule: str, seen: Facts, expected: Expected | None = None) -> tuple[str, str]:
    finding = next(each for each in inspect(seen, expected) if each.id == rule)
    return finding.state, finding.reason


GOLDEN: list[tuple[str, dict[str, Any], str, str]] = [
    ("2.4", {}, "pass", "ok"),
    ("2.4", {"mx": ABSENT}, "fail", "no_mx"),
    ("2.4", {"mx": look("0 .")}, "fail", "null_mx"),
    ("2.4", {"mx": SILENT}, "unknown", "dns_timeout"),
    ("2.5", {}, "pass", "ok"),
    ("2.5", {"txt": look("V=SPF1 mx -all")}, "pass", "ok"),
    ("2.5", {"txt": look("v=spf10 mx -all")}, "fail", "no_spf"),
    ("2.5", {"txt": ABSENT}, "fail", "no_spf"),
    ("2.5", {"txt": SILENT}, "unknown", "dns_timeout"),
    ("B1", {}, "pass", "ok"),
    ("B1", {"txt": look("v=spf1 mx ~all")}, "pass", "ok"),
    ("B1", {"txt": look("v=spf1 redirect=_spf.example")}, "pass", "ok"),
    ("B1", {"txt": look("v=spf1 mx +all")}, "fail", "spf_open"),
    ("B1", {"txt": look("v=spf1 mx all")}, "fail", "spf_open"),
    ("B1", {"txt": look("v=spf1 mx ?all")}, "warning", "spf_neutral"),
    ("B1", {"txt": look("v=spf1 mx")}, "fail", "spf_open"),
    ("B1", {"txt": look("v=spf1 mx -all", "v=spf1 a -all")}, "fail", "spf_duplicate"),
    ("B1", {"txt": look("v=spf1 mx salut -all")}, "fail", "spf_syntax"),
    ("B1", {"txt": look("v=spf1 a//64 mx/24 -all")}, "pass", "ok"),
    ("B1", {"txt": look("v=spf1 " + " ".join(f"include:s{n}.fr" for n in range(11)) + " -all")}, "fail", "spf_lookups"),
    ("B1", {"txt": look("v=spf1 " + " ".join(f"include:s{n}.fr" for n in range(10)) + " -all")}, "pass", "ok"),
    ("2.6", {}, "pass", "ok"),
    ("2.6", {"dmarc": ABSENT}, "fail", "no_dmarc"),
    ("2.6", {"dmarc": look("v=DMARC1; p=reject", "v=DMARC1; p=none")}, "fail", "dmarc_duplicate"),
    ("2.6", {"dmarc": look("v=DMARC12; p=reject")}, "fail", "no_dmarc"),
    ("2.6", {"dmarc": SILENT}, "unknown", "dns_timeout"),
    ("2.6", {"dmarc": ABSENT, "dmarc_inherited": look("v=DMARC1; p=reject")}, "pass", "ok"),
    ("2.6", {"dmarc": ABSENT, "dmarc_inherited": SILENT}, "unknown", "dns_timeout"),
    ("2.6", {"dmarc": SILENT, "dmarc_inherited": look("v=DMARC1; p=reject")}, "unknown", "dns_timeout"),
    ("2.7", {}, "pass", "ok"),
    ("2.7", {"dmarc": look("v=DMARC1; p=quarantine")}, "pass", "ok"),
    ("2.7", {"dmarc": look("v=DMARC1; p=quarantine; pct=50")}, "fail", "dmarc_partial"),
    ("2.7", {"dmarc": look("v=DMARC1; p=reject; pct=50")}, "pass", "ok"),
    ("2.7", {"dmarc": look("v=DMARC1; p=none")}, "fail", "dmarc_policy_none"),
    ("2.7", {"dmarc": look("v=DMARC1")}, "fail", "dmarc_policy_none"),
    ("2.7", {"dmarc": look("v=DMARC1; sp=none; p=reject; zz=9")}, "pass", "ok"),
    ("2.7", {"dmarc": look("v=DMARC1; P=Reject")}, "pass", "ok"),
    ("2.7", {"dmarc": ABSENT}, "fail", "depends_on:2.6"),
    ("2.7", {"dmarc": ABSENT, "dmarc_inherited": look("v=DMARC1; p=reject; sp=none")}, "fail", "dmarc_policy_none"),
    ("2.7", {"dmarc": ABSENT, "dmarc_inherited": look("v=DMARC1; p=none; sp=reject")}, "pass", "ok"),
    ("2.7", {"dmarc": SILENT}, "unknown", "dns_timeout"),
    ("B2", {}, "pass", "ok"),
    ("B2", {"dkim": {}}, "unknown", "no_selector"),
    ("B2", {"dkim": {"suite": ABSENT}}, "fail", "no_dkim"),
    ("B2", {"dkim": {"suite": SILENT}}, "unknown", "dns_timeout"),
    ("B2", {"dkim": {"suite": look("v=DKIM1; p=")}}, "fail", "dkim_revoked"),
    ("B2", {"dkim": {"suite": look(f"v=DKIM1; p={WEAK}")}}, "warning", "dkim_weak"),
    ("B2", {"dkim": {"suite": look("v=DKIM1; p=pas+du+base64!")}}, "fail", "dkim_unreadable"),
    ("B2", {"dkim": {"suite": look(f"v=DKIM1; t=y; p={STRONG}")}}, "warning", "dkim_testing"),
    ("B2", {"dkim": {"suite": look("v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(32)).decode())}}, "pass", "ok"),
    ("B2", {"dkim": {"suite": look(DKIM), "vieux": ABSENT}}, "fail", "no_dkim"),
]


@pytest.mark.parametrize(("rule", "changed", "state", "reason"), GOLDEN)
def test_a_domain_is_judged(rule: str, changed: dict[str, Any], state: str, reason: str) -> None:
    assert judged(rule, facts(**changed)) == (state, reason)


WANTED: list[tuple[str, dict[str, Any], str, str]] = [
    ("2.4", {}, "pass", "ok"),
    ("2.4", {"mx": look("10 mx1.suite.example.")}, "fail", "mx_incomplete"),
    ("2.4", {"mx": look("10 autre.example.")}, "fail", "mx_differs"),
    (
        "2.4",
        {"mx": look("10 mx1.suite.example.", "20 mx2.suite.example.", "30 autre.example.")},
        "fail",
        "mx_conflicting",
    ),
    ("2.4", {"mx": SILENT}, "unknown", "dns_timeout"),
    ("2.5", {"txt": look("v=spf1 mx -all")}, "fail", "spf_differs"),
    ("2.5", {"txt": look("v=spf1 ip4:192.0.2.1 INCLUDE:_spf.suite.example ~all")}, "pass", "ok"),
    ("2.5", {"mx": ABSENT}, "pass", "ok"),
    ("B2", {"dkim": {}}, "unknown", "dns_not_asked"),
    ("B2", {"dkim": {"suite": look(f"p={STRONG[:40]} {STRONG[40:]} ; h=sha256:sha1 ; k=rsa ; n=note")}}, "pass", "ok"),
    ("B2", {"dkim": {"suite": look(f"v=DKIM1; p={OTHER}")}}, "fail", "dkim_differs"),
    ("B2", {"dkim": {"suite": look(f"v=DKIM1; h=sha1; p={STRONG}")}}, "fail", "dkim_differs"),
    ("B2", {"dkim": {"suite": look(f"{DKIM}; t=s:y")}}, "fail", "dkim_testing"),
    ("B2", {"dkim": {"suite": look(DKIM, f"v=DKIM1; p={OTHER}")}}, "fail", "dkim_duplicate"),
]


@pytest.mark.parametrize(("rule", "changed", "state", "reason"), WANTED)
def test_what_we_published_is_compared(rule: str, changed: dict[str, Any], state: str, reason: str) -> None:
    assert judged(rule, facts(**changed), EXPECTED) == (state, reason)


def test_without_a_server_that_receives_the_rest_fails_with_it() -> None:
    assert judged("2.5", facts(mx=ABSENT)) == ("fail", "depends_on:2.4")
    assert judged("2.7", facts(mx=ABSENT)) == ("fail", "depends_on:2.4")


def test_every_finding_has_a_sentence_for_its_reader() -> None:
    for _, changed, _, _ in GOLDEN:
        for finding in inspect(facts(**changed)):
            assert finding.sentence.endswith(".")


def test_stored_facts_replay_to_the_same_findings() -> None:
    seen = facts(dmarc_inherited=look("v=DMARC1; p=none"))
    stored = json.loads(json.dumps(seen.as_json()))
    assert Facts.from_json(stored) == seen
    assert inspect(Facts.from_json(stored), EXPECTED) == inspect(seen, EXPECTED)


@pytest.mark.parametrize(
    ("domain", "above"),
    [
        ("essai.fr", "essai.fr"),
        ("mairie.essai.fr", "essai.fr"),
        ("Essai.collectivite.fr", "essai.collectivite.fr"),
        ("a.essai.collectivite.fr", "essai.collectivite.fr"),
    ],
)
def test_the_organizational_domain_stops_at_shared_suffixes(domain: str, above: str) -> None:
    assert organizational_domain(domain) == above


def test_tags_are_read_in_any_order_and_the_first_wins() -> None:
    assert tags("v=DKIM1;; P = a=b ; bruit ; p=c") == {"v": "DKIM1", "p": "a=b"}
