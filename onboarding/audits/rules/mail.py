"""What the DNS says of a domain's mail: 2.4 to 2.7 of the référentiel, and beyond it B1 to B5."""

import base64
import binascii
import re
from dataclasses import dataclass, field, replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from onboarding.audits import spf
from onboarding.audits.facts import Facts, Lookup
from onboarding.audits.rules.finding import Finding, fails, ignores, passes, warns

_RSA_BITS_MIN = 2048


@dataclass(frozen=True)
class Expected:
    """What must be published: MX as in a zone file, the SPF term of the provider, DKIM values by selector."""

    mx: frozenset[str]
    spf: str
    dkim: dict[str, str] = field(default_factory=dict)


def judge(facts: Facts, expected: Expected | None = None) -> list[Finding]:
    """Judge each point on its own: 2.4 to 2.7, B1, B2."""
    return [_mx(facts.mx, expected), *_spf(facts, expected), *_dmarc(facts), _dkim(facts, expected)]


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
        return ignores("2.4", lookup)
    found = frozenset(value.lower() for value in lookup.values)
    if not found:
        return fails("2.4", "no_mx", "Aucun serveur de messagerie (MX) n’est déclaré pour ce domaine.", lookup)
    if all(value.split()[-1] == "." for value in found):
        return fails("2.4", "null_mx", "Le domaine déclare qu’il ne reçoit pas de courriel (MX « . »).", lookup)
    if expected is not None and found != expected.mx:
        if found > expected.mx:
            why = ("mx_conflicting", "Un autre serveur de messagerie (MX) est déclaré à côté.")
        elif found & expected.mx:
            why = ("mx_incomplete", "Il manque un des serveurs de messagerie (MX) attendus.")
        else:
            why = ("mx_differs", "Les serveurs de messagerie (MX) déclarés sont différents.")
        return fails("2.4", *why, lookup)
    return passes("2.4", "Les courriels du domaine ont un serveur où arriver (MX).", lookup)


def _spf(facts: Facts, expected: Expected | None) -> tuple[Finding, Finding]:
    """Return 2.5 (there is one) and B1 (it is a good one)."""
    if facts.txt.outcome == "unknown":
        return ignores("2.5", facts.txt), ignores("B1", facts.txt)
    records = spf.records(facts.txt)
    if not records:
        missing = "Aucun enregistrement SPF ne dit qui peut écrire au nom du domaine."
        return fails("2.5", "no_spf", missing), fails("B1", "no_spf", missing)
    terms = {term.lower() for term in records[0].split()[1:]}
    if expected is not None and expected.spf.lower() not in terms:
        present = fails("2.5", "spf_differs", f"L’enregistrement SPF ne contient pas « {expected.spf} ».", records)
    else:
        present = passes("2.5", "L’enregistrement SPF dit qui peut écrire au nom du domaine.", records)
    return present, _spf_quality(facts, records)


_SPF_ERRORS = {
    "duplicate": "Il y a plusieurs enregistrements SPF : aucun n’est valable.",
    "syntax": "L’enregistrement SPF contient un terme qui ne se lit pas.",
    "loop": "L’enregistrement SPF se renvoie à lui-même.",
    "depth": "L’enregistrement SPF renvoie trop loin.",
    "include_missing": "L’enregistrement SPF renvoie à un nom qui n’en a pas, ou qui en a plusieurs.",
}


def _spf_quality(facts: Facts, records: list[str]) -> Finding:
    walk = spf.walk(facts.domain, facts.known())
    if walk.error.startswith("unknown:"):
        finding = Finding(
            "B1", "unknown", f"dns_{walk.error.partition(':')[2]}", "Le DNS n’a pas répondu : nous ne savons pas."
        )
    elif walk.error:
        finding = fails("B1", f"spf_{walk.error}", _SPF_ERRORS[walk.error], records)
    elif walk.terms > spf.LOOKUPS_MAX:
        finding = fails("B1", "spf_lookups", "L’enregistrement SPF demande plus de dix recherches.", records)
    elif walk.voids > spf.VOIDS_MAX:
        finding = fails("B1", "spf_voids", "L’enregistrement SPF cherche trop de noms qui n’existent pas.", records)
    elif walk.missing:
        finding = ignores("B1", None)
    elif walk.end in {"all", "+all"} or not walk.end:
        open_ = "L’enregistrement SPF laisse n’importe qui écrire au nom du domaine."
        finding = fails("B1", "spf_open", open_, records)
    elif walk.end == "?all":
        neutral = "L’enregistrement SPF ne dit rien des autres expéditeurs (« ?all »)."
        finding = warns("B1", "spf_neutral", neutral, records)
    elif walk.ptr:
        finding = warns("B1", "spf_ptr", "L’enregistrement SPF emploie « ptr », abandonné.", records)
    else:
        finding = passes("B1", "L’enregistrement SPF écarte les autres expéditeurs.", records)
    return finding


def _dmarc(facts: Facts) -> tuple[Finding, Finding]:
    """Return 2.6 (there is one) and 2.7 (it says quarantine or reject)."""
    own = dmarc_records(facts.dmarc)
    lookup, inherited = facts.dmarc, False
    if facts.dmarc.outcome != "unknown" and not own and facts.dmarc_inherited is not None:
        lookup, inherited = facts.dmarc_inherited, True
    if lookup.outcome == "unknown":
        return ignores("2.6", lookup), ignores("2.7", lookup)
    records = dmarc_records(lookup)
    seen = replace(lookup, values=tuple(records))
    if len(records) != 1:
        reason, sentence = (
            ("dmarc_duplicate", "Il y a plusieurs enregistrements DMARC : aucun n’est valable.")
            if records
            else ("no_dmarc", "Aucun enregistrement DMARC ne protège le domaine de l’usurpation.")
        )
        missing = fails("2.6", reason, sentence, seen)
        return missing, fails("2.7", reason, sentence, seen)
    found = tags(records[0])
    policy = found.get("p", "none")
    policy = (found.get("sp", policy) if inherited else policy).lower()
    percent = found.get("pct", "100")
    present = passes("2.6", "Un enregistrement DMARC protège le domaine de l’usurpation.", seen)
    if policy == "reject" or (policy == "quarantine" and percent == "100"):
        return present, passes("2.7", "Les courriels usurpés sont écartés (DMARC).", seen)
    if policy == "quarantine":
        reason, sentence = "dmarc_partial", "DMARC n’écarte qu’une partie des courriels usurpés."
    else:
        reason, sentence = "dmarc_policy_none", "DMARC observe les courriels usurpés sans les écarter."
    return present, fails("2.7", reason, sentence, seen)


def dmarc_records(lookup: Lookup) -> list[str]:
    """Return the texts that are DMARC records (RFC 7489, 6.3): the version is case-sensitive."""
    return [value for value in lookup.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", value)]


def _dkim(facts: Facts, expected: Expected | None) -> Finding:
    """Judge every selector known; the worst wins. Without a selector nothing can be said: names are not guessed."""
    selectors = sorted({*facts.dkim, *(expected.dkim if expected else ())})
    if not selectors:
        return Finding("B2", "unknown", "no_selector", "Aucun sélecteur DKIM n’est connu pour ce domaine.")
    order = {"fail": 0, "unknown": 1, "warning": 2, "pass": 3}
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
        return ignores("B2", lookup)
    records = [value for value in lookup.values if "p" in tags(value)]
    if not records:
        return fails("B2", "no_dkim", "La clé de signature des courriels (DKIM) n’est pas publiée.", lookup)
    if len(records) > 1:
        return fails("B2", "dkim_duplicate", "Plusieurs clés de signature (DKIM) portent le même nom.", lookup)
    found = tags(records[0])
    rsa = found.get("k", "rsa").lower() == "rsa"
    bits = _rsa_bits(found["p"]) if rsa else 0
    # What we ask somebody to publish must be strong; what another signs with is only said to be weak.
    weak = warns if wanted is None else fails
    if wanted is not None and not _same_key(found, tags(wanted)):
        finding = fails("B2", "dkim_differs", "La clé de signature (DKIM) publiée n’est pas la nôtre.", lookup)
    elif not _compact(found["p"]):
        finding = fails("B2", "dkim_revoked", "La clé de signature (DKIM) est révoquée.", lookup)
    elif rsa and not bits:
        finding = fails("B2", "dkim_unreadable", "La clé de signature (DKIM) ne se lit pas.", lookup)
    elif rsa and bits < _RSA_BITS_MIN:
        finding = weak("B2", "dkim_weak", "La clé de signature (DKIM) est trop courte.", lookup)
    elif "y" in [flag.strip().lower() for flag in found.get("t", "").split(":")]:
        finding = weak("B2", "dkim_testing", "La signature (DKIM) est déclarée « en essai ».", lookup)
    else:
        finding = passes("B2", "Les courriels du domaine sont signés (DKIM).", lookup)
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
