"""The deletions by which a deployment ends, one step each, begun only once two people asked for it."""

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from onboarding.provisioning import backends
from onboarding.provisioning.closure_models import ClosureStep
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.life_steps import gone
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.catalog.models import Service
from suite.catalog.workflow import unsubscribe
from suite.journal.workflow import record

AGAIN = timedelta(minutes=5)


def deletion(step: Step) -> None:
    """Delete one thing for good. What stands on it goes first; without its two signatures, nothing goes."""
    asked = (
        ClosureStep.objects.select_related("resource", "closure")
        .filter(closure__deployment=step.deployment_id, resource=step.resource_id)
        .first()
    )
    if asked is None or asked.confirmed_at is None:
        raise Refused("not_confirmed", "Deux personnes doivent demander cette suppression : il en manque une.")
    if asked.done_at is None:
        if asked.closure.steps.filter(position__lt=asked.position, done_at__isnull=True).exists():
            raise NotYet("something_stands_on_it", "Ce qui en dépend doit être supprimé d’abord.", after=AGAIN)
        _DELETIONS[asked.resource.kind](step.deployment, asked.resource)
        gone(asked.resource)
        ClosureStep.objects.filter(pk=asked.pk, done_at__isnull=True).update(done_at=timezone.now())
    _close(step.deployment)


@transaction.atomic
def left_behind(step: Step) -> None:
    """After an operator passed a deletion that cannot be done: the rest of the end goes on without it."""
    closing = ClosureStep.objects.filter(closure__deployment=step.deployment_id, resource=step.resource_id)
    if closing.filter(done_at__isnull=True, confirmed_at__isnull=False).exists():
        ClosureStep.objects.filter(pk__in=closing).update(done_at=timezone.now())
        _close(step.deployment)


@transaction.atomic
def _close(deployment: Deployment) -> None:
    """Close the deployment once nothing of it is left; once, whoever deletes the last thing."""
    locked = Deployment.objects.select_for_update(no_key=True).get(pk=deployment.pk)
    left = ClosureStep.objects.filter(closure__deployment=locked, done_at__isnull=True).exists()
    if not left and Deployment.objects.filter(pk=locked.pk, closed_at__isnull=True).update(closed_at=timezone.now()):
        record("deployment", locked.pk, "closed", by=None)


def _service(deployment: Deployment, resource: Resource) -> None:
    offered = Service.objects.get(pk=resource.desired["service"])
    unsubscribe(deployment.organization, offered, deployment.operator, by=None)


def _mailbox(deployment: Deployment, resource: Resource) -> None:
    mail = backends.mail()
    mail.ensure_no_mailbox(resource.key, owner=deployment.owner)
    if any(box.address.lower() == resource.key for box in mail.mailboxes(deployment.domain)):
        raise Unavailable("still_there", "La messagerie a dit oui, mais la boîte est encore là.")


def _storage(deployment: Deployment, resource: Resource) -> None:
    store, space = backends.storage(), resource.desired["space"]
    store.ensure_no_key(space)
    store.ensure_no_space(space, owner=deployment.owner)


def _mail_domain(deployment: Deployment, _resource: Resource) -> None:
    backends.mail().ensure_no_domain(deployment.domain, owner=deployment.owner)


def _zone(deployment: Deployment, _resource: Resource) -> None:
    dns = backends.dns()
    # A name of its own stays held until it expires, and may be handed on; under our zone, it is ours to withdraw.
    if deployment.zone_kind == Deployment.ZoneKind.SHARED:
        dns.ensure_undelegated(deployment.domain.partition(".")[2], deployment.domain, owner=deployment.owner)
    dns.ensure_no_zone(deployment.domain, owner=deployment.owner)


_DELETIONS: dict[str, Callable[[Deployment, Resource], None]] = {
    Resource.Kind.SERVICE: _service,
    Resource.Kind.MAILBOX: _mailbox,
    Resource.Kind.STORAGE: _storage,
    Resource.Kind.MAIL_DOMAIN: _mail_domain,
    Resource.Kind.ZONE: _zone,
}
PLAN: dict[str, Callable[[Step], None]] = {Step.Name.DELETION: deletion}
