"""Domains that expire: renewed where it was agreed, told in time, an alarm when it fails."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import renewals, renewals_workflow
from onboarding.provisioning.backends.local import LocalRegistrar
from onboarding.provisioning.errors import Refused
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.move_models import DueStage, Renewal
from suite.notices.models import Notice
from tests.factories.accounts import OperatorRoleFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


class Penniless(LocalRegistrar):
    """Holds names, and has no money left to renew them."""

    def ensure_renewed(self, domain: str, until: dt.datetime) -> None:
        raise Refused("no_credit", "Le compte du bureau d’enregistrement est vide.")


class Liar(LocalRegistrar):
    """Says done, and is not."""

    def ensure_renewed(self, domain: str, until: dt.datetime) -> None:
        pass


@pytest.fixture
def held() -> Deployment:
    built = deployment(registered=True)
    LocalRegistrar().ensure_registered(built.domain, owner=built.owner)
    built.steps.filter(name=Step.Name.REGISTRATION).update(status="done", finished_at=timezone.now())
    return built


def agree(built: Deployment) -> None:
    instructor = OperatorRoleFactory.create(operator=built.operator, role="instructor").user
    renewals_workflow.agree(built, by=instructor, automatic=True)


def end(built: Deployment) -> dt.datetime:
    return LocalRegistrar().expires_at(built.domain)


def told(built: Deployment) -> list[tuple[str, str]]:
    rows = Notice.objects.filter(kind="renewal_due").order_by("created_at").values_list("subject", "recipient")
    return [(subject.partition(" expire ")[2] or "fin", recipient) for subject, recipient in rows]


def sweep_at(moment: dt.datetime) -> int:
    with time_machine.travel(moment, tick=False):
        return renewals.sweep()


def test_a_name_is_renewed_once_for_a_year_where_the_operator_agreed(held: Deployment) -> None:
    agree(held)
    first = end(held)
    for days in (100, 61, 59, 58, 30, 1):
        sweep_at(first - dt.timedelta(days=days))
    assert end(held) == renewals.one_year_after(first)
    row = Renewal.objects.get(deployment=held)
    assert (row.expires_at, row.alarm_since) == (renewals.one_year_after(first), None)
    assert row.renewed_at is not None
    assert told(held) == []


def test_without_consent_nothing_is_bought_and_the_operator_is_told_at_each_window(held: Deployment) -> None:
    first = end(held)
    for days in (90, 59, 45, 29, 14, 6, 0.5, -1):
        sweep_at(first - dt.timedelta(days=days))
        sweep_at(first - dt.timedelta(days=days))
    assert end(held) == first
    operator, commune = held.operator.email, held.welcome_email
    words = told(held)
    assert [word for word, recipient in words if recipient == operator] == [
        "dans 59 jours", "dans 29 jours", "dans 14 jours", "dans 6 jours", "dans 0 jour", "fin",
    ]  # fmt: skip
    assert len([word for word, recipient in words if recipient == commune]) == 4


def test_after_three_weeks_without_a_sweep_one_message_leaves_and_the_rest_is_written(held: Deployment) -> None:
    first = end(held)
    sweep_at(first - dt.timedelta(days=59))
    sweep_at(first - dt.timedelta(days=5))
    assert [word for word, recipient in told(held) if recipient == held.operator.email] == [
        "dans 59 jours", "dans 5 jours",
    ]  # fmt: skip
    skipped = DueStage.objects.filter(outcome="skipped").values_list("kind", flat=True)
    assert set(skipped) == {"renewal_30", "renewal_15"}


@pytest.mark.parametrize(("backend", "code"), [("Penniless", "no_credit"), ("Liar", "not_renewed")])
def test_a_renewal_that_fails_is_an_alarm_for_the_operator(
    held: Deployment, settings: Settings, backend: str, code: str
) -> None:
    settings.BACKENDS = {**settings.BACKENDS, "registrar": f"tests.provisioning.test_renewals.{backend}"}
    agree(held)
    first = end(held)
    sweep_at(first - dt.timedelta(days=59))
    assert told(held) == []  # a day's trouble, two months ahead
    sweep_at(first - dt.timedelta(days=57))
    row = Renewal.objects.get(deployment=held)
    assert row.code == code
    assert row.alarm_since is not None
    assert [recipient for _, recipient in told(held)] == [held.operator.email]


def test_a_commune_s_own_domain_is_spoken_of_once_its_date_is_known() -> None:
    built = deployment(external=True)
    now = timezone.now()
    assert renewals.sweep() == 0
    renewals.learn(built, now + dt.timedelta(days=20))
    assert renewals.sweep() == 1
    assert [recipient for _, recipient in told(built)] == [built.welcome_email]


def test_nothing_expires_under_the_shared_zone() -> None:
    deployment()
    renewals.sweep()
    assert not Renewal.objects.exists()


def test_the_29th_of_february_has_a_next_year() -> None:
    assert renewals.one_year_after(dt.datetime(2028, 2, 29, tzinfo=dt.UTC)) == dt.datetime(2029, 2, 28, tzinfo=dt.UTC)
