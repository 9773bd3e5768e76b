"""By when a dossier is to be taken and decided, in working days, and how near that is.

The clock starts at the first sending, stands still while the commune corrects, and is not set back by its answer. It
starts anew when a closed dossier is reopened. The verbs store what comes out (`Dossier.due_at`), for lists to sort by.
"""

import datetime as dt
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from onboarding.intake.calendar import add_working_days, advance, worked, working_days_between
from onboarding.intake.models import Dossier
from onboarding.intake.trade import CLOSED_DAYS, DELAYS
from suite.accounts.models import OperatorRole, User
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.trade import reading
from suite.trade.models import Setting
from suite.trade.workflow import subject

# `requests.md` 5. In how many working days a dossier is taken and decided is a setting of the trade.
WATCHED_SHARE = 0.6
MOST_LATE = 50

ON_TIME, WATCH, LATE = "dans les délais", "à surveiller", "en retard"
# The states in which an operator is awaited.
RUNNING = frozenset({Dossier.Status.SUBMITTED, Dossier.Status.IN_REVIEW, Dossier.Status.SECOND_APPROVAL})


class Clock(NamedTuple):
    """The columns of the clock: moments are aware, null where nothing runs; `waited_days` are working days."""

    clock_at: dt.datetime | None
    waited_days: int
    paused_at: dt.datetime | None
    due_at: dt.datetime | None
    watch_at: dt.datetime | None

    def columns(self) -> dict[str, Any]:
        """Return them by name, as `update()` wants them."""
        return self._asdict()


def band(dossier: Dossier, now: dt.datetime) -> str:
    """Return « dans les délais », « à surveiller » (over 60 % of the time gone) or « en retard »; "" without a clock.

    Reads the stored columns only: no query, no calendar.
    """
    if dossier.due_at is None:
        return ""
    if now >= dossier.due_at:
        return LATE
    if dossier.watch_at is not None and now > dossier.watch_at:
        return WATCH
    return ON_TIME


def clock(dossier: Dossier, event: str, target: str, at: dt.datetime) -> Clock:
    """Return the clock once `event` has brought the dossier, as it stands, to `target` at `at`."""
    department = department_of(dossier)
    started = dossier.clock_at or dossier.submitted_at
    waited, paused = dossier.waited_days, dossier.paused_at
    if event in {"submit", "reopen"}:
        started, waited, paused = at, 0, None
    elif dossier.status == Dossier.Status.NEEDS_CHANGES and target != Dossier.Status.NEEDS_CHANGES:
        waited += working_days_between(paused or dossier.changed_at, at, department)
        paused = None
    elif target == Dossier.Status.NEEDS_CHANGES and dossier.status != target:
        paused = at
    aims = DELAYS.current()
    return _due(started, waited, paused, target, aims.take if event == "submit" else aims.decide, department)


def restored(dossier: Dossier) -> Clock:
    """Return the clock of a dossier as it stands, its due date counted again: after the calendar changed."""
    waiting = dossier.status == Dossier.Status.SUBMITTED
    # Put back in the queue, it is to be decided as soon as before: only the first wait is one of two days.
    taken = waiting and Event.objects.filter(stream="dossier", subject=dossier.pk, kind="take").exists()
    days = DELAYS.current().take if waiting and not taken else DELAYS.current().decide
    started = dossier.clock_at or dossier.submitted_at
    return _due(started, dossier.waited_days, dossier.paused_at, dossier.status, days, department_of(dossier))


def _due(  # noqa: PLR0913, PLR0917 - a clock has these facts
    started: dt.datetime | None, waited: int, paused: dt.datetime | None, target: str, days: int, department: str
) -> Clock:
    if started is None or target not in RUNNING:
        return Clock(started, waited, paused, None, None)
    due = add_working_days(started, days + waited, department)
    # What the commune took is not ours: 60 % of the rest.
    pause = dt.timedelta(days=waited)
    ours = max(worked(started, due, department) - pause, dt.timedelta())
    return Clock(started, waited, paused, due, advance(started, pause + ours * WATCHED_SHARE, department))


def department_of(dossier: Dossier) -> str:
    """Return the département whose calendar counts: the commune's own, an EPCI's first; "" when none is known."""
    organization = dossier.organization
    return organization.department_id or next(iter(organization.departments), "")


def recount() -> int:
    """Count the due dates of all open dossiers again, in a calendar that changed; return how many moved."""
    moved = 0
    for dossier in Dossier.objects.open().select_related("organization").iterator(chunk_size=500):
        fresh = restored(dossier)
        if (fresh.due_at, fresh.watch_at) != (dossier.due_at, dossier.watch_at):
            # The version in the filter: whoever moves the dossier meanwhile counts for itself.
            moved += Dossier.objects.filter(pk=dossier.pk, version=dossier.version).update(**fresh.columns())
    return moved


def wake() -> None:
    """Have a worker count again what a setting changed; a lost call costs one sweep."""
    current_app.send_task("onboarding.intake.tasks.follow_settings", expires=60, retry=False)


def follow_settings() -> int:
    """Count again where a version came into force that was not counted with yet; return how many due dates moved.

    The journal remembers: a version whose day comes in six months, or one saved while no worker ran, is not forgotten.
    """
    reading.forget()  # a worker may hold what was true two seconds ago
    waiting = []
    for key in (CLOSED_DAYS.key, DELAYS.key):
        row = Setting.objects.about(key).filter(valid_from__lte=timezone.now()).first()
        about = subject(key, None)
        done = Event.objects.about("setting", about).filter(kind="setting.applied")
        if row is not None and not done.filter(payload__version=row.version).exists():
            waiting.append((about, row))
    moved = recount() if waiting else 0
    for about, row in waiting:
        record(
            "setting", about, "setting.applied", by=None,
            payload={"key": row.key, "version": row.version, "moved": moved},
        )  # fmt: skip
    return moved


def late_for(user: User) -> list[tuple[str, str]]:
    """Return (line, whole address) of each late dossier that waits for this person, the latest first.

    Its own, and those of its reach that nobody instructs; for a lead, those of its team as well.
    """
    found = Dossier.objects.followed_by(user).filter(status__in=RUNNING, due_at__lte=timezone.now())
    led = user.operator_roles.filter(active=True, role=OperatorRole.Role.LEAD).values("operator")
    mine = Q(assignee=user) | Q(assignee__isnull=True) | Q(operator__in=led)
    rows = found.filter(mine).select_related("organization").order_by("due_at", "pk")[:MOST_LATE]
    return [
        (
            f"{it.reference}, {it.organization.name}, attendue le {date_format(timezone.localtime(it.due_at), 'j F')}",
            f"{settings.PUBLIC_BASE_URL}{reverse('desk:detail', args=[it.pk])}",
        )
        for it in rows
    ]


def age(dossier: Dossier, now: dt.datetime) -> int:
    """Return how many working days ago the dossier was first sent."""
    return working_days_between(dossier.submitted_at or dossier.created_at, now, department_of(dossier))
