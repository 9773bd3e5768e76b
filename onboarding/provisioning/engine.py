"""Runs the steps. The rows are the queue: taking one is an UPDATE, and so is ending it.

Several workers may run this on the same deployment; any may die at any line. A step is leased, run outside any
transaction, and its end is written only if nobody took it since.
"""

import logging
import random
import time
from datetime import datetime, timedelta
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from onboarding.provisioning import backends, steps
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Step
from suite.journal.workflow import record

logger = logging.getLogger(__name__)

FAILURES_MAX = 12  # with the delays below, most of an hour
BACKOFF = timedelta(seconds=2)
BACKOFF_MAX = timedelta(minutes=15)
WOKEN_PER_SWEEP = 200
HELPERS_MAX = 3  # further workers woken when independent steps open
MESSAGE_LIFE = 30  # seconds; a later sweep writes another message


def advance(deployment_id: UUID) -> int:
    """Run, one after the other, the steps of a deployment that may run now; return how many.

    Stops well before the task's time limit, and wakes another task for the rest.
    """
    until = time.monotonic() + settings.CELERY_TASK_SOFT_TIME_LIMIT / 2
    ran = 0
    while time.monotonic() < until:
        step = claim(deployment_id)
        if step is None:
            return ran
        run(step)
        ran += 1
    wake(deployment_id)
    return ran


def sweep() -> int:
    """Wake the deployments with something due, the longest waiting first; return how many."""
    due = Step.objects.due().values("deployment").annotate(since=models.Min("due_at")).order_by("since")
    deployments = [row["deployment"] for row in due[:WOKEN_PER_SWEEP]]
    for deployment in deployments:
        wake(deployment)
    return len(deployments)


def wake(deployment_id: UUID) -> None:
    """Ask a worker to look at a deployment. A broker out of reach costs one sweep, and nothing else."""
    from onboarding.provisioning import tasks  # noqa: PLC0415 - the task calls this module back

    try:
        tasks.advance.apply_async((str(deployment_id),), expires=MESSAGE_LIFE, retry=False)
    except (KombuError, ChannelError, OSError):
        logger.warning("The broker is out of reach: deployment %s waits for the next sweep.", deployment_id)


@transaction.atomic(durable=True)
def claim(deployment_id: UUID) -> Step | None:
    """Take one runnable step for the length of a lease, or return None: two workers never share one."""
    due = Step.objects.due().filter(deployment=deployment_id).order_by("position", "due_at", "pk")
    # Rows that another worker is taking at this instant are passed over, not waited for.
    step = due.select_for_update(skip_locked=True, of=("self",)).first()
    if step is None:
        return None
    until = timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
    taken = Step.objects.filter(pk=step.pk, attempt=step.attempt, status=Step.Status.WAITING)
    if not taken.update(due_at=until, attempt=models.F("attempt") + 1):
        return None
    return Step.objects.select_related("deployment__organization", "deployment__operator", "resource").get(pk=step.pk)


def run(step: Step) -> None:
    """Run a claimed step and write how it ended. Nothing that the step raises gets out."""
    try:
        steps.perform(step)
    except Outcome as outcome:
        if isinstance(outcome, Unavailable):
            backends.renew()
        finish(step, outcome)
    except SoftTimeLimitExceeded:
        backends.renew()
        finish(step, Unavailable("time_limit", "L’opération a pris trop de temps ; nous la reprendrons."))
        raise
    except Exception:
        logger.exception("Step %s (%s) of deployment %s failed", step.pk, step.name, step.deployment_id)
        backends.renew()
        finish(step, Unavailable("unexpected", "Une erreur inattendue s’est produite ; nos équipes la voient."))
    else:
        finish(step, None)


@transaction.atomic(durable=True)
def finish(step: Step, outcome: Outcome | None) -> bool:
    """Write the end of a step, unless somebody took it since: then the late worker's word is dropped, return False."""
    now = timezone.now()
    # Ends of one deployment queue here: whoever ends last sees that nothing is left.
    deployment = Deployment.objects.select_for_update(no_key=True).get(pk=step.deployment_id)
    ours = Step.objects.filter(pk=step.pk, attempt=step.attempt, status=Step.Status.WAITING)
    if not ours.update(**_end(step, outcome, now)):
        logger.warning("Step %s was taken by another worker meanwhile.", step.pk)
        return False
    if outcome is None:
        passed(step)
    elif Step.objects.filter(pk=step.pk, status=Step.Status.BLOCKED).exists():
        record(
            "deployment",
            deployment.pk,
            "step_blocked",
            by=None,
            payload={"step": step.name, "id": str(step.pk), "code": outcome.code},
        )
    return True


def passed(step: Step) -> None:
    """After a step done or skipped: write that all is done, or wake helpers when several independent steps open."""
    steps_of = Step.objects.filter(deployment=step.deployment_id, plan=step.plan)
    if not steps_of.exclude(status__in=Step.FINISHED).exists():
        gaps = steps_of.filter(status=Step.Status.SKIPPED).count()
        # A later plan is a change: the building is completed once.
        said: tuple[str, dict[str, int]] = ("change_completed", {"plan": step.plan}) if step.plan else ("completed", {})
        record("deployment", step.deployment_id, said[0], by=None, payload={"skipped": gaps, **said[1]})
        return
    opening = steps_of.due().filter(position__gt=step.position).count()
    for _ in range(min(opening - 1, HELPERS_MAX)):
        transaction.on_commit(lambda: wake(step.deployment_id), robust=True)


def _end(step: Step, outcome: Outcome | None, now: datetime) -> dict[str, object]:
    """Return the columns that say how a step ended."""
    failures = step.failures + 1
    told = {"code": outcome.code[:60], "note": outcome.note[:500]} if outcome else {"code": "", "note": ""}
    match outcome:
        case None:
            return {**told, "status": Step.Status.DONE, "failures": 0, "finished_at": now, "due_at": now}
        case NotYet():
            # The other side answered: what failed before is over.
            return {**told, "failures": 0, "due_at": now + outcome.after}
        case Unavailable() if failures < FAILURES_MAX:
            return {**told, "failures": failures, "due_at": now + backoff(failures)}
        case Unavailable() | Refused():
            return {**told, "status": Step.Status.BLOCKED, "failures": failures, "due_at": now}
        case _:
            raise TypeError(f"Not a way to end: {outcome!r}")


def backoff(failures: int) -> timedelta:
    """Return how long to wait after that many failures in a row: doubled each time, bounded, spread by a quarter."""
    delay = min(BACKOFF * (1 << (failures - 1)), BACKOFF_MAX)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - to spread calls, not to hide anything
