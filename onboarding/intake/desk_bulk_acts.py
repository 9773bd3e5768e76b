"""One act on many dossiers: what would happen to each, then each its own move in its own transaction.

Refusing many at once, and whatever two people decide, do not exist here.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import F
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
OUT_OF_SIGHT = "Elle n’est plus dans votre périmètre."
STUMBLED = "Une erreur de notre part l’a empêché : ouvrez-la pour agir sur elle."
# What a page may do while its reader waits: a take costs 20 ms, an acceptance 100. Beyond, a worker does it.
AT_ONCE = 50
TURN = 15.0  # seconds of one task; what is left is for the next

Item = dict[str, Any]  # see `BulkAct.items`
logger = logging.getLogger(__name__)


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
    bulk.items = _listed(user, keys)
    bulk.save()
    return _go(bulk)


def answer(bulk: BulkAct, options: dict[str, Any]) -> BulkAct:
    """Note the colleague, or the reason and its words, and look at each dossier again."""
    items = _listed(bulk.user, [UUID(item["pk"]) for item in bulk.items])
    asked = BulkAct.objects.filter(pk=bulk.pk, started_at__isnull=True).update(options=options, items=items)
    return _go(BulkAct.objects.get(pk=bulk.pk)) if asked else bulk


def ready(bulk: BulkAct) -> bool:
    """Whether the act's question is answered, and each dossier looked at."""
    return bulk.pending_at is None and (not ACTS[bulk.act].asks or bool(bulk.options))


def colleague_of(bulk: BulkAct) -> User | None:
    """Return to whom the dossiers go."""
    chosen = bulk.options.get("colleague")
    return User.objects.filter(pk=chosen, is_active=True).first() if chosen else None


def _listed(user: User, keys: list[UUID]) -> list[Item]:
    """Return the dossiers chosen at the versions they have, none looked at yet (`skip` None). One query."""
    rows = (
        Dossier.objects.followed_by(user)
        .filter(pk__in=keys)
        .values("pk", "reference", "version", named=F("organization__name"))
    )
    known = {row["pk"]: row for row in rows}
    return [
        {
            "pk": str(key),
            "reference": known[key]["reference"],
            "name": known[key]["named"],
            "version": known[key]["version"],
            "skip": None,
            "done": False,
            "said": "",
        }
        for key in keys
        if key in known  # out of sight: not even its reference is told
    ]


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


# --- The work: looking at each, then acting on each -------------------------------------------------------------------


def start(bulk: BulkAct) -> BulkAct:
    """Act on each dossier as it was previewed; what changed since is skipped and said. Starts once."""
    _verb(bulk)  # an act that cannot be done is refused before anything
    with transaction.atomic():
        started = BulkAct.objects.filter(pk=bulk.pk, started_at__isnull=True, pending_at__isnull=True).update(
            started_at=timezone.now()
        )
        if not started:
            return BulkAct.objects.get(pk=bulk.pk)
        asked = [item["pk"] for item in bulk.items if not item["skip"]]
        facts = {"act": bulk.act, "dossiers": asked}
        record("desk", bulk.user_id, "desk.bulk", by=bulk.user, payload={"bulk": str(bulk.pk), **facts})
    return _go(BulkAct.objects.get(pk=bulk.pk))


def _go(bulk: BulkAct) -> BulkAct:
    """Do it now for a few dossiers; for many, a worker does, and the page says how far it is."""
    BulkAct.objects.filter(pk=bulk.pk).update(pending_at=timezone.now())
    if len(bulk.items) > AT_ONCE:
        transaction.on_commit(lambda: wake(bulk.pk), robust=True)
    else:
        carry_on(bulk.pk)
    return BulkAct.objects.get(pk=bulk.pk)


def wake(pk: UUID) -> None:
    """Ask a worker to carry on. Lost, the next sweep asks again."""
    current_app.send_task("onboarding.intake.tasks.carry_on_bulk", (str(pk),), expires=60, retry=False)


def carry_on(pk: UUID, seconds: float = TURN) -> bool:
    """Do what is left, a dossier at a time, for so long; return whether there is nothing left to do here.

    Killed, it loses nothing: what came of a dossier is stored with its move. Doubled, it does nothing twice.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not _next(pk):
            return True
    return False


@transaction.atomic
def _next(pk: UUID) -> bool:
    """Look at one more dossier, or act on it, and store what came of it. False when nothing is left to do here."""
    # Locked, another worker is at it: it is in good hands.
    bulk = BulkAct.objects.select_for_update(skip_locked=True, of=("self",)).select_related("user").filter(
        pk=pk, pending_at__isnull=False
    ).first()  # fmt: skip
    if bulk is None:
        return False
    item = next((one for one in bulk.items if _waits(bulk, one)), None)
    if item is None:
        ended = {"finished_at": timezone.now()} if bulk.started_at else {}
        BulkAct.objects.filter(pk=pk).update(pending_at=None, **ended)
        return False
    try:
        with transaction.atomic():
            if bulk.started_at:
                item["done"], item["said"] = _one(_verb(bulk), item, bulk.user)
            else:
                item["skip"] = _look(bulk, item)
    except moves.GuardFailed as refusal:  # the colleague's account closed meanwhile
        item["said"] = str(refusal)
    except Exception:  # one dossier's trouble is not the others'
        logger.exception("Bulk act %s stumbles on dossier %s", pk, item["pk"])
        item["said" if bulk.started_at else "skip"] = STUMBLED
    BulkAct.objects.filter(pk=pk).update(items=bulk.items)
    return True


def _waits(bulk: BulkAct, item: Item) -> bool:
    return (not item["skip"] and not item["done"] and not item["said"]) if bulk.started_at else item["skip"] is None


def _look(bulk: BulkAct, item: Item) -> str:
    """Return why the act would leave a dossier alone, as it stands now, "" when it would not."""
    followed = Dossier.objects.followed_by(bulk.user).filter(pk=item["pk"]).values("pk")
    dossier = complete().filter(pk__in=followed).first()
    if dossier is None:
        return OUT_OF_SIGHT
    item["version"] = dossier.version
    return _skip(bulk, dossier, bulk.user, colleague_of(bulk))


def _one(verb: Callable[[Dossier, int], object], item: Item, user: User) -> tuple[bool, str]:
    """Act on one dossier as its person, whose rights are read again; return whether it is done, and why not."""
    if not user.is_active:
        return False, "Votre compte n’est plus actif."
    followed = Dossier.objects.followed_by(user).filter(pk=item["pk"]).values("pk")
    dossier = complete().filter(pk__in=followed).first()
    if dossier is None:
        return False, OUT_OF_SIGHT
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
