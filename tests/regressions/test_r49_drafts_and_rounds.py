"""R49. Upstream counts drafts as requests, and a second sending sets the clock back. Neither happens here."""

import uuid

import pytest

from onboarding.analytics import stories
from tests.analytics.histories import APRIL_SWEEP, MAY_SWEEP, at, decided, dossier, happens, sweep_at, value

pytestmark = pytest.mark.django_db


def test_r49_drafts_are_never_requests_however_they_end() -> None:
    for end in ("withdraw", "expire", "save"):
        draft = uuid.uuid4()
        happens(draft, "create", at(3, 1), to="draft", organization="56196")
        happens(draft, "save", at(3, 2), "draft > draft", step=1)
        happens(draft, end, at(3, 20), "draft > expired", department="56")
    dossier(at(3, 3))
    sweep_at(APRIL_SWEEP)

    assert value("requests") == value("backlog") == (1, 1)
    assert stories.backlog_on(at(3, 31), "national") == 1


def test_r49_a_second_sending_is_no_second_request_and_the_clock_goes_on() -> None:
    asked = dossier(at(3, 1))
    for day in (2, 9):
        happens(asked, "request_changes", at(3, day), "in_review > needs_changes", reasons=["other"])
        happens(asked, "resubmit", at(3, day + 3), "needs_changes > in_review")
    decided(asked, at(3, 15))
    sweep_at(APRIL_SWEEP)

    assert value("requests") == (1, 1)
    # From the 1st to the 15th, ten working days; six of them were the commune's.
    assert value("decision_gross_median") == (10, 1)
    assert value("decision_net_median") == (4, 1)
    assert value("rounds_median") == (2, 1)
    assert value("first_time_right") == (0, 1)
    assert value("late") == (0, 1)
    assert value("reason.request_changes.other") == (2, 2)


def test_r49_a_request_counts_in_the_month_of_its_first_sending_alone() -> None:
    asked = dossier(at(3, 30))
    happens(asked, "request_changes", at(3, 31), "in_review > needs_changes")
    happens(asked, "resubmit", at(4, 2), "needs_changes > in_review")
    decided(asked, at(4, 5))
    sweep_at(MAY_SWEEP)

    april = at(4, 1).date()
    assert value("requests") == (1, 1)
    assert value("requests", month=april) == (0, 0)
    assert value("decisions", month=april) == (1, 1)


def test_r49_the_first_decision_is_the_one_that_counts() -> None:
    asked = dossier(at(3, 1))
    decided(asked, at(3, 3), "reject", reasons=["no_mandate", "no_mandate", "other"])
    happens(asked, "reopen", at(3, 10), "rejected > in_review")
    decided(asked, at(3, 24))
    sweep_at(APRIL_SWEEP)

    assert value("decisions") == (1, 1)
    assert value("approvals") == (0, 0)
    assert value("decision_gross_median") == (2, 1)
    assert value("reason.reject.no_mandate") == value("reason.reject.other") == (1, 1)
    assert value("backlog") == (0, 0)
