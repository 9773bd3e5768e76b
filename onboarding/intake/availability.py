"""Is a name free for this dossier? Answered from our tables, and from what workers learned outside. No network."""

import datetime as dt
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import DateTimeField, F, Q, QuerySet, Value
from django.utils import timezone

from onboarding.intake import names, suggestions
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.name_models import NameLookup
from onboarding.intake.proof_models import OwnershipProof
from onboarding.intake.suggestions import labels, namesakes, tells_the_commune
from onboarding.provisioning.models import Deployment
from suite.directory.folding import fold
from suite.directory.models import Name, Organization

__all__ = [
    "TAKEN",
    "Availability",
    "check_name",
    "check_names",
    "holds",
    "known",
    "labels",
    "namesakes",
    "propose",
    "taken",
    "tells_the_commune",
    "unavailable",
    "unheld",
]

NBSP = "\u00a0"
# A released name still receives its former owner's mail: nobody else has it before.
QUARANTINE = timedelta(days=365)
# A look that has not come back by then is not worth waiting for in front of the page.
PATIENCE = timedelta(seconds=60)
PROVED_FOR = timedelta(hours=24)

TAKEN = "Ce nom est déjà utilisé par une collectivité de La Suite territoriale."
RELEASED = "Ce nom a été rendu il y a moins d’un an : personne d’autre ne peut encore le prendre."
CONFLICT = f"Une autre demande porte sur ce nom{NBSP}: il ira à la première demande acceptée."
SIMILAR = "Attention, un nom presque semblable est déjà utilisé."
OTHERS_NAME = "Ce nom est celui d’une autre collectivité : deux personnes reliront ce choix."
SHARED_NAME = "D’autres portent ce nom : deux personnes reliront ce choix."
FIRST_COME = "Une réservation au registre va à qui la fait en premier : rien n’est promis avant l’acceptation."


class Availability(NamedTuple):
    """`code` is "free", "taken", "reserved", "pending_conflict" or "unknown"; `note` says it in French.

    `evidence` is what the outside world answered, `checked_at` when; `looking` while a worker is asking.
    """

    code: str
    note: str
    evidence: dict[str, Any] = {}
    checked_at: dt.datetime | None = None
    looking: bool = False

    @property
    def badge(self) -> str:
        """The DSFR variant."""
        return {"free": "success", "taken": "error", "reserved": "warning", "pending_conflict": "warning"}.get(
            self.code, "info"
        )

    @property
    def word(self) -> str:
        """The code for a reader."""
        return {
            "free": "Libre",
            "taken": "Pris",
            "reserved": "Réservé",
            "pending_conflict": "Demandé aussi par d’autres",
        }.get(self.code, "Vérification en cours" if self.looking else "À vérifier")


def taken(wanted: Iterable[str]) -> set[str]:
    """Return those of the names that a live deployment holds. One query."""
    return set(
        Deployment.objects.filter(domain__in=list(wanted), closed_at__isnull=True).values_list("domain", flat=True)
    )


def unavailable(wanted: Iterable[str], organization: Organization) -> dict[str, str]:
    """Return why those of the names that our own tables hold cannot be given: live, or released lately. One query.

    What the organization released itself, it may have again.
    """
    rows = Deployment.objects.filter(domain__in=list(wanted)).values_list("domain", "closed_at", "organization")
    return _held(rows, organization)


def _held(rows: Iterable[tuple[str, dt.datetime | None, UUID]], organization: Organization) -> dict[str, str]:
    since = timezone.now() - QUARANTINE
    found: dict[str, str] = {}
    for domain, closed_at, holder in rows:
        if closed_at is None:
            found[domain] = TAKEN
        elif closed_at > since and holder != organization.pk:
            found.setdefault(domain, RELEASED)
    return found


class Rival(NamedTuple):
    """A name that another dossier wishes, or bears already (`live`), and its skeleton."""

    fqdn: str
    skeleton: str
    live: bool


def _claims(wanted: list[str], dossier: Dossier) -> tuple[dict[str, str], list[Rival]]:
    """Return what our tables hold of the names (see `unavailable`), and what others ask or bear alike. One query."""
    deployments = Deployment.objects.filter(domain__in=wanted).order_by()
    wished = Q(rank=0, dossier__status__in=Dossier.OPEN)
    borne = Q(dossier__deployment__closed_at__isnull=True, fqdn=F("dossier__deployment__domain"))
    alike = (
        NameChoice.objects.filter(wished | borne, skeleton__in=[names.skeleton(fqdn) for fqdn in wanted])
        .exclude(dossier=dossier)
        .exclude(fqdn="")
        .order_by()
    )
    none = Value(None, output_field=DateTimeField())
    rows = alike.values_list("fqdn", "skeleton", none, "dossier__organization", "dossier__deployment").union(
        deployments.values_list("domain", Value(""), "closed_at", "organization", "pk"), all=True
    )
    held, rivals = [], []
    for fqdn, skeleton, closed_at, holder, deployment in rows:
        if skeleton:
            rivals.append(Rival(fqdn, skeleton, deployment is not None))
        else:
            held.append((fqdn, closed_at, holder))
    return _held(held, dossier.organization), rivals


def check_name(fqdn: str, family: str, dossier: Dossier) -> Availability:
    """Say whether a normalised name is free for this dossier. Four queries at most."""
    return check_names(dossier, [fqdn], family)[fqdn]


def known(dossier: Dossier) -> dict[str, Availability]:
    """Return what is known of each of the dossier's names, once per loaded dossier: for the pages that show it."""
    kept: dict[str, Availability] | None = dossier.__dict__.get("_known_names")
    if kept is None:
        fqdns = [choice.fqdn for choice in dossier.names.all() if choice.fqdn and dossier.family]
        kept = dossier.__dict__["_known_names"] = check_names(dossier, fqdns)
    return kept


def check_names(dossier: Dossier, fqdns: Iterable[str], family: str = "") -> dict[str, Availability]:
    """Say it of several names at once. Four queries at most, whatever their number."""
    wanted = list(dict.fromkeys(fqdns))
    family = family or dossier.family
    mine = dossier.deployment.domain if dossier.deployment else ""
    held, rivals = _claims(wanted, dossier)
    held.pop(mine, None)
    others = _borne_by_others(wanted, dossier.organization) if family != Dossier.Family.EXISTING else set()
    outside = _outside(wanted, family, dossier)
    return {fqdn: _judge(fqdn, family, held, rivals, others, outside.get(fqdn)) for fqdn in wanted}


def _judge(  # noqa: PLR0911, PLR0913, PLR0917 - one return per thing to say, one argument per table read
    fqdn: str,
    family: str,
    held: dict[str, str],
    rivals: list[Rival],
    others: set[str],
    outside: Availability | None,
) -> Availability:
    if said := names.problem(fqdn, family, shared_zone=settings.COLLECTIVITE_ZONE):
        kept = names.reserved(fqdn.split(".", maxsplit=1)[0])
        return Availability("reserved" if kept and kept.blocked else "unknown", said)
    if fqdn in held:
        return Availability("taken", held[fqdn])
    if outside is not None and outside.code == "taken":
        return outside
    skeleton = names.skeleton(fqdn)
    if any(skeleton == rival.skeleton and not rival.live for rival in rivals):
        return Availability("pending_conflict", CONFLICT, *(outside or Availability("", ""))[2:])
    kept = names.reserved(fqdn.split(".", maxsplit=1)[0]) if family != Dossier.Family.EXISTING else None
    if kept:
        return Availability("reserved", kept.reason)
    if fqdn in others:
        return Availability("reserved", OTHERS_NAME)
    known = outside or unheld(family)
    if any(skeleton == rival.skeleton for rival in rivals):
        return known._replace(note=f"{known.note} {SIMILAR}")
    return known


def unheld(family: str) -> Availability:
    """Say what is known of a name that nobody holds in our tables."""
    if family == Dossier.Family.SHARED:
        return Availability("free", "Ce nom est libre aujourd’hui.")
    if family == Dossier.Family.NEW:
        return Availability("unknown", "L’opérateur vérifiera auprès du registre que ce nom est libre.")
    return Availability("unknown", "L’opérateur vérifiera que la collectivité détient ce nom.")


def holds(fqdn: str, dossier: Dossier) -> QuerySet[NameChoice]:
    """Return the other open dossiers that wish the name or one too like it; a hold falls with its dossier."""
    return (
        NameChoice.objects.filter(Q(fqdn=fqdn) | Q(skeleton=names.skeleton(fqdn)), rank=0)
        .filter(dossier__status__in=Dossier.OPEN)
        .exclude(dossier=dossier)
        .exclude(fqdn="")
    )


def _borne_by_others(wanted: list[str], organization: Organization) -> set[str]:
    """Return those of the names whose label is the name of somebody else and not on the organization's ladder."""
    own = labels(organization)
    labelled = {fqdn: fqdn.split(".", maxsplit=1)[0] for fqdn in wanted if fqdn}
    foreign = {fqdn: label for fqdn, label in labelled.items() if label not in own}
    if not foreign:
        return set()
    folded = {fold(label.replace("-", " ")) for label in foreign.values()}
    rows = Name.objects.filter(folded__in=folded).exclude(organization=organization).values_list("name", flat=True)
    borne = {names.slug(name) for name in rows}
    return {fqdn for fqdn, label in foreign.items() if label in borne}


def _outside(wanted: list[str], family: str, dossier: Dossier) -> dict[str, Availability]:
    """Return what workers learned of the names. One query, none for our own zone."""
    if family == Dossier.Family.NEW:
        rows = NameLookup.objects.filter(pk__in=wanted)
        return {row.pk: _looked_up(row) for row in rows}
    if family == Dossier.Family.EXISTING:
        proofs = [proof for proof in dossier.ownership_proofs.all() if proof.state in OwnershipProof.ACTIVE]
        return {proof.domain: _proof(proof) for proof in proofs if proof.domain in wanted}
    return {}


def _looked_up(row: NameLookup) -> Availability:
    looking = row.due_at is not None and timezone.now() - row.asked_at < PATIENCE
    when = f"{timezone.localtime(row.checked_at):%d/%m/%Y à %H:%M}" if row.checked_at else ""
    notes = {
        "": "Nous interrogeons le registre.",
        NameLookup.Code.FREE: f"Le registre le dit libre, le {when}. {FIRST_COME}",
        NameLookup.Code.TAKEN: f"Ce nom est déjà enregistré, vu le {when}. S’il est à vous, choisissez "
        f"«{NBSP}{Dossier.Family.EXISTING.label}{NBSP}»{NBSP}; sinon, prenez-en un autre.",
        NameLookup.Code.UNKNOWN: f"Le registre n’a pas pu nous répondre le {when}{NBSP}: cela n’empêche ni "
        "d’enregistrer ni de transmettre, l’opérateur vérifiera.",
    }
    return Availability(row.code or "unknown", notes[row.code], row.evidence, row.checked_at, looking)


def _proof(proof: OwnershipProof) -> Availability:
    if proof.state == OwnershipProof.State.PROVED and is_fresh(proof):
        return Availability("free", "La détention de ce nom est prouvée.", {}, proof.last_seen_at)
    if proof.state == OwnershipProof.State.PROVED:
        return Availability(
            "unknown", "La détention avait été prouvée, l’enregistrement ne se voit plus.", {}, proof.last_seen_at
        )
    said = proof.get_outcome_display() if proof.outcome else "Nous n’avons pas encore regardé."
    return Availability("unknown", f"Preuve de détention en attente{NBSP}: {said}", {}, proof.checked_at)


def is_fresh(proof: OwnershipProof) -> bool:
    """Whether the record was seen lately, and at the last reading that gave anything."""
    if proof.last_seen_at is None or timezone.now() - proof.last_seen_at > PROVED_FOR:
        return False
    return proof.outcome in {OwnershipProof.Outcome.SEEN, OwnershipProof.Outcome.UNKNOWN}


def propose(dossier: Dossier, *, most: int = suggestions.MOST) -> tuple[list[str], list[str]]:
    """Return the names to propose and those to propose as alternatives only, free in our tables.

    Two queries.
    """
    organization, family = dossier.organization, dossier.family or Dossier.Family.SHARED
    first, others = suggestions.candidates(family, labels(organization))
    held, rivals = _claims([*first, *others], dossier)
    alike = {rival.skeleton for rival in rivals}
    out = set(held) | {name for name in (*first, *others) if names.skeleton(name) in alike}
    return [name for name in first if name not in out][:most], [name for name in others if name not in out][:most]
