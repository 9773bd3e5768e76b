"""The table of a dossier's moves (`requests.md`, 2.1), and the one door they all go through."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from onboarding.intake import acting, deadlines, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.proposal_models import Proposal
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
    """One line of the table of `requests.md`, 2.1. `target` None leaves the state as it is.

    `guards` says in French, for the documentation, what the verb checks beside the person, the state and the version.
    """

    event: str
    sources: frozenset[str]
    target: str | None
    who: frozenset[Capacity]
    guards: str = ""


_REVIEW = frozenset({S.IN_REVIEW, S.SECOND_APPROVAL})
_DECIDERS = frozenset({Capacity.ASSIGNEE, Capacity.LEAD})
_STAFF = frozenset({Capacity.OPERATOR, *_DECIDERS})
_REQUESTER = frozenset({Capacity.REQUESTER})
_ASSIGNEE = frozenset({Capacity.ASSIGNEE})
_LEAD = frozenset({Capacity.LEAD})
_SYSTEM = frozenset({Capacity.SYSTEM})

SAVE = Move("save", frozenset({S.DRAFT, S.NEEDS_CHANGES}), None, _REQUESTER, "seuls les points signalés sont ouverts")
SUBMIT = Move(
    "submit",
    frozenset({S.DRAFT}),
    S.SUBMITTED,
    _REQUESTER,
    "rien ne manque ; habilitation M1 ; aucune autre demande ouverte de la collectivité",
)
RESUBMIT = Move(
    "resubmit", frozenset({S.NEEDS_CHANGES}), S.IN_REVIEW, _REQUESTER, "chaque point est corrigé ou expliqué"
)
RESUBMIT_UNASSIGNED = Move(
    "resubmit", frozenset({S.NEEDS_CHANGES}), S.SUBMITTED, _REQUESTER, "de même, quand l’instructeur est parti"
)
WITHDRAW = Move("withdraw", frozenset({S.DRAFT, *Dossier.OPEN}), S.WITHDRAWN, _REQUESTER, "page de confirmation")
TAKE = Move(
    "take", frozenset({S.SUBMITTED}), S.IN_REVIEW, frozenset({Capacity.OPERATOR}), "n’est pas de cette collectivité"
)
ASSIGN = Move(
    "assign",
    frozenset({S.IN_REVIEW}),
    S.IN_REVIEW,
    frozenset({Capacity.OPERATOR, Capacity.LEAD}),
    "la personne choisie peut instruire",
)
RELEASE = Move("release", frozenset({S.IN_REVIEW}), S.SUBMITTED, _DECIDERS)
REQUEST_CHANGES = Move(
    "request_changes", _REVIEW, S.NEEDS_CHANGES, _DECIDERS, "au moins un motif, chacun avec un champ"
)
PROPOSE_APPROVAL = Move(
    "propose_approval",
    frozenset({S.IN_REVIEW}),
    S.SECOND_APPROVAL,
    _ASSIGNEE,
    "la décision se prend à deux ; les gardes de l’acceptation ; un motif",
)
APPROVE = Move(
    "approve",
    frozenset({S.IN_REVIEW}),
    S.APPROVED,
    _ASSIGNEE,
    "la décision n’est pas de celles qui se prennent à deux ; rien ne manque ; nom libre ; habilitation suffisante",
)
CONFIRM_APPROVAL = Move(
    "approve",
    frozenset({S.SECOND_APPROVAL}),
    S.APPROVED,
    _LEAD,
    "n’est pas qui propose ; proposition de moins de cinq jours ouvrés, dossier inchangé ; les gardes de l’acceptation",
)
REJECT = Move("reject", _REVIEW, S.REJECTED, _DECIDERS, "au moins un motif, un message ; un doublon nomme l’autre")
EXPIRE = Move(
    "expire",
    frozenset({S.DRAFT, S.NEEDS_CHANGES}),
    S.EXPIRED,
    _SYSTEM,
    "échéance passée, annoncée par un message remis",
)
LAPSE = Move(
    "lapse", frozenset({S.SECOND_APPROVAL}), S.IN_REVIEW, _SYSTEM, "cinq jours ouvrés passés, ou dossier changé"
)
REOPEN = Move(
    "reopen",
    frozenset({S.REJECTED, S.EXPIRED}),
    S.IN_REVIEW,
    _LEAD,
    "n’est pas qui a refusé ; un motif ; aucune autre demande ouverte ; noms encore libres",
)
PROPOSE_REVOCATION = Move("propose_revocation", frozenset({S.APPROVED}), None, _LEAD, "un motif")
LAPSE_REVOCATION = Move("lapse", frozenset({S.APPROVED}), None, _SYSTEM, "comme d’une acceptation proposée")
REVOKE = Move(
    "revoke",
    frozenset({S.APPROVED}),
    S.REVOKED,
    _LEAD,
    "n’est pas qui propose ; proposition de moins de cinq jours ouvrés ; n’efface rien",
)

# What stops while the town hall's objection waits for an operator: asking and accepting, not refusing or withdrawing.
FREEZABLE = frozenset({"save", "submit", "resubmit", "propose_approval", "approve", "reopen"})

MOVES = (
    SAVE, SUBMIT, RESUBMIT, RESUBMIT_UNASSIGNED, WITHDRAW, TAKE, ASSIGN, RELEASE, REQUEST_CHANGES, PROPOSE_APPROVAL,
    APPROVE, CONFIRM_APPROVAL, REJECT, EXPIRE, LAPSE, REOPEN, PROPOSE_REVOCATION, LAPSE_REVOCATION, REVOKE,
)  # fmt: skip


def allowed(dossier: Dossier, user: User) -> frozenset[str]:
    """Return the events this person may cause now: what draws the buttons. Two queries, three once approved."""
    held = rules.capacities(dossier, user)
    events = {move.event for move in MOVES if dossier.status in move.sources and move.who & held}
    return frozenset(events - _first_person(dossier, user, events))


def _first_person(dossier: Dossier, user: User, events: set[str]) -> set[str]:
    """Return the events that wait for another person than this one, or for a proposal."""
    if dossier.status == S.SECOND_APPROVAL:  # who proposes is who instructs
        return {"approve"} if dossier.assignee_id == user.pk else set()
    if "reopen" in events and dossier.decided_by_id == user.pk:
        return {"reopen"}
    if "revoke" in events:
        waiting = next((one for one in dossier.proposals.all() if one.closed_at is None), None)
        if waiting is None:
            return {"revoke"}
        return {"propose_revocation", *({"revoke"} if waiting.proposer_id == user.pk else ())}
    return set()


def authorise(move: Move, dossier: Dossier, by: User | None) -> None:
    """Raise NotAllowed unless the person may make this move, were the dossier in the right state. None: the clock."""
    if by is None:
        if Capacity.SYSTEM not in move.who:
            raise NotAllowed("Cette action revient à une personne.")
        return
    who = move.who
    if dossier.status not in move.sources and who & _STAFF:
        # Who reads the dossier learns that it moved on, rather than that it has no right.
        who = who | {Capacity.OPERATOR}
    if who & rules.capacities(dossier, by):
        return
    if rules.is_insider(dossier, by) and move.who & rules.staff_capacities(dossier, by):
        raise NotAllowed("Vous êtes rattaché à cette collectivité : un collègue doit instruire sa demande.")
    if operator_scope(by):
        if move.who == _LEAD:
            raise NotAllowed("Cette action revient à une personne responsable chez l’opérateur.")
        if move.who == _ASSIGNEE and dossier.assignee:
            raise NotAllowed("Cette action revient à la personne qui instruit la demande.")
        if move.who == _DECIDERS and dossier.assignee:
            raise NotAllowed(
                "Cette action revient à la personne qui instruit la demande, ou à une personne responsable."
            )
    raise NotAllowed("Votre rôle ne permet pas cette action sur cette demande.")


def apply(  # noqa: PLR0913 - an event has these facts
    move: Move,
    dossier: Dossier,
    *,
    by: User | None,
    version: int,
    at: datetime | None = None,
    payload: dict[str, Any] | None = None,
    comment: str = "",
    **changes: Any,  # noqa: ANN401 - columns of the dossier
) -> tuple[Dossier, Event]:
    """Make one move, or refuse it: rights, then state, then version; the event is written in the same transaction.

    The rights were read from `dossier`, which is why its version must still be the stored one. `at` is when, for the
    dates of the dossier and of its event alike: now unless told.
    """
    authorise(move, dossier, by)
    before, at = dossier.status, at or timezone.now()
    target = move.target or before
    rows = 0
    if dossier.version == version and before in move.sources:
        clock = deadlines.clock(dossier, move.event, target, at)
        rows = Dossier.objects.filter(pk=dossier.pk, version=version, status=before).update(
            status=target, version=F("version") + 1, changed_at=at, **{**clock.columns(), **changes}
        )
    now = Dossier.objects.select_related("organization", "operator", "assignee", "author").get(pk=dossier.pk)
    if not rows:
        raise WrongState(now) if now.status not in move.sources else Stale(now)
    if move.event in FREEZABLE and acting.is_frozen(now):
        raise GuardFailed([Problem("organization", 0, FROZEN)])
    # A proposal is about the dossier as it was: whatever moves it, or ends its wait, ends the proposal too.
    Proposal.objects.filter(dossier=now, closed_at__isnull=True).update(closed_at=at, outcome=Proposal.Outcome.ENDED)
    known = {} if move.event == "save" else rules.facts(now)
    told = {"from": before, "to": now.status, "assignee": str(now.assignee_id) if now.assignee_id else None}
    event = journal.record(
        STREAM, dossier.pk, move.event, by=by, payload={**known, **told, **(payload or {})}, comment=comment,
        effective_at=at,
    )  # fmt: skip
    return now, event


def is_second_open(error: IntegrityError) -> bool:
    """Whether the database refused a second open dossier of one organization."""
    diagnostic = getattr(error.__cause__, "diag", None)
    return getattr(diagnostic, "constraint_name", "") == "dossier_one_open_per_organization"
