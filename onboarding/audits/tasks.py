"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from uuid import UUID

from celery import shared_task
from django.conf import settings

from onboarding.audits import workflow

LIMIT = 120  # seconds: a slice, and the batch that it ends with


@shared_task(acks_late=True, soft_time_limit=LIMIT - 10, time_limit=LIMIT)
def work(shard: int) -> None:
    """Look at a slice of one shard of a campaign."""
    workflow.work(shard)


@shared_task(acks_late=True)
def sweep() -> None:
    """Wake every shard that nobody holds."""
    for shard in workflow.due():
        work.apply_async((shard,), expires=30, retry=False)


@shared_task(acks_late=True, soft_time_limit=LIMIT - 10, time_limit=LIMIT)
def look_now(organization: str) -> None:
    """Look at one collectivité, for somebody who waits."""
    workflow.look_now(UUID(organization))


@shared_task(acks_late=True, soft_time_limit=LIMIT - 10, time_limit=LIMIT)
def look_again() -> None:
    """Look at those whose turn has come, where this site audits day by day."""
    if settings.AUDIT_DAILY:
        workflow.look_again()
