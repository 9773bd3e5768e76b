"""Deployments in the situations that tests need."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from onboarding.provisioning import workflow
from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.catalog.models import GB, Service
from suite.directory.models import Operator, Organization

SERVICES = {2: ("messages", "Messages"), 12: ("fichiers", "Fichiers"), 58: ("proconnect", "ProConnect")}


def services() -> tuple[int, ...]:
    """Have the services that plans name."""
    for pk, (slug, name) in SERVICES.items():
        Service.objects.update_or_create(pk=pk, defaults={"slug": slug, "name": name, "offered": True})
    return tuple(SERVICES)


class _Commune(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    kind = Organization.Kind.COMMUNE
    code = factory.Sequence(lambda number: f"{90000 + number}")
    name = factory.Sequence(lambda number: f"Commune-{number}")
    nature = "COM"
    population = 800


class _Operator(DjangoModelFactory[Operator]):
    class Meta:
        model = Operator

    name = factory.Sequence(lambda number: f"Syndicat {number}")
    name_with_article = factory.LazyAttribute(lambda operator: f"le {operator.name}")


class PlanFactory(factory.Factory[workflow.Plan]):
    """A plan as intake approves it: two mailboxes, storage, three services, under collectivite.fr."""

    class Meta:
        model = workflow.Plan

    class Params:
        registered = factory.Trait(
            zone_kind=Deployment.ZoneKind.REGISTERED, domain=factory.Sequence(lambda n: f"nouveau-{n}.fr")
        )
        external = factory.Trait(
            zone_kind=Deployment.ZoneKind.EXTERNAL, domain=factory.Sequence(lambda n: f"existant-{n}.fr")
        )

    organization = factory.SubFactory(_Commune)
    operator = factory.SubFactory(_Operator)
    domain = factory.Sequence(lambda number: f"commune-{number}.collectivite.fr")
    zone_kind = Deployment.ZoneKind.SHARED
    welcome_email = "secretaire@ailleurs.example"
    mailboxes = (
        workflow.MailboxPlan("mairie", "Mairie", "shared", "secretaire@ailleurs.example"),
        workflow.MailboxPlan("jeanne.martin", "Jeanne Martin", "personal", "jeanne@ailleurs.example"),
    )
    storage_quota = 10 * GB
    service_ids = factory.LazyFunction(services)


def deployment(**plan: Any) -> Deployment:
    """Start a deployment, as an approval does."""
    return workflow.start(PlanFactory.create(**plan), by=User.objects.create_user(given_name="Odile"))
