"""Subscribing twice is subscribing once; a week has one figure."""

from datetime import date
from threading import Barrier, Thread

import pytest
from django.db import connection

from suite.catalog.models import GB, Service, Subscription, UsageSample
from suite.catalog.workflow import HeldByAnotherOperatorError, Usage, record_usage, subscribe
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import UserFactory
from tests.factories.catalog import ServiceFactory, SubscriptionFactory
from tests.factories.directory import CommuneFactory, OperatorFactory

MESSAGES, PROCONNECT = 2, 58


@pytest.mark.django_db
class TestSubscribe:
    def test_a_service_comes_with_what_it_requires(self) -> None:
        commune, operator = CommuneFactory.create(), OperatorFactory.create()

        subscribe(commune, Service.objects.get(pk=MESSAGES), operator, quota=10 * GB, by=UserFactory.create())

        assert set(commune.subscriptions.filter(active=True).values_list("service", "quota")) == {
            (MESSAGES, 10 * GB),
            (PROCONNECT, None),
        }

    def test_asking_twice_leaves_one_subscription_and_one_event(self) -> None:
        commune, operator, service = CommuneFactory.create(), OperatorFactory.create(), ServiceFactory.create()

        first = subscribe(commune, service, operator, quota=None, by=None)
        second = subscribe(commune, service, operator, quota=None, by=None)

        assert first == second
        assert Event.objects.about("organization", commune.pk).count() == 1

    def test_a_new_quota_replaces_the_old_one_and_is_in_the_journal(self) -> None:
        commune, operator, service = CommuneFactory.create(), OperatorFactory.create(), ServiceFactory.create()
        subscribe(commune, service, operator, quota=5 * GB, by=None)

        subscribe(commune, service, operator, quota=10 * GB, by=None)

        assert Subscription.objects.get().quota == 10 * GB
        quotas = [event.payload["quota"] for event in Event.objects.about("organization", commune.pk)]
        assert quotas == [5 * GB, 10 * GB]

    def test_a_stopped_service_comes_back_even_from_another_operator(self) -> None:
        stopped = SubscriptionFactory.create(stopped=True)
        operator = OperatorFactory.create()

        again = subscribe(stopped.organization, stopped.service, operator, quota=None, by=None)

        assert (again.pk, again.active, again.operator) == (stopped.pk, True, operator)

    def test_a_service_held_by_another_operator_is_refused_and_nothing_changes(self) -> None:
        held = SubscriptionFactory.create()

        with pytest.raises(HeldByAnotherOperatorError, match="autre opérateur"):
            subscribe(held.organization, held.service, OperatorFactory.create(), quota=None, by=None)

        held.refresh_from_db()
        assert held.operator.name != ""
        assert not Event.objects.exists()

    def test_a_requirement_served_by_another_operator_is_enough(self) -> None:
        other = SubscriptionFactory.create(service=Service.objects.get(pk=PROCONNECT))

        subscribe(
            other.organization, Service.objects.get(pk=MESSAGES), OperatorFactory.create(), quota=10 * GB, by=None
        )

        other.refresh_from_db()
        assert other.organization.subscriptions.filter(active=True).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_who_subscribe_at_once_make_one_subscription() -> None:
    commune, operator, service = CommuneFactory.create(), OperatorFactory.create(), ServiceFactory.create()
    start, errors = Barrier(2), []

    def work(organization: Organization, holder: Operator) -> None:
        try:
            start.wait(timeout=10)
            subscribe(organization, service, holder, quota=GB, by=None)
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=work, args=(commune, operator)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert Subscription.objects.filter(organization=commune, service=service).count() == 1
    assert Event.objects.about("organization", commune.pk).count() == 1


@pytest.mark.django_db
class TestRecordUsage:
    def test_any_day_of_the_week_counts_for_its_monday(self) -> None:
        commune, service = CommuneFactory.create(), ServiceFactory.create()

        assert record_usage([Usage(commune.pk, service.pk, date(2025, 11, 23), 4)]) == 1

        sample = UsageSample.objects.get()
        assert (sample.week, sample.weekly_users, sample.demonstration) == (date(2025, 11, 17), 4, False)

    def test_the_last_figure_of_a_week_replaces_the_first(self) -> None:
        commune, service = CommuneFactory.create(), ServiceFactory.create()
        record_usage([Usage(commune.pk, service.pk, date(2025, 11, 17), 4)], demonstration=True)

        record_usage(
            [
                Usage(commune.pk, service.pk, date(2025, 11, 18), 5),
                Usage(commune.pk, service.pk, date(2025, 11, 19), 6),
            ]
        )

        assert list(UsageSample.objects.values_list("weekly_users", "demonstration")) == [(6, False)]
