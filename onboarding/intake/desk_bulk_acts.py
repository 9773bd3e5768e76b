"""One act on many dossiers: what would happen to each, then each its own move in its own transaction.

Refusing many at once, and whatever two people decide, do not exist here.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from onboarding.intake import checklist, duplicates, moves, reminding, rules, workflow, workload
from onboarding.intake.checks import Problem
from onboarding.intake.desk_models import BulkAct
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete
from onboarding.intake.reasons import CHANGES, FIELDS
from onboarding.intake.rules import Capacity
from suite.accounts.models import User
from suite.journal.workflow import record

MOST = 200
NBSP = duplicates.NBSP
# Doubts that a low-risk dossier may have: nobody can know (no SIRENE file), or a matter of taste.
MINOR = {"activity": {"unknown"}, "contact": {"unknown", "manual"}, "reachable": {"unknown"}}
NO_LONGER = "La demande a changé depuis l’aperçu."


class Bulk(NamedTuple):
    """An act: its label, the sentence of the preview, the question it needs answered ("" for none)."""

    label: str
    future: str
    asks: str = ""


ACTS = {
    "take": Bulk("Me les attribuer", "Vous l’instruirez."),
    "assign": Bulk("Les confier à un collègue", "Elle sera confiée à ce collègue.", "colleague"),
    "release": Bulk("Les remettre en attente", "Elle sera remise en attente."),
    "remind": Bulk("Relancer la commune", "La commune recevra un rappel."),
    "request_changes": Bulk("Demander la même correction", "La commune recevra cette demande de correction.", "reason"),
    "approve": Bulk("Accepter celles sans risque", "Elle sera acceptée, et la mise en service commencera."),
}


def choose(user: User, act: str, pks: Iterable[UUID]) -> BulkAct:
    """Keep what was selected, two hundred at most, before any question. Raises GuardFailed."""
    keys = list(dict.fromkeys(pks))
    if act not in ACTS:
        raise moves.GuardFailed([Problem("act", 0, "Choisissez une action de la liste.")])
    if not keys:
        raise moves.GuardFailed([Problem("dossier", 0, "Cochez au moins une demande.")])
    if len(keys) > MOST:
        raise moves.GuardFailed(
            [Problem("dossier", 0, f"{len(keys)} demandes sont cochées{NBSP}: {MOST} au plus à la fois.")]
        )
    bulk = BulkAct(user=user, act=act)
    bulk.items = _plan(bulk, user, keys)
    bulk.save()
    return bulk


def answer(bulk: BulkAct, options: dict[str, Any]) -> BulkAct:
    """Note the colleague, or the reason and its words, and look at each dossier again."""
    keys = [UUID(item["pk"]) for item in bulk.items]
    bulk.options = options
    bulk.items = _plan(bulk, bulk.user, keys)
    BulkAct.objects.filter(pk=bulk.pk, started_at__isnull=True).update(options=bulk.options, items=bulk.items)
    return bulk


def ready(bulk: BulkAct) -> bool:
    """Whether the act's question is answered."""
    return not ACTS[bulk.act].asks or bool(bulk.options)


def colleague_of(bulk: BulkAct) -> User | None:
    """Return to whom the dossiers go."""
    chosen = bulk.options.get("colleague")
    return User.objects.filter(pk=chosen, is_active=True).first() if chosen else None


def _plan(bulk: BulkAct, user: User, keys: list[UUID]) -> list[dict[str, Any]]:
    rows = {one.pk: one for one in complete().filter(pk__in=Dossier.objects.followed_by(user).values("pk")).filter(
        pk__in=keys)}  # fmt: skip
    to = colleague_of(bulk)
    items = []
    for key in keys:
        dossier = rows.get(key)
        if dossier is None:
            continue  # out of sight: not even its reference is told
        items.append(
            {
                "pk": str(key),
                "reference": dossier.reference,
                "name": dossier.organization.name,
                "version": dossier.version,
                "skip": _skip(bulk, dossier, user, to),
                "done": False,
                "said": "",
            }
        )
    return items


def _skip(bulk: BulkAct, dossier: Dossier, user: User, to: User | None) -> str:
    """Return why the act would leave this dossier alone, "" when it would not."""
    if rules.is_insider(dossier, user):
        return "Vous êtes rattaché à cette collectivité."
    allowed = moves.allowed(dossier, user)
    if bulk.act == "assign":
        return _skip_assign(dossier, to) if {"take", "assign"} & allowed else _state(dossier)
    if bulk.act == "remind":
        return _skip_remind(dossier, user)
    if bulk.act not in allowed:
        return _because(dossier, user)
    return _risk(dossier) if bulk.act == "approve" else ""


def _state(dossier: Dossier) -> str:
    return f"Elle est à l’état «{NBSP}{dossier.get_status_display()}{NBSP}»."


def _skip_assign(dossier: Dossier, to: User | None) -> str:
    if to is None:
        return ""
    if dossier.assignee_id == to.pk:
        return "Cette personne l’instruit déjà."
    return "" if Capacity.OPERATOR in rules.capacities(dossier, to) else "Cette personne ne peut l’instruire."


def _skip_remind(dossier: Dossier, user: User) -> str:
    if dossier.status != Dossier.Status.NEEDS_CHANGES:
        return _state(dossier)
    if Capacity.OPERATOR not in rules.capacities(dossier, user):
        return "Votre rôle ne le permet pas sur cette demande."
    return "La commune a reçu un message il y a moins de trois jours." if reminding.too_soon(dossier) else ""


def _because(dossier: Dossier, user: User) -> str:
    if dossier.status == Dossier.Status.IN_REVIEW and dossier.assignee and dossier.assignee_id != user.pk:
        return f"Elle est instruite par {dossier.assignee.get_full_name()}."
    return _state(dossier)


def _risk(dossier: Dossier) -> str:
    """Return why a dossier is to be read before being accepted, "" for one without a doubt."""
    items = checklist.checklist(dossier)
    if not items or not all(item.fresh for item in items):
        checklist.refresh(dossier)
        items = checklist.checklist(dossier)
    doubts = [item.label for item in items if item.doubtful and item.result not in MINOR.get(item.code, set())]
    if dossier.family != Dossier.Family.SHARED:
        doubts.insert(0, "nom hors de notre zone")
    return f"À lire avant d’accepter{NBSP}: {', '.join(doubts)}." if doubts else ""


# --- The run ----------------------------------------------------------------------------------------------------------


def run(bulk: BulkAct) -> BulkAct:
    """Act on each dossier as it was previewed; what changed since is skipped and said. Runs once."""
    with transaction.atomic():
        started = BulkAct.objects.filter(pk=bulk.pk, started_at__isnull=True).update(started_at=timezone.now())
        if not started:
            return BulkAct.objects.get(pk=bulk.pk)
        asked = [item["pk"] for item in bulk.items if not item["skip"]]
        facts = {"act": bulk.act, "dossiers": asked}
        record("desk", bulk.user_id, "desk.bulk", by=bulk.user, payload={"bulk": str(bulk.pk), **facts})
    verb = _verb(bulk)
    for item in bulk.items:
        if item["skip"]:
            continue
        item["done"], item["said"] = _one(verb, item, bulk.user)
        BulkAct.objects.filter(pk=bulk.pk).update(items=bulk.items)
    BulkAct.objects.filter(pk=bulk.pk).update(finished_at=timezone.now())
    return BulkAct.objects.get(pk=bulk.pk)


def _one(verb: Callable[[Dossier, int], object], item: dict[str, Any], user: User) -> tuple[bool, str]:
    """Act on one dossier, in its own transaction."""
    followed = Dossier.objects.followed_by(user).filter(pk=item["pk"]).values("pk")
    dossier = complete().filter(pk__in=followed).first()
    if dossier is None:
        return False, "Elle n’est plus dans votre périmètre."
    if dossier.version != item["version"]:
        return False, NO_LONGER
    try:
        with transaction.atomic():
            verb(dossier, item["version"])
    except (moves.WrongState, moves.Stale):
        return False, NO_LONGER
    except moves.Refusal as refusal:
        return False, str(refusal)
    return True, ""


def _verb(bulk: BulkAct) -> Callable[[Dossier, int], object]:
    """Return the act as a verb on one dossier at one version."""
    user = bulk.user
    match bulk.act:
        case "take":
            return lambda dossier, version: workflow.take(dossier, by=user, version=version)
        case "release":
            return lambda dossier, version: workflow.release(dossier, by=user, version=version)
        case "remind":
            return lambda dossier, version: reminding.remind(dossier, by=user, version=version)
        case "assign":
            to = colleague_of(bulk)
            if to is None:
                raise moves.GuardFailed([Problem("colleague", 0, "Ce collègue n’a plus de compte actif.")])
            chosen = to
            return lambda dossier, version: workload.give(dossier, to=chosen, by=user, version=version)
        case "request_changes":
            point = point_of(bulk.options)
            return lambda dossier, version: workflow.request_changes(dossier, [point], by=user, version=version)
        case "approve":
            return lambda dossier, version: _approve(dossier, user, version)
        case _:
            raise moves.GuardFailed([Problem("act", 0, "Choisissez une action de la liste.")])


def _approve(dossier: Dossier, user: User, version: int) -> Dossier:
    if said := _risk(dossier):  # the evidence may have changed since the preview, the version not
        raise moves.GuardFailed([Problem("rank", 0, said)])
    return workflow.approve(dossier, by=user, version=version)


def point_of(options: dict[str, Any]) -> workflow.Point:
    """Return the correction asked of all."""
    code = options["reason"]
    picked = tuple(field for field in options.get("fields", []) if field in FIELDS)
    return workflow.Point(code, picked or CHANGES[code].unlocks, options.get("text", ""))
