"""The table of a dossier's moves (`requests.md`, 2.1), and the one door they all go through."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from onboarding.intake import acting, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.rules import Capacity
from suite.accounts.models import User
from suite.accounts.rights import operator_scope
from suite.journal import workflow as journal
from suite.journal.models import Event

S = Dossier.Status
STREAM = "dossier"
FROZEN = (
    "La mairie conteste cette demande : elle est bloquée jusqu’à ce qu’une personne de notre équipe l’ait examinée. "
    f"Écrivez à {settings.CONTACT_EMAIL}."
)


class Refusal(Exception):
    """A move that was refused; `status` is the HTTP status it deserves, `str()` a French sentence."""

    status = 409


class NotAllowed(Refusal):
    """The person may not make this move."""

    status = 403


class WrongState(Refusal):
    """The dossier is not where this move starts. `dossier` is as it stands."""

    def __init__(self, dossier: Dossier) -> None:
        super().__init__(f"La demande {dossier.reference} est à l’état « {dossier.get_status_display()} ».")
        self.dossier = dossier


class Stale(Refusal):
    """Somebody changed the dossier since the page was shown. `dossier` is as it stands."""

    def __init__(self, dossier: Dossier) -> None:
        super().__init__(f"La demande {dossier.reference} a été modifiée depuis l’affichage de cette page.")
        self.dossier = dossier


class GuardFailed(Refusal):
    """A rule is not met; `problems` says which, field by field."""

    status = 422

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Move:
    """One line of the table of `requests.md`, 2.1. `target` None leaves the state as it is."""

    event: str
    sources: frozenset[str]
    target: str | None
    who: frozenset[Capacity]


_REVIEW = frozenset({S.IN_REVIEW, S.SECOND_APPROVAL})
_DECIDERS = frozenset({Capacity.ASSIGNEE, Capacity.LEAD})
_REQUESTER = frozenset({Capacity.REQUESTER})

SAVE = Move("save", frozenset({S.DRAFT, S.NEEDS_CHANGES}), None, _REQUESTER)
SUBMIT = Move("submit", frozenset({S.DRAFT}), S.SUBMITTED, _REQUESTER)
RESUBMIT = Move("resubmit", frozenset({S.NEEDS_CHANGES}), S.IN_REVIEW, _REQUESTER)
RESUBMIT_UNASSIGNED = Move("resubmit", frozenset({S.NEEDS_CHANGES}), S.SUBMITTED, _REQUESTER)
WITHDRAW = Move("withdraw", frozenset({S.DRAFT, *Dossier.OPEN}), S.WITHDRAWN, _REQUESTER)
TAKE = Move("take", frozenset({S.SUBMITTED}), S.IN_REVIEW, frozenset({Capacity.OPERATOR}))
ASSIGN = Move("assign", frozenset({S.IN_REVIEW}), S.IN_REVIEW, frozenset({Capacity.OPERATOR, Capacity.LEAD}))
RELEASE = Move("release", frozenset({S.IN_REVIEW}), S.SUBMITTED, _DECIDERS)
REQUEST_CHANGES = Move("request_changes", _REVIEW, S.NEEDS_CHANGES, _DECIDERS)
APPROVE = Move("approve", _REVIEW, S.APPROVED, _DECIDERS)
REJECT = Move("reject", _REVIEW, S.REJECTED, _DECIDERS)

# What stops while the town hall's objection waits for an operator: asking and accepting, not refusing or withdrawing.
FREEZABLE = frozenset({"save", "submit", "resubmit", "approve"})

MOVES = (
    SAVE, SUBMIT, RESUBMIT, RESUBMIT_UNASSIGNED, WITHDRAW, TAKE, ASSIGN, RELEASE, REQUEST_CHANGES, APPROVE, REJECT,
)  # fmt: skip


def allowed(dossier: Dossier, user: User) -> frozenset[str]:
    """Return the events this person may cause now: what draws the buttons. Two queries."""
    held = rules.capacities(dossier, user)
    return frozenset(move.event for move in MOVES if dossier.status in move.sources and move.who & held)


def authorise(move: Move, dossier: Dossier, by: User) -> None:
    """Raise NotAllowed unless the person may make this move, were the dossier in the right state."""
    who = move.who
    if dossier.status not in move.sources and who & _DECIDERS:
        # Who reads the dossier learns that it moved on, rather than that it has no right.
        who = who | {Capacity.OPERATOR}
    if who & rules.capacities(dossier, by):
        return
    if rules.is_insider(dossier, by) and move.who & rules.staff_capacities(dossier, by):
        raise NotAllowed("Vous êtes rattaché à cette collectivité : un collègue doit instruire sa demande.")
    if move.event in {"approve", "reject", "request_changes", "release"} and dossier.assignee and operator_scope(by):
        raise NotAllowed("Cette action revient à la personne qui instruit la demande, ou à une personne responsable.")
    raise NotAllowed("Votre rôle ne permet pas cette action sur cette demande.")


def apply(  # noqa: PLR0913 - an event has these facts
    move: Move,
    dossier: Dossier,
    *,
    by: User,
    version: int,
    payload: dict[str, Any] | None = None,
    comment: str = "",
    **changes: Any,  # noqa: ANN401 - columns of the dossier
) -> tuple[Dossier, Event]:
    """Make one move, or refuse it: rights, then state, then version; the event is written in the same transaction.

    The rights were read from `dossier`, which is why its version must still be the stored one.
    """
    authorise(move, dossier, by)
    before = dossier.status
    rows = 0
    if dossier.version == version:
        rows = Dossier.objects.filter(pk=dossier.pk, version=version, status__in=move.sources).update(
            status=move.target or F("status"), version=F("version") + 1, changed_at=timezone.now(), **changes
        )
    now = Dossier.objects.select_related("organization", "operator", "assignee", "author").get(pk=dossier.pk)
    if not rows:
        raise WrongState(now) if now.status not in move.sources else Stale(now)
    if move.event in FREEZABLE and acting.is_frozen(now):
        raise GuardFailed([Problem("organization", 0, FROZEN)])
    event = journal.record(
        STREAM,
        dossier.pk,
        move.event,
        by=by,
        payload={"from": before, "to": now.status, **(payload or {})},
        comment=comment,
    )
    return now, event
