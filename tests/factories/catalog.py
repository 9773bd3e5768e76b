"""Services that are not those of the migration, subscriptions, and weeks of use."""

from datetime import date

import factory
from factory.django import DjangoModelFactory

from suite.catalog.models import GB, Service, Subscription, UsageSample
from tests.factories.directory import CommuneFactory, OperatorFactory


class ServiceFactory(DjangoModelFactory[Service]):
    """A service of our own range, outside the base, that stores nothing."""

    class Meta:
        model = Service
        skip_postgeneration_save = True

    id = factory.Sequence(lambda number: 2000 + number)
    slug = factory.LazyAttribute(lambda service: f"service-{service.id}")
    name = factory.LazyAttribute(lambda service: f"Service {service.id}")
    description = "Un service d’essai."

    class Params:
        of_the_base = factory.Trait(base=True)
        limited = factory.Trait(threshold=True)
        storing = factory.Trait(default_quota=10 * GB)
        withdrawn = factory.Trait(offered=False)


class SubscriptionFactory(DjangoModelFactory[Subscription]):
    class Meta:
        model = Subscription

    organization = factory.SubFactory(CommuneFactory)
    service = factory.SubFactory(ServiceFactory)
    operator = factory.SubFactory(OperatorFactory)

    class Params:
        stopped = factory.Trait(active=False)
        boundless = factory.Trait(unlimited=True)


class UsageSampleFactory(DjangoModelFactory[UsageSample]):
    class Meta:
        model = UsageSample

    organization = factory.SubFactory(CommuneFactory)
    service = factory.SubFactory(ServiceFactory)
    week = date(2025, 11, 17)
    weekly_users = 3

    class Params:
        invented = factory.Trait(demonstration=True)
        idle = factory.Trait(weekly_users=0)
