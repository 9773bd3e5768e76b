"""Working days as a commune lives them: its département's public holidays, in its département's time.

A day is a working day where the town hall is: Saint-Étienne is one in Paris and none in Strasbourg, and a Monday begins
in Nouméa ten hours before it does in Paris. Public holidays come from the `holidays` library (Code du travail, L3133-1;
Alsace-Moselle, L3134-13; overseas, L3422-2 and the local laws); `settings.CLOSED_DAYS` and the
lead operators' own setting add closures.
"""

import datetime as dt
from collections.abc import Collection
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from django.conf import settings

from onboarding.intake.trade import CLOSED_DAYS

PARIS = "Europe/Paris"
SATURDAY = 5
DAY = dt.timedelta(days=1)

# The library's own names of the places that have days of their own; everywhere else the national list stands.
SUBDIVISIONS = {
    "57": "57", "67": "6AE", "68": "6AE",
    "971": "971", "972": "972", "973": "973", "974": "974", "975": "PM", "976": "976", "977": "BL", "978": "MF",
    "984": "TF", "986": "WF", "987": "PF", "988": "NC",
}  # fmt: skip
ZONES = {
    "971": "America/Guadeloupe",
    "972": "America/Martinique",
    "973": "America/Cayenne",
    "974": "Indian/Reunion",
    "975": "America/Miquelon",
    "976": "Indian/Mayotte",
    "977": "America/St_Barthelemy",
    "978": "America/Marigot",
    "984": "Indian/Kerguelen",
    "986": "Pacific/Wallis",
    "987": "Pacific/Tahiti",
    "988": "Pacific/Noumea",
}


def working_days_between(start: dt.datetime, end: dt.datetime, department: str) -> int:
    """Return how many working days have begun since `start`: its own day does not count, that of `end` does.

    Days are those of the département's own clock; "" means Paris. 0 when `end` is not later than `start`.

    Raises:
        ValueError: a time is naive.
    """
    first, last = _local(start, department).date(), _local(end, department).date()
    whole = (last - first).days
    if whole <= 0:
        return 0
    weeks, rest = divmod(whole, 7)
    weekdays = weeks * 5 + sum((first + DAY * n).weekday() < SATURDAY for n in range(1, rest + 1))
    off = {day for year in range(first.year, last.year + 1) for day in _off(department, year)}
    return weekdays - sum(first < day <= last and day.weekday() < SATURDAY for day in off)


def add_working_days(start: dt.datetime, days: int, department: str) -> dt.datetime:
    """Return the same local time on the `days`-th working day after `start`; `start` itself for 0. In UTC.

    `working_days_between(start, add_working_days(start, n, d), d) == n`.

    Raises:
        ValueError: the time is naive, or `days` is negative.
    """
    if days < 0:
        raise ValueError(f"{days} working days: only later dates are known.")
    local = _local(start, department)
    day = local.date()
    for _ in range(days):
        day += DAY
        while not is_working_day(day, department):
            day += DAY
    # In local time, so that a change of clocks in between does not move the hour.
    return dt.datetime.combine(day, local.timetz()).astimezone(dt.UTC)


def worked(start: dt.datetime, end: dt.datetime, department: str) -> dt.timedelta:
    """Return how much time passed on working days, each of them from midnight to midnight. Zero if `end` is earlier."""
    here, stop, total = start, _local(end, department), dt.timedelta()
    while (local := _local(here, department)) < stop:
        tomorrow = min(_midnight(local.date() + DAY, department), stop.astimezone(dt.UTC))
        if is_working_day(local.date(), department):
            total += tomorrow - here
        here = tomorrow
    return total


def advance(start: dt.datetime, time: dt.timedelta, department: str) -> dt.datetime:
    """Return when so much time of working days has passed since `start`: `worked`, read backwards. In UTC."""
    here, left = start.astimezone(dt.UTC), time
    while left > dt.timedelta():
        day = _local(here, department).date()
        tomorrow = _midnight(day + DAY, department)
        if is_working_day(day, department):
            if left <= tomorrow - here:
                return here + left
            left -= tomorrow - here
        here = tomorrow
    return here


def is_working_day(day: dt.date, department: str) -> bool:
    """Whether the town halls of the département work that day; "" means Paris."""
    return day.weekday() < SATURDAY and day not in _off(department, day.year)


def zone_of(department: str) -> ZoneInfo:
    """Return the time of the département: Paris's everywhere in Europe, its own overseas."""
    return ZoneInfo(ZONES.get(department, PARIS))


def _local(moment: dt.datetime, department: str) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} bears no time zone.")
    return moment.astimezone(zone_of(department))


def _midnight(day: dt.date, department: str) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone_of(department)).astimezone(dt.UTC)


def _off(department: str, year: int) -> Collection[dt.date]:
    return _holidays(SUBDIVISIONS.get(department), year) | closures(department)


def closures(department: str) -> frozenset[dt.date]:
    """Return the days on which nobody works there beside the public holidays."""
    return CLOSED_DAYS.current().within(department).union(settings.CLOSED_DAYS)


@lru_cache(maxsize=512)
def _holidays(subdivision: str | None, year: int) -> frozenset[dt.date]:
    return frozenset(holidays.country_holidays("FR", subdiv=subdivision, years=year))
