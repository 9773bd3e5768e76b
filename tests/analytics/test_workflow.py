"""Who enters a group, and when."""

from datetime import date

import pytest

from onboarding.analytics.workflow import enroll
from suite.journal.models import Event
from tests.factories.accounts import UserFactory
from tests.factories.analytics import PilotGroupFactory
from tests.factories.directory import CommuneFactory

pytestmark = pytest.mark.django_db

SPRING, SUMMER = date(2025, 4, 21), date(2025, 7, 7)


class TestEnroll:
    def test_who_is_in_already_keeps_its_first_date(self) -> None:
        group, first, second = PilotGroupFactory.create(), CommuneFactory.create(), CommuneFactory.create()

        assert enroll(group, [first], since=SPRING, by=None) == 1
        assert enroll(group, [first, second], since=SUMMER, by=None) == 1

        assert dict(group.members.values_list("organization", "since")) == {first.pk: SPRING, second.pk: SUMMER}

    def test_the_journal_names_those_who_came_and_nothing_when_nobody_did(self) -> None:
        group, commune, user = PilotGroupFactory.create(), CommuneFactory.create(), UserFactory.create()

        enroll(group, [commune], since=SPRING, by=user)
        enroll(group, [commune], since=SPRING, by=user)

        [event] = Event.objects.about("pilot_group", group.pk)
        assert (event.kind, event.actor) == ("pilot_group.enrolled", user.pk)
        assert event.payload == {"organizations": [str(commune.pk)], "since": "2025-04-21"}

    def test_one_commune_may_be_in_two_groups(self) -> None:
        commune = CommuneFactory.create()

        assert [enroll(PilotGroupFactory.create(), [commune], since=SPRING, by=None) for _ in range(2)] == [1, 1]
