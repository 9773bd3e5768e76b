"""What each figure counts, one story at a time, and when a month closes."""

import datetime as dt
import uuid

import pytest
import time_machine

from onboarding.analytics.figure_models import PublishedFigure
from onboarding.analytics.months import bounds, closing, following, month_of, until
from onboarding.analytics.publishing import TooEarly, publish
from suite.journal.workflow import record
from tests.accounts.threads import together
from tests.analytics.histories import APRIL_SWEEP, MARCH, at, decided, dossier, happens, sweep_at, value


def test_a_month_begins_and_closes_at_midnight_in_paris_on_both_sides_of_the_change_of_clocks() -> None:
    begins, ends = bounds(MARCH)

    assert (begins.astimezone(dt.UTC).hour, ends.astimezone(dt.UTC).hour) == (23, 22)
    assert closing(MARCH) == at(4, 6, 0)
    assert month_of(dt.datetime(2027, 3, 31, 22, 30, tzinfo=dt.UTC)) == dt.date(2027, 4, 1)


def test_months_follow_one_another_over_the_years() -> None:
    assert following(dt.date(2026, 12, 1)) == dt.date(2027, 1, 1)
    assert following(dt.date(2027, 1, 1), -13) == dt.date(2025, 12, 1)
    assert until(dt.date(2027, 1, 1), 3) == [dt.date(2026, 11, 1), dt.date(2026, 12, 1), dt.date(2027, 1, 1)]


@pytest.mark.django_db
class TestPublish:
    def test_a_month_that_is_not_closed_is_refused(self) -> None:
        with pytest.raises(TooEarly, match="2027-03 closes on 2027-04-06"):
            publish(MARCH, at(4, 5))

    def test_an_empty_journal_publishes_nothing(self) -> None:
        assert sweep_at(APRIL_SWEEP) == 0

    def test_the_median_and_the_ninth_decile_are_values_that_occurred(self) -> None:
        # From a Monday on, 1 to 10 working days.
        for days in (2, 3, 4, 5, 8, 9, 10, 11, 12, 15):
            decided(dossier(at(3, 1)), at(3, days))
        sweep_at(APRIL_SWEEP)

        assert value("decision_gross_median") == (5, 10)
        assert value("decision_gross_p90") == (9, 10)

    def test_late_is_after_the_fifth_working_day_the_commune_s_time_apart(self) -> None:
        decided(dossier(at(3, 1)), at(3, 8, 10))
        decided(dossier(at(3, 1)), at(3, 8, 11))
        waited = dossier(at(3, 1))
        happens(waited, "request_changes", at(3, 2), "in_review > needs_changes")
        happens(waited, "resubmit", at(3, 9), "needs_changes > in_review")
        decided(waited, at(3, 12))
        sweep_at(APRIL_SWEEP)

        assert value("late") == (0.3333, 3)

    def test_holidays_are_those_of_the_departement(self) -> None:
        # Good Friday, the 26th, is a holiday in the Bas-Rhin alone; Easter Monday, the 29th, everywhere.
        for department in ("67", "56"):
            decided(dossier(at(3, 25), department), at(3, 30))
        sweep_at(APRIL_SWEEP)

        assert value("decision_gross_median", "department:67") == (1, 1)
        assert value("decision_gross_median", "department:56") == (2, 1)

    def test_only_a_derogation_on_eligibility_or_mandate_is_an_override(self) -> None:
        for sensitive in (["allocation"], ["mandate_override", "allocation"], [], ["assisted"]):
            decided(dossier(at(3, 1)), at(3, 4), sensitive=sensitive)
        sweep_at(APRIL_SWEEP)

        assert value("override") == (0.25, 4)

    def test_an_expiry_reopened_waits_for_the_commune_until_then(self) -> None:
        asked = dossier(at(3, 1))
        happens(asked, "request_changes", at(3, 2), "in_review > needs_changes")
        happens(asked, "expire", at(3, 9), "needs_changes > expired")
        happens(asked, "reopen", at(3, 16), "expired > in_review")
        decided(asked, at(3, 18))
        sweep_at(APRIL_SWEEP)

        assert value("decision_gross_median") == (13, 1)
        assert value("decision_net_median") == (3, 1)

    def test_a_service_with_a_gap_is_not_open(self) -> None:
        dossier(at(3, 1))
        for skipped in (0, 1):
            subject = uuid.uuid4()
            for kind, hour, said in (("started", 9, {"department": "56"}), ("completed", 11, {"skipped": skipped})):
                with time_machine.travel(at(3, 3, hour), tick=False):
                    record("deployment", subject, kind, by=None, payload=said)
        sweep_at(APRIL_SWEEP)

        assert value("services") == value("services", "department:56") == (1, 1)
        assert value("service_median") == (2, 1)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_publish_a_month_once() -> None:
    dossier(at(3, 3))

    written, failures = together(lambda: publish(MARCH, APRIL_SWEEP), 2)

    assert failures == []
    assert sorted(map(bool, written)) == [False, True]
    assert PublishedFigure.objects.count() in written
