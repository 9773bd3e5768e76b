"""In how many working days comparable requests are answered: counted each night from the journal, promised to nobody.

A delay runs from the first sending to the first decision, less the time spent waiting for the commune.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import ceil
from statistics import median
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from onboarding.intake.calendar import working_days_between
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import UsualDelay
from suite.directory.models import Operator
from suite.journal.models import Event

WINDOW = dt.timedelta(days=90)
FEWEST = 20
DECISIONS = ("approve", "reject")
KINDS = (*DECISIONS, "submit", "resubmit", "request_changes")


class Spell(NamedTuple):
    """One dossier's way from its first sending to its first decision, in working days."""

    operator: UUID | None
    family: str
    ours: int
    theirs: int


@transaction.atomic
def count(now: dt.datetime | None = None) -> int:
    """Count the delays of the last 90 days and replace the table; return how many groups were kept. Three queries."""
    now = now or timezone.now()
    groups: dict[tuple[UUID | None, str], list[Spell]] = defaultdict(list)
    for spell in spells(now - WINDOW, now):
        for key in {(spell.operator, spell.family), (None, spell.family)}:
            groups[key].append(spell)
    UsualDelay.objects.all().delete()
    known = set(Operator.objects.values_list("pk", flat=True))
    rows = UsualDelay.objects.bulk_create(
        UsualDelay(
            operator_id=operator,
            family=family,
            since=timezone.localdate(now - WINDOW),
            until=timezone.localdate(now),
            count=len(found),
            half=max(1, ceil(median(one.ours for one in found))),
            most=max(1, sorted(one.ours for one in found)[ceil(0.9 * len(found)) - 1]),
            waiting=ceil(median(one.theirs for one in found)),
        )
        for (operator, family), found in groups.items()
        if len(found) >= FEWEST and (operator is None or operator in known)
    )
    return len(rows)


def spells(since: dt.datetime, until: dt.datetime) -> Iterator[Spell]:
    """Yield each dossier first decided between two instants. Nothing is read but the journal: two queries."""
    recent = Event.objects.filter(
        stream="dossier", kind__in=DECISIONS, recorded_at__gte=since, recorded_at__lt=until
    ).values("subject")
    events = Event.objects.filter(stream="dossier", kind__in=KINDS, subject__in=recent, recorded_at__lt=until)
    known: dict[UUID, list[Event]] = defaultdict(list)
    for event in events.order_by("subject", "seq").iterator(chunk_size=2000):
        known[event.subject].append(event)
    between = lru_cache(maxsize=100_000)(_days)
    for told in known.values():
        sent = next((event for event in told if event.kind == "submit"), None)
        decided = next((event for event in told if event.kind in DECISIONS), None)
        if sent is None or decided is None or decided.recorded_at < since:
            continue
        department = str(sent.payload.get("department") or "")
        theirs = sum(
            between(timezone.localdate(start), timezone.localdate(end), department)
            for start, end in _pauses(told, decided.recorded_at)
        )
        whole = between(timezone.localdate(sent.recorded_at), timezone.localdate(decided.recorded_at), department)
        operator = sent.payload.get("operator")
        yield Spell(
            UUID(operator) if operator else None,
            str(sent.payload.get("family") or ""),
            max(0, whole - theirs),
            theirs,
        )


def _pauses(told: Iterable[Event], until: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield when the commune was waited for, up to the decision."""
    asked: dt.datetime | None = None
    for event in told:
        if event.recorded_at > until:
            break
        if event.kind == "request_changes":
            asked = event.recorded_at
        elif event.kind == "resubmit" and asked is not None:
            yield asked, event.recorded_at
            asked = None
    if asked is not None:
        yield asked, until


def _days(start: dt.date, end: dt.date, department: str) -> int:
    noon = dt.time(12, tzinfo=timezone.get_current_timezone())
    return working_days_between(dt.datetime.combine(start, noon), dt.datetime.combine(end, noon), department)


def usual_delay(operator: Operator | None, family: str) -> UsualDelay | None:
    """Return what was counted for comparable requests: this operator's, else everybody's, else None. One query."""
    family = family or Dossier.Family.SHARED
    rows = UsualDelay.objects.filter(Q(operator=operator) | Q(operator__isnull=True), family=family)
    return min(rows.select_related("operator"), key=lambda row: row.operator_id is None, default=None)
