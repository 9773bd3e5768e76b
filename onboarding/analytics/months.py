"""The months that figures are about: their bounds and their closing, on the clock of Paris."""

import datetime as dt
from zoneinfo import ZoneInfo

from onboarding.intake.calendar import PARIS

# A month is closed five whole days after its end: what is learnt later is a revision.
CLOSES_AFTER = dt.timedelta(days=5)
_ZONE = ZoneInfo(PARIS)


def month_of(moment: dt.datetime) -> dt.date:
    """Return the first day of the month, in Paris, of an aware moment."""
    return moment.astimezone(_ZONE).date().replace(day=1)


def following(month: dt.date, count: int = 1) -> dt.date:
    """Return the month `count` months later; earlier when negative."""
    years, index = divmod(month.month - 1 + count, 12)
    return dt.date(month.year + years, index + 1, 1)


def midnight(day: dt.date) -> dt.datetime:
    """Return when a day begins in Paris."""
    return dt.datetime.combine(day, dt.time(), _ZONE)


def bounds(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Return when the month begins, and when the next one does."""
    return midnight(month), midnight(following(month))


def closing(month: dt.date) -> dt.datetime:
    """Return the instant before which an event must be recorded to count in what is published of the month."""
    return midnight(following(month) + CLOSES_AFTER)


def until(last: dt.date, count: int) -> list[dt.date]:
    """Return the `count` months that end with `last`, oldest first."""
    return [following(last, -back) for back in reversed(range(count))]
