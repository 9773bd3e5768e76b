"""Publishes each month once it is closed, from the journal alone, and says afterwards what was learnt since.

A figure is published as the events recorded before the month's closing tell it, even when the sweep runs weeks later.
"""

import datetime as dt
from collections.abc import Iterator

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from onboarding.analytics import months, stories
from onboarding.analytics.definitions import VERSION, Measure, compute
from onboarding.analytics.figure_models import NATIONAL, PublishedFigure
from onboarding.analytics.stories import Told
from suite.journal.models import Event

# A transaction dates its event before it commits it: nothing dated before a closing may come so long after it.
GRACE = dt.timedelta(hours=1)
# How many months back a closing looks for what was learnt since.
LOOKS_BACK = 12
_LOCK = "analytics:publish"


class TooEarly(Exception):
    """The month is not closed."""


def sweep(now: dt.datetime | None = None) -> int:
    """Publish every month that is closed and not published, the oldest first; return how many rows were written."""
    now = now or timezone.now()
    return sum(publish(month, now) for month in due(now))


def due(now: dt.datetime) -> list[dt.date]:
    """Return the months to publish: from the first request on, those whose closing is past. Two queries."""
    published = set(_published())
    first = min(published, default=None) or _first_month()
    found = []
    while first is not None and months.closing(first) + GRACE <= now:
        if first not in published:
            found.append(first)
        first = months.following(first)
    return found


def _published() -> list[dt.date]:
    """Return the months published under the definitions of today: the national figure of requests is always there."""
    rows = PublishedFigure.objects.filter(definition_version=VERSION, scope=NATIONAL, metric="requests")
    return list(rows.order_by("period").values_list("period", flat=True).distinct())


def _first_month() -> dt.date | None:
    sent = Event.objects.filter(stream="dossier", kind="submit").aggregate(at=Min("effective_at"))["at"]
    return months.month_of(sent) if sent else None


@transaction.atomic
def publish(month: dt.date, now: dt.datetime | None = None) -> int:
    """Publish one month as of its closing, with what was learnt of the months before; return how many rows.

    A month already published is left as it is: 0.

    Raises:
        TooEarly: the month is not closed, or events of before its closing may still be on their way.
    """
    as_of = months.closing(month)
    if (now or timezone.now()) < as_of + GRACE:
        raise TooEarly(f"{month:%Y-%m} closes on {as_of:%Y-%m-%d}.")
    with connection.cursor() as cursor:
        # Two sweeps at once: the second waits, then finds the month published.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
    known = _published()
    if month in known:
        return 0
    told = stories.read(as_of)
    rows = [_figure(told, month, *figure) for figure in compute(told, month).items()]
    for earlier in known:
        if months.following(month, -LOOKS_BACK) <= earlier < month:
            rows += revised(told, earlier)
    return len(PublishedFigure.objects.bulk_create(rows, batch_size=1000))


def revised(told: Told, month: dt.date) -> Iterator[PublishedFigure]:
    """Yield what the events known today say otherwise of a published month. One query."""
    last: dict[tuple[str, str], Measure] = {}
    for row in PublishedFigure.objects.filter(definition_version=VERSION, period=month).order_by("as_of"):
        last[row.scope, row.metric] = Measure(row.value, row.n)
    fresh = compute(told, month)
    # A figure of the kind that is there only when it counts something may come, and go.
    for key in sorted(fresh.keys() | last.keys()):
        measure = fresh.get(key, Measure(None, 0))
        if measure != last.get(key, Measure(None, 0)):
            yield _figure(told, month, key, measure)


def mismatches() -> Iterator[str]:
    """Rebuild every stored figure from the journal, as of its own instant; yield each that is not what is stored.

    Only the definitions of today are known; what was published under others is passed over.
    """
    stored = PublishedFigure.objects.filter(definition_version=VERSION)
    for as_of in stored.order_by("as_of").values_list("as_of", flat=True).distinct():
        told = stories.read(as_of)
        for month in stored.filter(as_of=as_of).order_by("period").values_list("period", flat=True).distinct():
            fresh = compute(told, month)
            rows = {(row.scope, row.metric): row for row in stored.filter(as_of=as_of, period=month)}
            whole = months.closing(month) == as_of
            for key in sorted(rows.keys() | (fresh.keys() if whole else set())):
                row, measure = rows.get(key), fresh.get(key, Measure(None, 0))
                if row is None or Measure(row.value, row.n) != measure or row.event_high_water != told.high_water:
                    yield f"{month:%Y-%m} {key[0]} {key[1]} {as_of.isoformat()}"


def _figure(told: Told, month: dt.date, key: tuple[str, str], measure: Measure) -> PublishedFigure:
    scope, metric = key
    return PublishedFigure(
        metric=metric,
        definition_version=VERSION,
        scope=scope,
        period=month,
        as_of=told.as_of,
        value=measure.value,
        n=measure.n,
        event_high_water=told.high_water,
    )
