"""Deployments in the situations that tests need."""

from typing import Any

import factory

from onboarding.provisioning import workflow
from onboarding.provisioning.models import Deployment
from suite.catalog.models import GB
from tests.factories.accounts import UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory


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

    organization = factory.SubFactory(CommuneFactory)
    operator = factory.SubFactory(OperatorFactory)
    domain = factory.Sequence(lambda number: f"commune-{number}.collectivite.fr")
    zone_kind = Deployment.ZoneKind.SHARED
    welcome_email = "secretaire@ailleurs.example"
    mailboxes = (
        workflow.MailboxPlan("mairie", "Mairie", "shared", "secretaire@ailleurs.example"),
        workflow.MailboxPlan("jeanne.martin", "Jeanne Martin", "personal", "jeanne@ailleurs.example"),
    )
    storage_quota = 10 * GB
    service_ids = (58, 2, 12)  # ProConnect, Messages, Fichiers


def deployment(**plan: Any) -> Deployment:
    """Start a deployment, as an approval does."""
    return workflow.start(PlanFactory.create(**plan), by=UserFactory.create())
