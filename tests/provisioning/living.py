"""A suite in service, and the people around it."""

from collections.abc import Iterator
from typing import Any

from django.test import Client

from onboarding.provisioning import engine
from onboarding.provisioning.backends.local import LocalMail, LocalStorage
from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.errors import Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts.models import User
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.provisioning import deployment


def live(**plan: Any) -> Deployment:
    """Return a deployment that is built."""
    built = deployment(**plan)
    engine.advance(built.pk)
    found = Deployment.objects.get(pk=built.pk)
    assert found.status == Deployment.Status.LIVE, [(one.name, one.code) for one in built.steps.all()]
    return found


def box(suite: Deployment, local_part: str) -> Resource:
    """Return the row of one of its mailboxes, as it now is."""
    return Resource.objects.select_related("deployment").get(deployment=suite, key=f"{local_part}@{suite.domain}")


def there(suite: Deployment) -> dict[str, Mailbox]:
    """Return what the provider has, by local part."""
    return {one.address.partition("@")[0]: one for one in LocalMail().mailboxes(suite.domain)}


def manager(suite: Deployment) -> User:
    found: User = MembershipFactory.create(organization=suite.organization, manager=True).user
    return found


def lead(suite: Deployment) -> User:
    found: User = OperatorRoleFactory.create(operator=suite.operator, lead=True).user
    return found


def client_of(person: User) -> Client:
    """Return the browser of somebody who gave a second factor a moment ago."""
    client = Client()
    client.force_login(person)
    elevate(client)
    return client


class LyingMail(LocalMail):
    """Says that a mailbox is deleted, and deletes nothing."""

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """Do nothing."""


class SilentMail(LocalMail):
    """Never hands messages over, as dimail."""

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Refuse."""
        raise Refused("unsupported", f"Ce fournisseur ne laisse pas relire les messages de {address}.")


class AwayStorage(LocalStorage):
    """Does not answer when it is asked for everything."""

    def export_objects(self, space: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Fail."""
        raise Unavailable("away", f"Le stockage {space} ne répond pas.")
