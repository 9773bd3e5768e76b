"""Asked again when a text changes: once per stage, the latest only after a gap."""

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from onboarding.agreements import asking
from onboarding.agreements.models import Asked
from onboarding.agreements.tasks import ask
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.notices.models import Notice
from tests.agreements.test_workflow import accepted
from tests.factories.agreements import TextFactory

pytestmark = pytest.mark.django_db


def sent() -> list[tuple[str, str]]:
    return list(Notice.objects.order_by("created_at").values_list("kind", "recipient"))


@pytest.fixture
def changed(commune: Organization, manager: User) -> dt.date:
    """Accept all that is in force, then publish a new convention as of today; return the day."""
    accepted(commune, manager)
    today = timezone.localdate()
    TextFactory.create(effective_on=today, grace_days=60)
    return today


def test_managers_are_asked_once_reminded_once_and_the_operator_told_once(
    changed: dt.date, manager: User, operator: Operator
) -> None:
    for day in (0, 0, 1, 30):
        asking.sweep(changed + dt.timedelta(days=day))
    assert sent() == [("agreements_to_accept", manager.email)]

    for day in (46, 47, 60):
        asking.sweep(changed + dt.timedelta(days=day))
    assert sent() == [("agreements_to_accept", manager.email)] * 2

    for day in (61, 62, 300):
        asking.sweep(changed + dt.timedelta(days=day))
    assert sent()[2:] == [("agreements_to_accept", manager.email), ("agreements_overdue", operator.email)]


def test_r23_after_a_gap_only_the_latest_stage_is_sent(changed: dt.date, manager: User) -> None:
    asking.sweep(changed + dt.timedelta(days=50))

    assert sent() == [("agreements_to_accept", manager.email)]
    assert list(Asked.objects.order_by("due_on").values_list("stage", "skipped")) == [
        ("asked", True),
        ("reminder", False),
    ]


def test_who_has_accepted_is_left_alone(changed: dt.date, commune: Organization, manager: User) -> None:
    accepted(commune, manager)
    asking.sweep(changed + dt.timedelta(days=61))

    assert sent() == []


def test_a_second_new_version_is_asked_for_too(changed: dt.date, manager: User) -> None:
    asking.sweep(changed)
    with time_machine.travel(timezone.now() + dt.timedelta(days=20), tick=False):
        TextFactory.create(effective_on=timezone.localdate())
        asking.sweep()

    assert sent() == [("agreements_to_accept", manager.email)] * 2


def test_the_message_says_what_changes_until_when_and_where(changed: dt.date, commune: Organization) -> None:
    ask()
    notice = Notice.objects.get()

    assert "Le préavis passe à six mois." in notice.body_text
    assert f"/conventions/collectivites/{commune.pk}/accepter/" in notice.body_text
    assert "Jusqu" in notice.body_html or "jusqu" in notice.body_html


def test_the_banner_shows_it_to_managers_and_not_to_strangers(
    changed: dt.date, commune: Organization, manager: User, lead: User
) -> None:
    for user, seen in ((manager, True), (lead, False)):
        client = Client()
        client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
        html = client.get("/demandes/").content.decode()
        assert (f"/conventions/collectivites/{commune.pk}/accepter/" in html) is seen
