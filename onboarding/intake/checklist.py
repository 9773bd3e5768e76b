"""What an operator checks before deciding: the evidence, kept with its source and its date.

`evaluate` judges from our own tables; `refresh` stores the result, which a worker does again when it is stale;
`complete` says what still keeps a dossier from being approved. Unknown is not ok, and whoever sets a doubt aside says
why: the word counts as long as the evidence stays what it was.
"""

import datetime as dt
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from onboarding.intake import acting, availability, checks, names, nearby, proofs, rules
from onboarding.intake.checks import Problem
from onboarding.intake.desk_models import CheckItem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed, Stale, WrongState
from onboarding.intake.trade import ALLOCATION
from suite.accounts.codes import domain_of
from suite.accounts.mandates import missing
from suite.accounts.models import User
from suite.directory.lookup import verdict_of
from suite.directory.models import DeclaredContact
from suite.journal import workflow as journal
from suite.notices.models import Notice

NBSP = "\u00a0"
R = CheckItem.Result
SHORTEST_WHY = 10
A_DAY = dt.timedelta(hours=24)
A_SHIFT = dt.timedelta(hours=6)
OURS = "Nos demandes et nos mises en service"


class Check(NamedTuple):
    """One line of the list. `guarded`: the approval itself asks for what it doubts (a check, a dérogation)."""

    label: str
    lasts: dt.timedelta
    guarded: bool = False
    required: bool = True


CHECKS = {
    "siret": Check("SIREN d’une collectivité en vigueur", A_DAY),
    "activity": Check("Établissement actif", A_DAY, required=False),
    "eligibility": Check("Éligibilité", A_DAY, guarded=True),
    "mandate": Check("Habilitation", A_SHIFT, guarded=True),
    "name": Check("Nom reconnaissable", A_DAY, guarded=True),
    "availability": Check("Disponibilité du nom", A_DAY, guarded=True),
    "holds": Check("Homonymes et autres demandes du nom", A_SHIFT),
    "proof": Check("Détention du domaine", A_DAY, guarded=True),
    "contact": Check("Adresse et site déclarés", A_DAY, required=False),
    "allocation": Check("Dotation", A_DAY, guarded=True),
    "reachable": Check("Demandeur joignable", A_SHIFT, required=False),
    "earlier": Check("Demandes antérieures", A_SHIFT, required=False),
    "four_eyes": Check("Décision à deux", A_DAY, guarded=True, required=False),
}


class Finding(NamedTuple):
    """What a check says today: a result of `CheckItem.Result`, the fact in a word, a sentence, where it comes from."""

    code: str
    result: str
    evidence: str
    source: str
    value: str = ""


class Item(NamedTuple):
    """A check as its reader sees it; `why` is the word of whoever set the doubt aside, and still counts."""

    code: str
    result: str
    evidence: str
    source: str
    fetched_at: dt.datetime
    fresh: bool
    who: str = ""
    why: str = ""

    @property
    def label(self) -> str:
        return CHECKS[self.code].label

    @property
    def badge(self) -> str:
        """The DSFR badge's variant."""
        return {R.OK: "success", R.KO: "error", R.UNKNOWN: "warning", R.MANUAL: "info"}[R(self.result)]

    @property
    def word(self) -> str:
        """The result for a reader."""
        return str(R(self.result).label)

    @property
    def doubtful(self) -> bool:
        """Whether the evidence does not settle it."""
        return self.result != R.OK

    @property
    def blocking(self) -> bool:
        """Whether it keeps the dossier from being approved until somebody says why it may be set aside."""
        check = CHECKS[self.code]
        counts = self.result == R.KO or (check.required and self.doubtful)
        return counts and not check.guarded and not self.why


def checklist(dossier: Dossier) -> list[Item]:
    """Return the evidence as it is stored, in order; empty before the first `refresh`. No judgement.

    No query for a dossier read by `desk_access.dossier_of`.
    """
    now = timezone.now()
    items = dossier.check_items.all()
    known = items if "check_items" in _prefetched(dossier) else items.select_related("overridden_by")
    stored = {item.code: item for item in known}
    return [_item(stored[code], _finding(stored[code]), dossier, now) for code in CHECKS if code in stored]


def _prefetched(dossier: Dossier) -> dict[str, object]:
    found: dict[str, object] = getattr(dossier, "_prefetched_objects_cache", {})
    return found


def _finding(item: CheckItem) -> Finding:
    return Finding(item.code, item.result, item.evidence, item.source, item.value)


def _item(stored: CheckItem | None, finding: Finding, dossier: Dossier, now: dt.datetime) -> Item:
    who = stored.overridden_by if stored is not None and _same(stored, finding) else None
    return Item(
        finding.code,
        finding.result,
        finding.evidence,
        finding.source,
        stored.fetched_at if stored else now,
        fresh=stored is not None and stored.valid_until > now and stored.dossier_version == dossier.version,
        who=who.get_full_name() if who else "",
        why=stored.why if who and stored else "",
    )


def _same(stored: CheckItem, finding: Finding) -> bool:
    return stored.result == finding.result and stored.evidence == finding.evidence[:1000]


def complete(dossier: Dossier) -> list[Problem]:
    """Return what keeps the dossier from being approved, judged now: each doubt that nobody set aside.

    What the approval asks for itself (a check by hand, a dérogation by two people) is its own affair.
    """
    stored = {item.code: item for item in dossier.check_items.select_related("overridden_by")}
    now = timezone.now()
    items = (_item(stored.get(finding.code), finding, dossier, now) for finding in evaluate(dossier))
    return [
        Problem(f"check-{item.code}", 0, f"«{NBSP}{item.label}{NBSP}»{NBSP}: {item.evidence} {REMEDY}")
        for item in items
        if item.blocking
    ]


REMEDY = "Levez ce doute, ou dites dans les vérifications pourquoi vous l’écartez."


# --- Keeping the evidence ---------------------------------------------------------------------------------------------


@transaction.atomic
def refresh(dossier: Dossier) -> list[CheckItem]:
    """Judge the dossier and store the evidence; a word that set aside other evidence no longer counts."""
    now = timezone.now()
    _prefetched(dossier).pop("check_items", None)  # what the page was loaded with is no longer what is stored
    # One at a time per dossier; evidence about an older version does not replace a newer one's.
    version = Dossier.objects.select_for_update().values_list("version", flat=True).get(pk=dossier.pk)
    if version != dossier.version:
        return []
    stored = {item.code: item for item in CheckItem.objects.filter(dossier=dossier)}
    findings = evaluate(dossier)
    rows = []
    for finding in findings:
        before = stored.get(finding.code)
        kept = before is not None and before.overridden_by_id is not None and _same(before, finding)
        rows.append(
            CheckItem(
                dossier=dossier,
                code=finding.code,
                result=finding.result,
                value=finding.value,
                evidence=finding.evidence[:1000],
                source=finding.source,
                dossier_version=dossier.version,
                fetched_at=now,
                valid_until=now + CHECKS[finding.code].lasts,
                overridden_by_id=before.overridden_by_id if kept and before else None,
                overridden_at=before.overridden_at if kept and before else None,
                why=before.why if kept and before else "",
            )
        )
    CheckItem.objects.filter(dossier=dossier).exclude(code__in=[row.code for row in rows]).delete()
    return CheckItem.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["dossier", "code"],
        update_fields=[
            "result", "value", "evidence", "source", "dossier_version", "fetched_at", "valid_until", "overridden_by",
            "overridden_at", "why",
        ],
    )  # fmt: skip


@transaction.atomic
def override(dossier: Dossier, code: str, why: str, *, by: User, version: int) -> CheckItem:
    """Set a doubt aside, with a reason; counted, in the journal, and void as soon as the evidence changes.

    Raises WrongState, NotAllowed, Stale, or GuardFailed for a reason too short or a check without a doubt.
    """
    if code not in CHECKS:
        raise GuardFailed([Problem("code", 0, "Ce point ne fait pas partie des vérifications.")])
    if dossier.status not in Dossier.OPEN:
        raise WrongState(dossier)
    if not rules.capacities(dossier, by) & {rules.Capacity.ASSIGNEE, rules.Capacity.LEAD}:
        raise NotAllowed("Seule la personne qui instruit la demande, ou une personne responsable, écarte un doute.")
    now = Dossier.objects.select_for_update().get(pk=dossier.pk)
    if now.version != version or dossier.version != version:
        raise Stale(now)
    refresh(dossier)
    item = CheckItem.objects.filter(dossier=dossier, code=code).first()
    why = why.strip()[:1000]
    if item is None or item.result == R.OK:
        raise GuardFailed([Problem("code", 0, "Il n’y a pas de doute à écarter sur ce point.")])
    if len(why) < SHORTEST_WHY:
        raise GuardFailed([Problem("why", 0, f"Dites pourquoi, en {SHORTEST_WHY} caractères au moins.")])
    CheckItem.objects.filter(pk=item.pk).update(overridden_by=by, overridden_at=timezone.now(), why=why)
    journal.record(
        "dossier", dossier.pk, "check_overridden", by=by, payload={"check": code, "result": item.result}, comment=why
    )
    item.refresh_from_db()
    return item


# --- The checks -------------------------------------------------------------------------------------------------------


def evaluate(dossier: Dossier) -> list[Finding]:
    """Return what each check says now, from our own tables and what the workers gathered. About fifteen queries."""
    near = nearby.near(dossier)
    found = [
        _identity(dossier),
        Finding("activity", R.UNKNOWN, "Aucun fichier SIRENE n’est importé : l’activité ne se vérifie pas ici.", "–"),
        _eligibility(dossier),
        _mandate(dossier),
        *_name(dossier, near),
        _contact(dossier),
        _allocation(dossier),
        _reachable(dossier),
        _earlier([one.dossier for one in near if one.dossier.organization_id == dossier.organization_id]),
    ]
    sensitive = rules.sensitive(dossier, 0)
    said = f"{NBSP}; ".join(rules.SENSITIVE[code] for code in sensitive)
    found.append(
        Finding("four_eyes", R.MANUAL, f"Deux personnes décident{NBSP}: {said}.", "Nos règles", "oui")
        if sensitive
        else Finding("four_eyes", R.OK, "Une personne suffit.", "Nos règles", "non")
    )
    order = list(CHECKS)
    return sorted(found, key=lambda one: order.index(one.code))


def _identity(dossier: Dossier) -> Finding:
    organization = dossier.organization
    source = "Code officiel géographique"
    if organization.successor_id is not None:
        return Finding("siret", R.KO, "Cette collectivité a été remplacée par une autre.", source)
    if not organization.siren:
        return Finding("siret", R.UNKNOWN, "Le SIREN de cette collectivité n’est pas connu.", source)
    nature = "7210" if organization.nature == "COM" else "7346" if organization.nature == "CC" else organization.nature
    said = f"SIREN {organization.siren}, nature {nature}, code {organization.code}, en vigueur."
    return Finding("siret", R.OK if organization.nature in {"COM", "CC"} else R.KO, said, source)


def _eligibility(dossier: Dossier) -> Finding:
    verdict = verdict_of(dossier.organization)
    result = R.OK if verdict.eligible else R.UNKNOWN if verdict.may_request else R.KO
    return Finding("eligibility", result, verdict.reason, verdict.source[:100] or "Règle d’éligibilité")


def _mandate(dossier: Dossier) -> Finding:
    level, act = acting.mandate_of(dossier), acting.approval(dossier)
    source = "Preuves d’habilitation"
    if not level and acting.is_frozen(dossier):
        said = "La mairie conteste cette demande : examinez d’abord son objection."
        return Finding("mandate", R.KO, said, source, level.code)
    who = "la mairie, pour qui un opérateur a préparé la demande" if acting.is_assisted(dossier) else ""
    said = f"Niveau {level.code} ({level.label}) pour {who or dossier.author.get_full_name()}."
    if not missing(act, level):
        return Finding("mandate", R.OK, said, source, level.code)
    if not missing(act, level, checked=True):
        said = f"{said} Dites en acceptant ce que vous avez vérifié."
        return Finding("mandate", R.MANUAL, said, source, level.code)
    return Finding("mandate", R.KO, missing(act, level), source, level.code)


def _name(dossier: Dossier, near: list[nearby.Near]) -> list[Finding]:
    choice = next((choice for choice in dossier.names.all() if choice.rank == 0 and choice.fqdn), None)
    if choice is None:
        return [Finding("name", R.KO, "Aucun nom valable n’est demandé.", "La demande")]
    found = []
    if dossier.family == Dossier.Family.EXISTING:
        found.append(_held(dossier, choice.fqdn))
    else:
        found.append(_recognised(dossier, choice.fqdn))
    others = [one for one in near if one.dossier.organization_id != dossier.organization_id]
    alike = {nearby.SAME["name"], nearby.SAME["neighbour"]}
    holders = [one.dossier for one in others if alike.intersection(one.reasons)]
    if holders:
        told = (f"{it.reference}, {it.organization.name}{NBSP}: {getattr(it, 'wish', '')}" for it in holders)
        found.append(Finding("holds", R.KO, f"{NBSP}; ".join(told), OURS, str(len(holders))))
    else:
        found.append(Finding("holds", R.OK, "Aucune autre demande ouverte ne porte sur ce nom.", OURS))
    known = availability.known(dossier)[choice.fqdn]
    result = {"free": R.OK, "taken": R.KO}.get(known.code, R.MANUAL)
    return [*found, Finding("availability", result, known.note, OURS, known.code)]


def _held(dossier: Dossier, fqdn: str) -> Finding:
    source = "Serveurs de noms du domaine"
    if proofs.proved(dossier, fqdn) is not None:
        return Finding("proof", R.OK, f"L’enregistrement de preuve se voit sur {fqdn}.", source, "proved")
    return Finding("proof", R.MANUAL, f"Demandez la preuve que la commune détient {fqdn}.", source)


def _recognised(dossier: Dossier, fqdn: str) -> Finding:
    source = "Noms du Code officiel géographique"
    if kept := names.reserved(fqdn.split(".", maxsplit=1)[0]):
        return Finding("name", R.KO, kept.reason, "Noms réservés", "reserved")
    if availability.tells_the_commune(fqdn, availability.labels(dossier.organization)):
        return Finding("name", R.OK, f"{fqdn} reprend le nom de la collectivité.", source, "derived")
    return Finding("name", R.KO, f"{fqdn} ne suffit pas à reconnaître la collectivité.", source, "unrelated")


def _contact(dossier: Dossier) -> Finding:
    declared = DeclaredContact.objects.filter(organization=dossier.organization_id).first()
    if declared is None or not declared.emails:
        return Finding("contact", R.UNKNOWN, "L’annuaire public ne donne pas d’adresse pour cette mairie.", "–")
    source = f"{declared.source}, {declared.observed_on.isoformat()}"[:100]
    domains = {domain_of(email) for email in declared.emails}
    told = ", ".join(declared.emails)
    if dossier.requester_email.lower() in {email.lower() for email in declared.emails}:
        return Finding("contact", R.OK, f"Le demandeur écrit de l’adresse déclarée ({told}).", source)
    if domain_of(dossier.requester_email) in domains:
        return Finding("contact", R.OK, f"Le demandeur écrit du domaine déclaré ({told}).", source)
    said = f"La mairie déclare {told}{NBSP}; le demandeur écrit de {dossier.requester_email}."
    return Finding("contact", R.MANUAL, said, source)


def _allocation(dossier: Dossier) -> Finding:
    said = (
        f"{len(dossier.mailboxes.all())} boîtes pour {ALLOCATION.current().mailboxes} prévues{NBSP}; "
        f"{dossier.storage_gb} Go pour {ALLOCATION.current().storage_gb} prévus."
    )
    if checks.beyond_allocation(dossier):
        said = f"{said} Motif donné{NBSP}: {dossier.allocation_reason or 'aucun'}"
        return Finding("allocation", R.KO, said, "La demande")
    return Finding("allocation", R.OK, said, "La demande")


def _reachable(dossier: Dossier) -> Finding:
    states = dict(
        Notice.objects.filter(
            event__stream="dossier", event__subject=dossier.pk, recipient__iexact=dossier.requester_email
        )
        .order_by("created_at")
        .values_list("state", "error")
    )
    source = "Registre des envois"
    if not dossier.requester_email:
        said = "Le demandeur n’a donné aucune adresse : aucun message ne part."
        return Finding("reachable", R.KO, said, source, "unaddressed")
    refused = states.get(Notice.State.BOUNCED, states.get(Notice.State.FAILED))
    if refused is not None:
        said = f"Un message n’est pas arrivé à {dossier.requester_email}{NBSP}: {refused or 'refusé'}"
        return Finding("reachable", R.KO, said, source, "bounced")
    if Notice.State.SENT in states:
        return Finding("reachable", R.OK, f"Les messages partent vers {dossier.requester_email}.", source, "sent")
    return Finding("reachable", R.UNKNOWN, "Aucun message n’est encore parti vers le demandeur.", source)


def _earlier(others: list[Dossier]) -> Finding:
    if not others:
        return Finding("earlier", R.OK, "Aucune.", OURS)
    said = (f"{it.reference}{NBSP}: {it.get_status_display()}" for it in others)
    return Finding("earlier", R.MANUAL, f"{NBSP}; ".join(said), OURS, str(len(others)))
