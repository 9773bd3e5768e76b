"""Working days."""

import datetime as dt

from django.utils import timezone


def working_days_between(start: dt.datetime, end: dt.datetime, department: str) -> int:  # noqa: ARG001 - no holiday is local here
    """Return how many working days begin after `start` and no later than `end`, Saturdays and Sundays left out."""
    first, last = timezone.localdate(start), timezone.localdate(end)
    days = (first + dt.timedelta(days=number) for number in range(1, (last - first).days + 1))
    return sum(day.weekday() < 5 for day in days)  # noqa: PLR2004 - Monday is 0
