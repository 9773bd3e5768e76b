"""The values in force. Each thread keeps what it read, and asks every two seconds whether anything changed: one query.

A save is thus seen everywhere within `FRESH_SECONDS` of its commit, and at once by the thread that made it. Asking at
every request would cost each page a query for what changes a few times a month.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Max, Min
from django.utils import timezone

from suite.trade.models import Setting
from suite.trade.registry import SCHEMAS, Invalid

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0


@dataclass
class Snapshot:
    """All the settings of the site at one moment. `newest` is the last row written, `until` the next one to come."""

    newest: int | None
    loaded_at: datetime
    until: datetime | None
    stored: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)


class _Known(threading.local):
    """What this thread knows; never shared, for it may come from a transaction that does not hold in the end."""

    snapshot: Snapshot | None = None
    asked_at: float | None = None


_known = _Known()


def forget() -> None:
    """Drop all that this thread knows."""
    _known.snapshot = _known.asked_at = None


def assume_empty() -> None:
    """Start from a database where nobody has written a setting: for tests, where that is so."""
    _known.snapshot, _known.asked_at = Snapshot(None, timezone.now(), None, {}), time.monotonic()


def current(key: str) -> Any:  # noqa: ANN401 - each key has its own type
    """Return the value in force of a setting. KeyError when no app has registered it."""
    schema = SCHEMAS[key]
    snapshot = _fresh()
    if key not in snapshot.stored:
        return schema.default()
    if key not in snapshot.values:
        try:
            snapshot.values[key] = schema.load(snapshot.stored[key])
        except Invalid:
            # Written under another version of the code: better the default than a site that answers 500.
            logger.exception("The stored value of the setting %s does not read; its default applies.", key)
            return schema.default()
    return snapshot.values[key]


def _fresh() -> Snapshot:
    asked, known, now = _known.asked_at, _known.snapshot, timezone.now()
    holds = known is not None and known.loaded_at <= now and (known.until is None or now < known.until)
    if known is not None and holds and asked is not None and time.monotonic() - asked < FRESH_SECONDS:
        return known
    newest = Setting.objects.aggregate(newest=Max("id"))["newest"]
    if known is None or not holds or newest != known.newest:
        known = _loaded(newest, now)
    _known.snapshot, _known.asked_at = known, time.monotonic()
    return known


def _loaded(newest: int | None, now: datetime) -> Snapshot:
    if newest is None:
        return Snapshot(None, now, None, {})
    coming = Setting.objects.filter(scope__isnull=True, valid_from__gt=now).aggregate(first=Min("valid_from"))["first"]
    stored = {row.key: row.value for row in Setting.objects.in_force(now)}
    return Snapshot(newest, now, coming, stored)
