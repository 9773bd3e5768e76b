"""What follows a difference: it is set right through the very step that built the thing, or somebody is told, once."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.db.models import F
from django.urls import reverse

from onboarding.provisioning import backends, steps
from onboarding.provisioning.closure_models import Closure
from onboarding.provisioning.drift import Difference
from onboarding.provisioning.errors import Outcome, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.journal.workflow import record
from suite.notices.workflow import queue

logger = logging.getLogger(__name__)
# Which step ensures what differs, when it is not the one that bears the resource.
_RECORDS = ("zone", "records")


class Looked(Protocol):
    """What a look found."""

    @property
    def differences(self) -> Sequence[Difference]:
        """How the thing differs."""


def mend(deployment: Deployment, resource: Resource, look: Looked) -> bool:
    """Run again the steps that ensure what differs; return whether they ended well. Each correction is an event.

    Only once the plan is built, and while nothing else is decided for the thing.
    """
    safe = [each for each in look.differences if each.safe]
    under_way = Step.objects.filter(deployment=deployment).exclude(status__in=Step.FINISHED)
    ends = Closure.objects.filter(deployment=deployment).exists()
    # A deletion that only waits for its day, months away, keeps nothing from being mended.
    if ends or under_way.exclude(name=Step.Name.MAILBOX_REMOVAL).exists():
        return False
    names = {Step.Name.RECORDS.value if (each.kind, each.fact) == _RECORDS else str(each.kind) for each in safe}
    mended = True
    for name in sorted(names, key=steps.position):
        mended &= _again(deployment, resource, name)
    if mended:
        # The journal holds no personal text: which address stays out of it.
        facts = sorted({f"{each.fact}:{each.verdict}" for each in safe})
        payload = {"resource": str(resource.pk), "kind": resource.kind, "differences": facts}
        record("deployment", deployment.pk, "drift_mended", by=None, payload=payload)
    return mended


def _again(deployment: Deployment, resource: Resource, name: str) -> bool:
    """Run one step that is done, unless somebody takes it meanwhile; it stays done whatever comes of it."""
    of_it = Step.objects.filter(deployment=deployment, name=name, status=Step.Status.DONE)
    if name != Step.Name.RECORDS:
        of_it = of_it.filter(resource=resource)
    step = of_it.select_related("resource", "deployment__organization", "deployment__operator").first()
    if step is None or not Step.objects.filter(pk=step.pk, attempt=step.attempt).update(attempt=F("attempt") + 1):
        return False
    try:
        steps.perform(step)
    except Outcome as outcome:
        if isinstance(outcome, Unavailable):
            backends.renew()
        logger.warning("Mending %s of %s did not end: %s", name, deployment.domain, outcome.code)
        return False
    except Exception:
        backends.renew()
        logger.exception("Mending %s of %s failed", name, deployment.domain)
        return False
    return True


def alarm(resource: Resource, differences: Sequence[Difference], at: datetime) -> None:
    """Open the alarm of a resource, or close it, in the transaction that writes the look."""
    grave = [each for each in differences if not each.safe]
    if grave and Resource.objects.filter(pk=resource.pk, alarmed_at__isnull=True).update(alarmed_at=at):
        verdicts = sorted({f"{each.fact}:{each.verdict}" for each in grave})
        payload = {"resource": str(resource.pk), "kind": resource.kind, "differences": verdicts}
        record("deployment", resource.deployment_id, "drift_alarm", by=None, payload=payload)
    elif not grave and Resource.objects.filter(pk=resource.pk, alarmed_at__isnull=False).update(alarmed_at=None):
        payload = {"resource": str(resource.pk), "kind": resource.kind}
        record("deployment", resource.deployment_id, "drift_closed", by=None, payload=payload)


def tell(deployment: Deployment) -> None:
    """Tell the operator of the alarms that are open, once for each opening."""
    alarmed = Resource.objects.filter(deployment=deployment, alarmed_at__isnull=False).order_by("-alarmed_at")
    latest = alarmed.first()
    if latest is None or latest.alarmed_at is None:
        return
    lines = [
        difference.sentence
        for resource in alarmed
        for difference in map(Difference.from_json, resource.drift)
        if not difference.safe
    ]
    queue(
        "drift",
        to=deployment.operator.email,
        context={
            "deployment": deployment,
            "lines": lines,
            "url": settings.PUBLIC_BASE_URL + reverse("provisioning:detail", args=[deployment.pk]),
        },
        key=f"drift:{deployment.pk}:{latest.alarmed_at.isoformat()}",
    )
