"""What changes in the DNS of a domain in use, and when: a difference with what is there, never a replacement.

Before the day, what harms nobody: our signing key, our term in the SPF record. On the day, the mail servers. The DMARC
policy stays the commune's own; without one it begins by observing (rulings, 21). Nothing here reaches the network.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onboarding.audits import spf
from onboarding.audits.facts import Facts, Lookup
from onboarding.provisioning.backends.protocols import MailSpec, Record
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.move_models import Cutover
from onboarding.provisioning.records import records_for

S = Cutover.State

SHORT_TTL, USUAL_TTL = 300, 3600  # seconds
LOWERED = dt.timedelta(days=2)  # before the hour: longer than any time to live that is still reasonable
RAISED = dt.timedelta(days=7)  # after the switch
FIRST_DMARC = "v=DMARC1; p=none"

_ALL = re.compile(r"[+?~-]?all", re.IGNORECASE)
_DMARC = re.compile(r"v\s*=\s*DMARC1\s*(;|$)")


@dataclass(frozen=True)
class Change:
    """One set of records: what is there, what must be, and in words what to do. `kind` says which of these.

    add: nothing is there; merge: one value takes the place of another, which it contains; replace: on the day only;
    keep: nothing to do.
    """

    name: str
    type: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    kind: Literal["add", "merge", "replace", "keep"]
    why: str
    warning: str = ""

    @property
    def word(self) -> str:
        """What to do, in a word or two."""
        return {"add": "Ajouter", "merge": "Modifier", "replace": "Remplacer", "keep": "Ne rien changer"}[self.kind]


def current(deployment: Deployment) -> Cutover | None:
    """Return the cutover that rules the records of a deployment: the last one that was not called off."""
    return deployment.cutovers.exclude(state=S.CANCELLED).order_by("-created_at").first()


def is_awaited(deployment: Deployment) -> bool:
    """Whether the mail of this domain still arrives elsewhere, on purpose: no step may ask for its MX."""
    return deployment.cutovers.filter(state__in=[*Cutover.BEFORE, S.DUE, S.REVERTING, S.REVERTED]).exists()


def known_spec(deployment: Deployment) -> MailSpec | None:
    """Return what the mail provider last said that this domain must publish; pages never ask it."""
    seen = deployment.resources.filter(kind=Resource.Kind.MAIL_DOMAIN, key=deployment.domain).first()
    spec = (seen.observed or {}).get("spec") if seen else None
    if spec is None:
        return None
    return MailSpec(
        mx=tuple((preference, host) for preference, host in spec["mx"]),
        spf=spec["spf"],
        dkim_selector=spec["dkim_selector"],
        dkim=spec["dkim"],
        aliases=tuple((label, target) for label, target in spec["aliases"]),
    )


def present(facts: Facts, aliases: Mapping[str, Lookup]) -> dict[str, Any] | None:
    """Return what the world reads today, in the shape of `Cutover.before`; None when the DNS did not answer it all."""
    looked = [facts.mx, facts.txt, facts.dmarc, *aliases.values()]
    if any(each.outcome == "unknown" for each in looked):
        return None
    return {
        "mx": sorted(value.lower() for value in facts.mx.values),
        "txt": list(facts.txt.values),
        "dmarc": list(facts.dmarc.values),
        "aliases": {label: list(lookup.values) for label, lookup in aliases.items()},
        "lookups": spf.walk(facts.domain.lower(), facts.known()).terms,
    }


def servers(spec: MailSpec) -> tuple[str, ...]:
    """Return our MX as in a zone file, sorted, in lower case."""
    return tuple(sorted(f"{preference} {host}".lower() for preference, host in spec.mx))


def is_ours(mx: Sequence[str], spec: MailSpec) -> bool:
    """Whether the world sends mail to our servers, and to no other."""
    return tuple(sorted(value.lower() for value in mx)) == servers(spec)


def merged_spf(records: Sequence[str], term: str) -> str:
    """Return one SPF record with our term first, then every term that was there, each once; its end stays its own.

    Without any record it is closed softly: nobody knows yet who else writes for this domain.
    """
    if not records:
        return f"v=spf1 {term} ~all"
    words = [word for record in records for word in record.split()[1:]]
    ends = [word for word in words if _ALL.fullmatch(word)]
    kept, seen = [], {term.lower()}
    for word in words:
        if not _ALL.fullmatch(word) and word.lower() not in seen:
            seen.add(word.lower())
            kept.append(word)
    # A redirection is void beside an « all », and must come last (RFC 7208, 6.1).
    kept.sort(key=lambda word: word.lower().startswith("redirect="))
    present_already = len(records) == 1 and term.lower() in [word.lower() for word in words]
    if present_already:
        return records[0]
    # Of several records, the softest end: none of their senders is cut off.
    softest = min(ends, key=lambda word: "+?~-".find(word[0]) if word[0] in "+?~-" else 0, default="")
    return " ".join(["v=spf1", term, *kept, *([softest] if softest else [])])


def changes(domain: str, spec: MailSpec, before: dict[str, Any]) -> tuple[list[Change], list[Change]]:
    """Return what to do ahead of the day, then on the day."""
    return (
        [_dkim(domain, spec), _spf(domain, spec, before), _dmarc(domain, before)],
        [_mx(domain, spec, before), *_aliases(domain, spec, before)],
    )


def _dkim(domain: str, spec: MailSpec) -> Change:
    name = f"{spec.dkim_selector}._domainkey.{domain}"
    return Change(name, "TXT", (), (spec.dkim,), "add", "Les courriels envoyés d’ici seront signés.")


def _spf(domain: str, spec: MailSpec, before: dict[str, Any]) -> Change:
    records = _spf_records(before)
    wanted = merged_spf(records, spec.spf)
    warning = ""
    if len(records) > 1:
        warning = "Il y a plusieurs enregistrements SPF, et aucun ne vaut : gardez seulement celui-ci."
    elif before.get("lookups", 0) + 1 > spf.LOOKUPS_MAX:  # ten at most (RFC 7208, 4.6.4)
        warning = (
            "Cet enregistrement demande déjà dix recherches : retirez-en ce qui ne sert plus, sinon il ne vaut rien."
        )
    elif any(_ALL.fullmatch(word) and word[0] not in "~-?" for record in records for word in record.split()):
        warning = (
            "Il se termine par « +all » : n’importe qui peut écrire en votre nom. Voyez cela avec votre prestataire."
        )
    if records == [wanted]:
        return Change(domain, "TXT", tuple(records), (wanted,), "keep", "Notre partie y est déjà.", warning)
    why = "Nous nous ajoutons à ceux qui écrivent déjà en votre nom : aucun n’est retiré."
    return Change(domain, "TXT", tuple(records), (wanted,), "merge" if records else "add", why, warning)


def _dmarc(domain: str, before: dict[str, Any]) -> Change:
    name, own = f"_dmarc.{domain}", _dmarc_records(before)
    if own:
        return Change(name, "TXT", tuple(own), tuple(own), "keep", "Votre règle reste la vôtre.")
    why = "Pour commencer, on observe sans rien écarter ; vous déciderez plus tard d’être plus stricts."
    return Change(name, "TXT", (), (FIRST_DMARC,), "add", why)


def _mx(domain: str, spec: MailSpec, before: dict[str, Any]) -> Change:
    old, new = tuple(before["mx"]), servers(spec)
    why = "Les courriels arrivent dans vos nouvelles boîtes."
    return Change(domain, "MX", old, new, "keep" if is_ours(old, spec) else "replace" if old else "add", why)


def _aliases(domain: str, spec: MailSpec, before: dict[str, Any]) -> list[Change]:
    found = []
    for label, target in spec.aliases:
        old = tuple(before["aliases"].get(label, ()))
        kind: Literal["add", "replace", "keep"] = "keep" if old == (target,) else "replace" if old else "add"
        why = "Les logiciels de messagerie se règlent tout seuls."
        found.append(Change(f"{label}.{domain}", "CNAME", old, (target,), kind, why))
    return found


def _spf_records(before: dict[str, Any]) -> list[str]:
    return spf.records(Lookup("", "TXT", "answer", tuple(before["txt"])))


def _dmarc_records(before: dict[str, Any]) -> list[str]:
    return [value for value in before["dmarc"] if _DMARC.match(value)]


def wanted(deployment: Deployment, spec: MailSpec, cutover: Cutover | None, now: dt.datetime) -> tuple[Record, ...]:
    """Return what a zone that is ours must publish, whatever stage its cutover is at: steps and repairs ask here."""
    domain, whole = deployment.domain, records_for(deployment.domain, spec)
    if cutover is None or cutover.state == S.CANCELLED:
        return whole
    dkim = tuple(record for record in whole if "._domainkey." in record.name)
    before = cutover.before
    if before is None or cutover.state in {S.DRAFT, S.PLANNED, S.POSTPONED}:
        return dkim
    back = cutover.state in {S.PREPARED, S.REVERTING, S.REVERTED}
    settled = cutover.state == S.DONE or (cutover.switched_at is not None and now - cutover.switched_at >= RAISED)
    ttl = USUAL_TTL if (settled and not back) or cutover.state == S.REVERTED else SHORT_TTL
    others = tuple(value for value in before["txt"] if value not in _spf_records(before))
    own_dmarc = _dmarc_records(before)
    sets = [
        Record(domain, "MX", tuple(before["mx"]) if back else servers(spec), ttl),
        Record(domain, "TXT", (*others, merged_spf(_spf_records(before), spec.spf))),
        Record(f"_dmarc.{domain}", "TXT", tuple(own_dmarc) or (FIRST_DMARC,)),
    ]
    for label, target in spec.aliases:
        old = tuple(before["aliases"].get(label, ()))
        if not back:
            sets.append(Record(f"{label}.{domain}", "CNAME", (target,), ttl))
        elif old:
            sets.append(Record(f"{label}.{domain}", "CNAME", old, ttl))
    return (*dkim, *(record for record in sets if record.values))
