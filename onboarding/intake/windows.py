"""What happens by itself when a date has passed: reminders, expiry, lateness, proposals that lapse.

A stage is due when its date is past and the ledger (`DueItem`) does not hold it for that date: a sweep that did not run
for days catches up, and one that runs twice does nothing twice. After a gap only the latest stage happens, the ones it
overtook are written as skipped. Nobody's dossier is closed without a warning that left before, nor in such numbers that
something must be wrong.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.utils import timezone

from onboarding.intake import clock_workflow, deadlines
from onboarding.intake.due_models import DueItem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import Refusal
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.trade import DELAYS
from suite.notices.models import Notice

logger = logging.getLogger(__name__)
S = Dossier.Status

# How much of one kind of work a sweep does before the next.
BATCH = 500


@dataclass(frozen=True)
class Window:
    """A wait for the commune. Days are of 24 hours, from `anchor`; the last warning always comes `notice` before."""

    name: str
    status: str
    anchor: str
    reminders: tuple[int, ...]
    expiry: int

    def kind(self, rank: int) -> str:
        """Return the name of a reminder in the ledger: not its day, which is a setting and may change."""
        return f"{self.name}_reminder_{rank + 1}"

    @property
    def notice(self) -> dt.timedelta:
        """How long before the end the last warning comes, even a late one."""
        return dt.timedelta(days=self.expiry - self.reminders[-1])


def windows() -> tuple[Window, ...]:
    """Return the waits of `requests.md`, 1 and 2.1, with the days that the lead operators set."""
    days = DELAYS.current()
    drafts = (days.draft_first_reminder, days.draft_second_reminder)
    changes = (days.changes_first_reminder, days.changes_second_reminder)
    return (
        Window("draft", S.DRAFT, "changed_at", drafts, days.draft_expiry),
        Window("needs_changes", S.NEEDS_CHANGES, "paused_at", changes, days.changes_expiry),
    )


class Due(NamedTuple):
    """What a sweep would do, or did. `blocked`: dossiers that stay open though their time is over, unwarned."""

    reminders: int
    expiries: int
    blocked: int
    late: int
    lapses: int


class TooMany(Exception):
    """More dossiers would be closed at once than the cap allows; none was. The text says how to go on."""


def sweep(now: dt.datetime | None = None, *, cap: int | None = None) -> Due:
    """Do all that is due. Raises TooMany, once the rest is done, when expiries pass the cap: then none happens."""
    now = now or timezone.now()
    cap = settings.INTAKE_EXPIRY_CAP if cap is None else cap
    lapses = sum(_lapse(proposal) for proposal in _lapsing(now)[:BATCH])
    late = sum(_tell_late(pk) for pk in _late(now).values_list("pk", flat=True)[:BATCH])
    reminders = sum(_remind(window, pk, now) for window in windows() for pk in _reminding(window, now)[:BATCH])
    expiring = {window: _expiring(window, now) for window in windows()}
    if (count := sum(found.count() for found in expiring.values())) > cap:
        raise TooMany(
            f"{count} dossiers would expire at once, more than {cap}: none was closed. Look at why; then run "
            f"`manage.py deadlines --cap {count}`."
        )
    expiries = sum(
        _expire(window, pk, now)
        for window, found in expiring.items()
        for pk in list(found.values_list("pk", flat=True))
    )
    return Due(reminders, expiries, _blocked(now), late, lapses)


def preview(now: dt.datetime | None = None) -> Due:
    """Count what a sweep would do now, and do nothing."""
    now = now or timezone.now()
    return Due(
        reminders=sum(_reminding(window, now).count() for window in windows()),
        expiries=sum(_expiring(window, now).count() for window in windows()),
        blocked=_blocked(now),
        late=_late(now).count(),
        lapses=_lapsing(now).count(),
    )


# --- What is due ------------------------------------------------------------------------------------------------------


def _waiting(window: Window, day: int, now: dt.datetime) -> QuerySet[Dossier]:
    """Return the dossiers that reached that day of the window, `stage_at` being when. A null anchor never does."""
    after = dt.timedelta(days=day)
    return Dossier.objects.filter(
        **{"status": window.status, f"{window.anchor}__isnull": False, f"{window.anchor}__lte": now - after}
    ).annotate(stage_at=ExpressionWrapper(F(window.anchor) + after, output_field=DateTimeField()))


def _settled_stage(window: Window, rank: int) -> Exists:
    # Of this wait, whatever its day was when it was settled: another setting does not make it speak twice.
    return Exists(
        DueItem.objects.filter(dossier=OuterRef("pk"), kind=window.kind(rank), due_at__gt=OuterRef(window.anchor))
    )


def _reminding(window: Window, now: dt.datetime) -> QuerySet[Dossier, UUID]:
    """Return the keys of the dossiers with a reminder to send: one reached, not in the ledger for its date."""
    wanted = Q(pk__in=[])
    for rank, day in enumerate(window.reminders):
        reached = _waiting(window, day, now).filter(~_settled_stage(window, rank))
        wanted |= Q(pk__in=reached.values("pk"))
    return Dossier.objects.filter(wanted).order_by("pk").values_list("pk", flat=True)


def _expiring(window: Window, now: dt.datetime) -> QuerySet[Dossier]:
    """Return the dossiers to close: their day is past, and so is the one that a warning which left announced."""
    return _waiting(window, window.expiry, now).filter(Exists(_warnings(window, now)))


def _warnings(window: Window, now: dt.datetime) -> QuerySet[DueItem]:
    return DueItem.objects.filter(
        dossier=OuterRef("pk"),
        kind=window.kind(len(window.reminders) - 1),
        outcome=DueItem.Outcome.DONE,
        due_at__gt=OuterRef(window.anchor),
        notice__state=Notice.State.SENT,
        announced_for__lte=now,
    )


def _blocked(now: dt.datetime) -> int:
    return sum(
        _waiting(window, window.expiry, now).exclude(Exists(_warnings(window, now))).count() for window in windows()
    )


def _late(now: dt.datetime) -> QuerySet[Dossier]:
    told = DueItem.objects.filter(dossier=OuterRef("pk"), kind="late", due_at=OuterRef("due_at"))
    return Dossier.objects.filter(status__in=deadlines.RUNNING, due_at__isnull=False, due_at__lte=now).exclude(
        Exists(told)
    )


def _lapsing(now: dt.datetime) -> QuerySet[Proposal]:
    stale = Q(lapses_at__lte=now) | ~Q(version=F("dossier__version"))
    return Proposal.objects.filter(stale, closed_at__isnull=True).select_related("proposer")


# --- Doing it ---------------------------------------------------------------------------------------------------------


def _lapse(proposal: Proposal) -> bool:
    """Let a proposal lapse; somebody who moved the dossier meanwhile comes first."""
    try:
        return clock_workflow.lapse(proposal) is not None
    except Refusal:
        return False


def _locked(pk: UUID, status: str) -> Dossier | None:
    """Return the dossier, held until the end of the transaction, unless it moved on or another sweep has it."""
    rows = Dossier.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    return rows.filter(pk=pk, status=status).select_related("organization", "author", "operator").first()


@transaction.atomic
def _remind(window: Window, pk: UUID, now: dt.datetime) -> bool:
    dossier = _locked(pk, window.status)
    anchor = getattr(dossier, window.anchor) if dossier else None
    if dossier is None or anchor is None:
        return False
    due = ((rank, anchor + dt.timedelta(days=day)) for rank, day in enumerate(window.reminders))
    reached = [(window.kind(rank), at) for rank, at in due if at <= now]
    kept = set(dossier.due_items.filter(due_at__gt=anchor).values_list("kind", flat=True))
    items = [DueItem(dossier=dossier, kind=kind, due_at=at) for kind, at in reached if kind not in kept]
    # The latest stage speaks, unless it already has: what an earlier one would say is then old news.
    for item in items:
        item.outcome, item.done_at = DueItem.Outcome.SKIPPED, now
    if items and items[-1].kind == reached[-1][0]:
        latest = items[-1]
        latest.outcome = DueItem.Outcome.DONE
        latest.announced_for = max(anchor + dt.timedelta(days=window.expiry), now + window.notice)
        latest.notice = clock_workflow.remind(
            dossier, latest.kind, due_at=latest.due_at, closes_at=latest.announced_for
        )
    DueItem.objects.bulk_create(items)
    return bool(items)


@transaction.atomic
def _expire(window: Window, pk: UUID, now: dt.datetime) -> bool:
    dossier = _locked(pk, window.status)
    if dossier is None or not _expiring(window, now).filter(pk=pk).exists():
        return False
    due_at = getattr(dossier, window.anchor) + dt.timedelta(days=window.expiry)
    DueItem.objects.create(
        dossier=dossier, kind=f"{window.name}_expiry", due_at=due_at, outcome=DueItem.Outcome.DONE, done_at=now
    )
    clock_workflow.expire(dossier, due_at=due_at)
    return True


@transaction.atomic
def _tell_late(pk: UUID) -> bool:
    dossier = (
        Dossier.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(pk=pk, status__in=deadlines.RUNNING, due_at__isnull=False)
        .first()
    )
    if dossier is None or dossier.due_at is None:
        return False
    _, created = DueItem.objects.get_or_create(
        dossier=dossier, kind="late", due_at=dossier.due_at, defaults={"outcome": DueItem.Outcome.DONE}
    )
    if created:
        clock_workflow.tell_late(dossier)
    return created
