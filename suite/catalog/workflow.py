"""The verbs of the catalogue: subscribe an organization to a service, and note how much services are used."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from suite.accounts.models import User
from suite.catalog.models import Service, Subscription, UsageSample
from suite.directory.models import Operator, Organization
from suite.journal.workflow import record


class HeldByAnotherOperatorError(Exception):
    """The organization already has the service from another operator, who must let it go first."""


@transaction.atomic
def subscribe(
    organization: Organization, service: Service, operator: Operator, *, quota: int | None, by: User | None
) -> Subscription:
    """Ensure that the organization has the service, from this operator, with this quota in bytes (None: no storage).

    What the service requires is subscribed first, with its default quota, unless it is active already, whoever serves
    it. Asking twice changes nothing the second time, and the journal has one event per change. `by=None`: the system.

    Raises:
        HeldByAnotherOperatorError: another operator serves it.
    """
    for required in service.requires.exclude(
        pk__in=Subscription.objects.filter(organization=organization, active=True).values("service")
    ):
        subscribe(organization, required, operator, quota=required.default_quota, by=by)
    subscription, created = Subscription.objects.get_or_create(
        organization=organization, service=service, defaults={"operator": operator, "quota": quota}
    )
    if not created:
        wanted = {"operator": operator, "quota": quota, "active": True, "unlimited": False}
        subscription = Subscription.objects.select_for_update().get(pk=subscription.pk)
        if subscription.active and subscription.operator_id != operator.pk:
            raise HeldByAnotherOperatorError(f"{service} est déjà fourni à cette collectivité par un autre opérateur.")
        if all(getattr(subscription, name) == value for name, value in wanted.items()):
            return subscription
        Subscription.objects.filter(pk=subscription.pk).update(**wanted)
        subscription.refresh_from_db()
    record(
        "organization",
        organization.pk,
        "subscription.set",
        by=by,
        payload={"service": service.pk, "operator": str(operator.pk), "quota": quota},
    )
    return subscription


@transaction.atomic
def unsubscribe(organization: Organization, service: Service, operator: Operator, *, by: User | None) -> None:
    """Ensure that the organization has the service from this operator no more; another operator's stays."""
    held = Subscription.objects.filter(organization=organization, service=service, operator=operator, active=True)
    if held.update(active=False):
        facts = {"service": service.pk, "operator": str(operator.pk)}
        record("organization", organization.pk, "subscription.ended", by=by, payload=facts)


class Usage(NamedTuple):
    """The number of people of an organization who used a service during the week of `day`."""

    organization: UUID
    service: int
    day: date
    weekly_users: int


def monday(day: date) -> date:
    """Return the first day of the week."""
    return day - timedelta(days=day.weekday())


def record_usage(usages: Iterable[Usage], *, demonstration: bool = False) -> int:
    """Store weekly samples and return how many; for a week already known, the last figure told replaces the first."""
    samples = {
        (usage.organization, usage.service, monday(usage.day)): UsageSample(
            organization_id=usage.organization,
            service_id=usage.service,
            week=monday(usage.day),
            weekly_users=usage.weekly_users,
            demonstration=demonstration,
        )
        for usage in usages
    }
    UsageSample.objects.bulk_create(
        samples.values(),
        batch_size=2000,
        update_conflicts=True,
        unique_fields=["service", "organization", "week"],
        update_fields=["weekly_users", "demonstration"],
    )
    return len(samples)
