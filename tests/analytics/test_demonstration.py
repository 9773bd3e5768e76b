"""The demonstration's group says what the programme said, and no more."""

from datetime import date, timedelta

import pytest
from django.db.models import Sum

from onboarding.analytics.models import PilotGroup
from suite.catalog.models import UsageSample
from suite.demo.figures import COLLECTIVITES, REPORT_WEEK, WEEKS, ensure_pilot
from suite.directory.models import Department, Organization
from suite.journal.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def communes() -> None:
    """Write 3 communes in each of 60 départements, one above the threshold."""
    for number in range(1, 61):
        department = Department.objects.create(code=f"{number:02}", name=f"Département {number}")
        Organization.objects.bulk_create(
            Organization(
                kind=Organization.Kind.COMMUNE,
                code=f"{number:02}{place:03}",
                name=f"Commune {number} {place}",
                nature="COM",
                zone="metro",
                department=department,
                population=population,
            )
            for place, population in enumerate((120, 900, 3499, 3500))
        )


def weekly(week: date) -> dict[str, int]:
    rows = UsageSample.objects.filter(week=week).values("service__slug").annotate(users=Sum("weekly_users"))
    return {row["service__slug"]: row["users"] for row in rows}


def test_the_week_of_the_report_says_what_the_programme_said(communes: None) -> None:
    assert ensure_pilot() == 146
    assert PilotGroup.objects.get().members.count() == 146
    assert weekly(REPORT_WEEK) == {"projets": 350, "fichiers": 200, "messages": 150}


def test_the_communes_are_eligible_and_spread_over_the_departements(communes: None) -> None:
    ensure_pilot()

    members = Organization.objects.filter(pilot_places__isnull=False)
    assert not members.filter(population__gte=3500).exists()
    assert members.values("department").distinct().count() == 60


def test_use_grows_over_the_weeks_before(communes: None) -> None:
    ensure_pilot()

    first = REPORT_WEEK - timedelta(weeks=WEEKS - 1)
    totals = [sum(weekly(first + timedelta(weeks=week)).values()) for week in (0, 8, 16, 24, WEEKS - 1)]
    assert totals == sorted(totals)
    assert totals[0] < 0.2 * totals[-1]


def test_every_sample_is_marked_and_belongs_to_a_collectivite_already_in_the_group(communes: None) -> None:
    ensure_pilot()

    assert not UsageSample.objects.filter(demonstration=False).exists()
    since = dict(PilotGroup.objects.get().members.values_list("organization", "since"))
    assert all(since[sample.organization_id] <= sample.week for sample in UsageSample.objects.all())


def test_a_second_call_changes_nothing(communes: None) -> None:
    ensure_pilot()
    before = (UsageSample.objects.count(), Event.objects.count())

    assert ensure_pilot() == COLLECTIVITES
    assert (UsageSample.objects.count(), Event.objects.count()) == before


def test_without_the_directory_the_remedy_is_named_and_nothing_is_left() -> None:
    with pytest.raises(LookupError, match="import_directory"):
        ensure_pilot()

    assert not PilotGroup.objects.exists()
