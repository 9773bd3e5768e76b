"""Whether the site can do its work: what `/readyz` answers, and the heartbeats it reads. No secret, no name in it."""

import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Max, Min
from django.utils import timezone

from onboarding.provisioning.models import Step
from suite.celery import app
from suite.models import Heartbeat
from suite.notices.models import Notice

logger = logging.getLogger(__name__)

# A schedule is late after this many of its intervals, and a margin for a busy worker.
MISSED, MARGIN = 3, timedelta(seconds=30)
OUTBOX_LATE = timedelta(minutes=15)
BROKER_SECONDS = 2
DAY = 86_400.0
# Whose answer each step ending well is.
PROVIDERS = {
    "registrar": (Step.Name.REGISTRATION,),
    "dns": (Step.Name.ZONE, Step.Name.RECORDS),
    "mail": (Step.Name.MAIL_DOMAIN, Step.Name.MAILBOX),
    "storage": (Step.Name.STORAGE,),
    "resolver": (Step.Name.VERIFICATION,),
}


class Part(NamedTuple):
    """One part of the site: whether it works, and the figures behind. A part that only informs is always fine."""

    ok: bool
    facts: dict[str, Any]


def note(task: str) -> None:
    """Remember that a task of the schedule ended well. Never fails the task: a missing beat is what `/readyz` says."""
    if task not in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}:
        return
    try:
        Heartbeat.objects.update_or_create(task=task, defaults={"at": timezone.now()})
    except DatabaseError:
        logger.warning("The heartbeat of %s could not be written.", task)


def look() -> dict[str, Part]:
    """Return each part of the site. Six queries; without a database, only the broker can be said."""
    parts = {"broker": broker()}
    readings: dict[str, Callable[[], Part]] = {
        "database": database,
        "schedules": schedules,
        "outbox": outbox,
        "dead_letters": dead_letters,
        "providers": providers,
    }
    for name, reading in readings.items():
        try:
            parts[name] = reading()
        except DatabaseError as error:
            parts[name] = Part(ok=False, facts={"error": type(error).__name__})
    return parts


def broker() -> Part:
    """Whether messages can be left with the broker; nothing is left there to know it."""
    folders = {name: path for name, path in settings.CELERY_BROKER_TRANSPORT_OPTIONS.items() if "folder" in name}
    missing = sorted(name for name, path in folders.items() if not os.access(path, os.W_OK))
    if missing:
        return Part(ok=False, facts={"error": "missing_folders"})
    try:
        with app.connection_for_write() as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except Exception as error:  # noqa: BLE001 - each transport has its own
        return Part(ok=False, facts={"error": type(error).__name__})
    return Part(ok=True, facts={})


def database() -> Part:
    """Whether the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Part(ok=True, facts={})


def schedules() -> Part:
    """Whether each task of the schedule ended well lately: beat, broker and a worker are all needed for that."""
    now = timezone.now()
    last = dict(Heartbeat.objects.values_list("task", "at"))
    facts, ok = {}, True
    for task, seconds in _intervals():
        at = last.get(task)
        late = at is None or now - at > MISSED * timedelta(seconds=seconds) + MARGIN
        ok = ok and not late
        facts[task] = {"last": _iso(at), "late": late}
    return Part(ok, facts)


def _intervals() -> Iterator[tuple[str, float]]:
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        every: Any = entry["schedule"]
        # What runs by the clock (crontab) runs once a day or more often.
        yield str(entry["task"]), float(every) if isinstance(every, int | float) else DAY


def outbox() -> Part:
    """Whether what is due to be sent leaves."""
    oldest = Notice.objects.due().aggregate(oldest=Min("next_at"))["oldest"]
    age = timezone.now() - oldest if oldest else timedelta()
    return Part(age <= OUTBOX_LATE, {"oldest_seconds": round(age.total_seconds()) if oldest else None})


def dead_letters() -> Part:
    """How long the oldest blocked step has waited for a person: an operator's matter, which no restart mends."""
    oldest = Step.objects.filter(status=Step.Status.BLOCKED).aggregate(oldest=Min("due_at"))["oldest"]
    age = timezone.now() - oldest if oldest else None
    return Part(ok=True, facts={"oldest_seconds": round(age.total_seconds()) if age else None})


def providers() -> Part:
    """When each provider last did what was asked; a quiet day is no failure."""
    done = Step.objects.filter(status=Step.Status.DONE).order_by().values("name").annotate(last=Max("finished_at"))
    last = {row["name"]: row["last"] for row in done}
    facts = {name: _iso(max(filter(None, map(last.get, steps)), default=None)) for name, steps in PROVIDERS.items()}
    return Part(ok=True, facts=facts)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
