"""Working days: of the département, in its own time, across both changes of clocks."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from onboarding.intake import calendar
from onboarding.intake.calendar import add_working_days, advance, is_working_day, worked, working_days_between

PARIS = ZoneInfo("Europe/Paris")
PLACES = ["", "56", "2A", "57", "67", "68", "971", "972", "973", "974", "975", "976", "977", "978", "986", "987", "988"]
moments = st.datetimes(
    dt.datetime(2024, 1, 1),  # noqa: DTZ001 - the zone is given below
    dt.datetime(2031, 12, 31),  # noqa: DTZ001 - the zone is given below
    timezones=st.just(dt.UTC),
)
places = st.sampled_from(PLACES)


def paris(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("day", "department", "works"),
    [
        ("2026-04-06", "56", False),  # Easter Monday
        ("2026-05-14", "56", False),  # Ascension
        ("2026-11-11", "56", False),
        ("2026-12-26", "56", False),  # a Saturday
        ("2025-12-26", "56", True),
        ("2025-12-26", "57", False),  # Saint-Étienne
        ("2025-12-26", "67", False),
        ("2025-12-26", "68", False),
        ("2026-04-03", "67", False),  # Good Friday
        ("2026-04-03", "57", False),
        ("2026-04-03", "2A", True),
        ("2026-05-27", "971", False),  # abolition of slavery, each place its own day
        ("2026-05-22", "972", False),
        ("2026-06-10", "973", False),
        ("2027-12-20", "974", False),
        ("2026-04-27", "976", False),
        ("2026-05-28", "978", False),
        ("2026-10-09", "977", False),
        ("2026-06-29", "986", False),
        ("2026-03-05", "987", False),
        ("2026-09-24", "988", False),
        ("2026-05-27", "56", True),
        ("2026-06-10", "974", True),
        ("2026-07-14", "988", False),
    ],
)
def test_each_departement_has_its_days(day: str, department: str, works: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_working_day(dt.date.fromisoformat(day), department) is works


@pytest.mark.parametrize(
    ("start", "end", "department", "days"),
    [
        (paris(2026, 11, 20, 10), paris(2026, 11, 20, 18), "56", 0),  # the same day
        (paris(2026, 11, 20, 23, 59), paris(2026, 11, 23, 0, 1), "56", 1),  # Friday to Monday
        (paris(2026, 11, 21, 10), paris(2026, 11, 22, 10), "56", 0),  # a week-end
        (paris(2026, 11, 10, 10), paris(2026, 11, 12, 9), "56", 1),  # over 11 November
        (paris(2025, 12, 24, 10), paris(2025, 12, 29, 10), "56", 2),
        (paris(2025, 12, 24, 10), paris(2025, 12, 29, 10), "67", 1),
        (paris(2026, 1, 1), paris(2027, 1, 1), "56", 252),
        (paris(2026, 11, 23, 10), paris(2026, 11, 20, 10), "56", 0),  # backwards
    ],
)
def test_days_are_counted_after_the_first_and_with_the_last(
    start: dt.datetime, end: dt.datetime, department: str, days: int
) -> None:
    assert working_days_between(start, end, department) == days


def test_a_day_begins_when_it_does_there_and_not_in_paris() -> None:
    sunday_evening_in_paris = paris(2026, 11, 22, 20)
    late_that_monday = paris(2026, 11, 23, 8)
    assert working_days_between(sunday_evening_in_paris, late_that_monday, "56") == 1
    assert working_days_between(sunday_evening_in_paris, late_that_monday, "988") == 0  # it was Monday already
    assert working_days_between(sunday_evening_in_paris, late_that_monday, "987") == 0  # it is still Sunday


def test_r24_both_changes_of_clocks_keep_the_hour_of_the_day() -> None:
    for friday, tuesday, offset_before, offset_after in (
        (paris(2026, 3, 27, 16, 30), paris(2026, 3, 31, 16, 30), 1, 2),
        (paris(2026, 10, 23, 16, 30), paris(2026, 10, 27, 16, 30), 2, 1),
    ):
        due = add_working_days(friday, 2, "56")
        assert due == tuesday
        assert due.tzinfo == dt.UTC
        assert friday.utcoffset() == dt.timedelta(hours=offset_before)
        assert due.astimezone(PARIS).utcoffset() == dt.timedelta(hours=offset_after)
        assert working_days_between(friday, due, "56") == 2
    # An hour that the spring takes away exists on the other side of it.
    gone = add_working_days(dt.datetime(2026, 3, 27, 2, 30, tzinfo=PARIS), 1, "56")
    assert gone == paris(2026, 3, 30, 2, 30)


def test_r24_a_naive_time_is_refused_everywhere() -> None:
    naive, aware = dt.datetime(2026, 11, 23), paris(2026, 11, 24)  # noqa: DTZ001 - the point
    for call in (
        lambda: working_days_between(naive, aware, "56"),
        lambda: working_days_between(aware, naive, "56"),
        lambda: add_working_days(naive, 1, "56"),
        lambda: worked(naive, aware, "56"),
    ):
        with pytest.raises(ValueError, match="time zone"):
            call()


def test_days_are_not_counted_backwards() -> None:
    with pytest.raises(ValueError, match="later"):
        add_working_days(paris(2026, 11, 23), -1, "56")


def test_a_closure_of_the_house_is_no_working_day(settings: Settings) -> None:
    settings.CLOSED_DAYS = [dt.date(2026, 11, 24)]
    assert calendar.closures() == {dt.date(2026, 11, 24)}
    assert add_working_days(paris(2026, 11, 23, 9), 1, "56") == paris(2026, 11, 25, 9)
    assert working_days_between(paris(2026, 11, 23, 9), paris(2026, 11, 25, 9), "56") == 1


@given(moments, st.integers(0, 40), places)
def test_counting_what_was_added_gives_it_back(start: dt.datetime, days: int, department: str) -> None:
    due = add_working_days(start, days, department)
    assert working_days_between(start, due, department) == days
    local = due.astimezone(calendar.zone_of(department))
    assert days == 0 or is_working_day(local.date(), department)


@given(moments, st.timedeltas(dt.timedelta(), dt.timedelta(days=500)), places)
def test_counting_by_weeks_is_counting_day_by_day(start: dt.datetime, length: dt.timedelta, department: str) -> None:
    zone = calendar.zone_of(department)
    first, last = start.astimezone(zone).date(), (start + length).astimezone(zone).date()
    days = [first + dt.timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert working_days_between(start, start + length, department) == sum(
        is_working_day(day, department) for day in days
    )


@given(moments, st.timedeltas(dt.timedelta(), dt.timedelta(days=30)), places)
def test_working_time_is_read_both_ways(start: dt.datetime, time: dt.timedelta, department: str) -> None:
    assert worked(start, advance(start, time, department), department) == time


def test_a_week_end_is_no_working_time() -> None:
    assert worked(paris(2026, 11, 20, 12), paris(2026, 11, 23, 12), "56") == dt.timedelta(days=1)
