"""Stages ahead of a date: never « on the day », the latest alone after a gap, once."""

import datetime as dt

import pytest

from onboarding.provisioning.due_windows import settle
from onboarding.provisioning.move_models import DueStage
from onboarding.provisioning.renewals import STAGES

pytestmark = pytest.mark.django_db
END = dt.datetime(2027, 6, 1, 0, 0, tzinfo=dt.UTC)


def said(now: dt.datetime) -> str | None:
    line = settle("exemple.fr", STAGES, END, now)
    return line.kind if line else None


def days_before(days: float) -> dt.datetime:
    return END - dt.timedelta(days=days)


def test_each_stage_is_said_once_in_its_time() -> None:
    found = [said(days_before(days)) for days in (70, 61, 60, 59.9, 45, 29.5, 15, 14, 7, 3, 0.9, 0.5, -0.1, -5)]
    assert found == [
        None, None, "renewal_60", None, None, "renewal_30", "renewal_15", None, "renewal_7", None, "renewal_1", None,
        "renewal_0", None,
    ]  # fmt: skip


def test_after_a_gap_the_latest_alone_is_said_and_the_others_are_written_as_skipped() -> None:
    assert said(days_before(6)) == "renewal_7"
    lines = dict(DueStage.objects.values_list("kind", "outcome"))
    assert lines == {
        "renewal_60": "skipped", "renewal_30": "skipped", "renewal_15": "skipped", "renewal_7": "done",
    }  # fmt: skip
    assert said(days_before(5)) is None


def test_a_stage_said_in_its_time_stays_said() -> None:
    said(days_before(60))
    said(days_before(2))
    assert DueStage.objects.get(kind="renewal_60").outcome == "done"


def test_another_date_begins_again() -> None:
    said(days_before(60))
    assert settle("exemple.fr", STAGES, END + dt.timedelta(days=365), END + dt.timedelta(days=310)) is not None
