"""The verb that opens the end of a deployment. Deletions are other acts, each confirmed apart."""

from django.db import transaction

from onboarding.provisioning.closure_models import Closure, ClosureStep
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts.models import User
from suite.journal.workflow import record

# What stands on something else goes first: a domain is left once nothing in it is.
ORDER = (
    Resource.Kind.SERVICE,
    Resource.Kind.IDENTITY,
    Resource.Kind.MAILBOX,
    Resource.Kind.STORAGE,
    Resource.Kind.MAIL_DOMAIN,
    Resource.Kind.ZONE,
)


@transaction.atomic
def open_closure(deployment: Deployment, *, by: User, reason: str) -> Closure:
    """Stop what is being built, and list what would have to be deleted; deletes nothing. One plan per deployment."""
    closure, created = Closure.objects.get_or_create(deployment=deployment, defaults={"opened_by": by})
    if created:
        steps = [
            ClosureStep(closure=closure, resource=resource, position=ORDER.index(Resource.Kind(resource.kind)))
            for resource in deployment.resources.all()
        ]
        ClosureStep.objects.bulk_create(steps)
        record("deployment", deployment.pk, "closure_opened", by=by, payload={"deletions": len(steps)}, comment=reason)
    return closure
