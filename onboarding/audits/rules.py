"""What the facts mean. Pure: no framework, no network, no clock.

Ids are those of the RPNT (`presence.md`, 2.2), and B1, B2 beyond it. With `expected`, the question is no longer « does
this domain follow the référentiel? » but « is what we need published, and nothing that contradicts it? ».
"""

import base64
import binascii
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from onboarding.audits.facts import Facts, Lookup

RULESET = "2026-11"
State = Literal["pass", "fail", "unknown"]

_SPF_TERM = re.compile(
    r"[+?~-]?(all|include:\S+|a([:/]\S+)?|mx([:/]\S+)?|ptr(:\S+)?|ip4:\S+|ip6:\S+|exists:\S+)|[a-z][a-z0-9_.-]*=\S*",
    re.IGNORECASE,
)
_SPF_LOOKUP = re.compile(r"[+?~-]?(include:|a([:/]|$)|mx([:/]|$)|ptr|exists:)|redirect=", re.IGNORECASE)
_SPF_LOOKUPS_MAX = 10
_RSA_BITS_MIN = 2048


@dataclass(frozen=True)
class Finding:
    """A judgement: `reason` is a stable code, `sentence` the same in French, `observed` the records it rests on."""

    id: str
    state: State
    reason: str
    sentence: str
    observed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the shape stored in `Audit.findings`."""
        return asdict(self)


@dataclass(frozen=True)
class Expected:
    """What must be published: MX as in a zone file, the SPF term of the provider, DKIM values by selector."""

    mx: frozenset[str]
    spf: str
    dkim: dict[str, str] = field(default_factory=dict)


def inspect(facts: Facts, expected: Expected | None = None) -> list[Finding]:
    """Judge the mail of a domain."""
    mx = _mx(facts.mx, expected)
    spf, quality = _spf(facts.txt, expected)
    dmarc, policy = _dmarc(facts)
    findings = [mx, spf, dmarc, policy]
    if expected is None and mx.state == "fail":
        # Without a server that receives, the rest protects nothing (presence.md, 2.1).
        findings = [mx, *(_depends_on(mx.id, each) for each in findings[1:])]
    return [*findings, quality, _dkim(facts, expected)]


def tags(record: str) -> dict[str, str]:
    """Cut a DKIM or DMARC record into its tags: names in lower case, the first of a repeated tag, no order."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _mx(lookup: Lookup, expected: Expected | None) -> Finding:
    if lookup.outcome == "unknown":
        return _unknown("2.4", lookup)
    found = frozenset(value.lower() for value in lookup.values)
    if not found:
        return _fail("2.4", "no_mx", "Aucun serveur de messagerie (MX) n’est déclaré pour ce domaine.", lookup)
    if any(value.split()[-1] == "." for value in found):
        return _fail("2.4", "null_mx", "Le domaine déclare qu’il ne reçoit pas de courriel (MX « . »).", lookup)
    if expected is not None and found != expected.mx:
        if found > expected.mx:
            why = ("mx_conflicting", "Un autre serveur de messagerie (MX) est déclaré à côté.")
        elif found & expected.mx:
            why = ("mx_incomplete", "Il manque un des serveurs de messagerie (MX) attendus.")
        else:
            why = ("mx_differs", "Les serveurs de messagerie (MX) déclarés sont différents.")
        return _fail("2.4", *why, lookup)
    return _pass("2.4", "Les courriels du domaine ont un serveur où arriver (MX).", lookup)


def _spf(lookup: Lookup, expected: Expected | None) -> tuple[Finding, Finding]:
    """Return 2.5 (there is one) and B1 (it is a good one)."""
    if lookup.outcome == "unknown":
        return _unknown("2.5", lookup), _unknown("B1", lookup)
    records = [value for value in lookup.values if value.lower().split(" ")[0] == "v=spf1"]
    seen = replace(lookup, values=tuple(records))
    if not records:
        missing = "Aucun enregistrement SPF ne dit qui peut écrire au nom du domaine."
        return _fail("2.5", "no_spf", missing, seen), _fail("B1", "no_spf", missing, seen)
    terms = records[0].split()[1:]
    if expected is not None and expected.spf.lower() not in (term.lower() for term in terms):
        present = _fail("2.5", "spf_differs", f"L’enregistrement SPF ne contient pas « {expected.spf} ».", seen)
    else:
        present = _pass("2.5", "L’enregistrement SPF dit qui peut écrire au nom du domaine.", seen)
    return present, _spf_quality(records, terms, seen)


def _spf_quality(records: list[str], terms: list[str], seen: Lookup) -> Finding:
    lowered = [term.lower() for term in terms]
    end = next((term for term in lowered if term.endswith("all") and term.lstrip("+?~-") == "all"), "")
    if len(records) > 1:
        finding = _fail("B1", "spf_duplicate", "Il y a plusieurs enregistrements SPF : aucun n’est valable.", seen)
    elif not all(_SPF_TERM.fullmatch(term) for term in terms):
        finding = _fail("B1", "spf_invalid", "L’enregistrement SPF contient un terme qui ne se lit pas.", seen)
    elif sum(bool(_SPF_LOOKUP.match(term)) for term in terms) > _SPF_LOOKUPS_MAX:
        finding = _fail("B1", "spf_lookups", "L’enregistrement SPF demande plus de dix recherches.", seen)
    elif end in {"-all", "~all"} or (not end and any(term.startswith("redirect=") for term in lowered)):
        finding = _pass("B1", "L’enregistrement SPF écarte les autres expéditeurs.", seen)
    else:
        finding = _fail("B1", "spf_open", "L’enregistrement SPF laisse n’importe qui écrire au nom du domaine.", seen)
    return finding


def _dmarc(facts: Facts) -> tuple[Finding, Finding]:
    """Return 2.6 (there is one) and 2.7 (it says quarantine or reject)."""
    own = _dmarc_records(facts.dmarc)
    lookup, inherited = facts.dmarc, False
    if facts.dmarc.outcome != "unknown" and not own and facts.dmarc_inherited is not None:
        lookup, inherited = facts.dmarc_inherited, True
    if lookup.outcome == "unknown":
        return _unknown("2.6", lookup), _unknown("2.7", lookup)
    records = _dmarc_records(lookup)
    seen = replace(lookup, values=tuple(records))
    if len(records) != 1:
        reason, sentence = (
            ("dmarc_duplicate", "Il y a plusieurs enregistrements DMARC : aucun n’est valable.")
            if records
            else ("no_dmarc", "Aucun enregistrement DMARC ne protège le domaine de l’usurpation.")
        )
        missing = _fail("2.6", reason, sentence, seen)
        return missing, _depends_on("2.6", _fail("2.7", reason, sentence, seen))
    found = tags(records[0])
    policy = found.get("p", "none")
    policy = (found.get("sp", policy) if inherited else policy).lower()
    percent = found.get("pct", "100")
    present = _pass("2.6", "Un enregistrement DMARC protège le domaine de l’usurpation.", seen)
    if policy == "reject" or (policy == "quarantine" and percent == "100"):
        return present, _pass("2.7", "Les courriels usurpés sont écartés (DMARC).", seen)
    if policy == "quarantine":
        reason, sentence = "dmarc_partial", "DMARC n’écarte qu’une partie des courriels usurpés."
    else:
        reason, sentence = "dmarc_policy_none", "DMARC observe les courriels usurpés sans les écarter."
    return present, _fail("2.7", reason, sentence, seen)


def _dmarc_records(lookup: Lookup) -> list[str]:
    return [value for value in lookup.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", value)]


def _dkim(facts: Facts, expected: Expected | None) -> Finding:
    """Judge every selector known; the worst wins. Without a selector nothing can be said: names are not guessed."""
    selectors = sorted({*facts.dkim, *(expected.dkim if expected else ())})
    if not selectors:
        return Finding("B2", "unknown", "no_selector", "Aucun sélecteur DKIM n’est connu pour ce domaine.")
    order = {"fail": 0, "unknown": 1, "pass": 2}
    judged = [
        _dkim_one(
            facts.dkim.get(selector, Lookup(selector, "TXT", "unknown", detail="not_asked")),
            expected.dkim.get(selector) if expected else None,
        )
        for selector in selectors
    ]
    return min(judged, key=lambda finding: order[finding.state])


def _dkim_one(lookup: Lookup, wanted: str | None) -> Finding:
    if lookup.outcome == "unknown":
        return _unknown("B2", lookup)
    records = [value for value in lookup.values if "p" in tags(value)]
    if not records:
        return _fail("B2", "no_dkim", "La clé de signature des courriels (DKIM) n’est pas publiée.", lookup)
    if len(records) > 1:
        return _fail("B2", "dkim_duplicate", "Plusieurs clés de signature (DKIM) portent le même nom.", lookup)
    found = tags(records[0])
    if wanted is not None and not _same_key(found, tags(wanted)):
        finding = _fail("B2", "dkim_differs", "La clé de signature (DKIM) publiée n’est pas la nôtre.", lookup)
    elif not _compact(found["p"]):
        finding = _fail("B2", "dkim_revoked", "La clé de signature (DKIM) est révoquée.", lookup)
    elif found.get("k", "rsa").lower() == "rsa" and _rsa_bits(found["p"]) < _RSA_BITS_MIN:
        finding = _fail("B2", "dkim_weak", "La clé de signature (DKIM) est trop courte ou illisible.", lookup)
    elif "y" in found.get("t", "").split(":"):
        finding = _fail("B2", "dkim_testing", "La signature (DKIM) est déclarée « en essai ».", lookup)
    else:
        finding = _pass("B2", "Les courriels du domaine sont signés (DKIM).", lookup)
    return finding


def _same_key(found: dict[str, str], wanted: dict[str, str]) -> bool:
    """Compare the tags that count, whatever their order, spacing and defaults (RFC 6376, 3.6.1)."""
    return (
        found.get("v", "DKIM1") == wanted.get("v", "DKIM1")
        and found.get("k", "rsa").lower() == wanted.get("k", "rsa").lower()
        and _compact(found["p"]) == _compact(wanted.get("p", ""))
        and ("h" not in found or "sha256" in [each.strip().lower() for each in found["h"].split(":")])
    )


def _compact(value: str) -> str:
    return "".join(value.split())


def _rsa_bits(encoded: str) -> int:
    try:
        key = load_der_public_key(base64.b64decode(_compact(encoded), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return 0
    return key.key_size if isinstance(key, RSAPublicKey) else 0


def _pass(rule: str, sentence: str, lookup: Lookup) -> Finding:
    return Finding(rule, "pass", "ok", sentence, lookup.values)


def _fail(rule: str, reason: str, sentence: str, lookup: Lookup) -> Finding:
    return Finding(rule, "fail", reason, sentence, lookup.values)


def _unknown(rule: str, lookup: Lookup) -> Finding:
    return Finding(rule, "unknown", f"dns_{lookup.detail or 'unknown'}", "Le DNS n’a pas répondu : nous ne savons pas.")


def _depends_on(rule: str, finding: Finding) -> Finding:
    return replace(finding, state="fail", reason=f"depends_on:{rule}")
