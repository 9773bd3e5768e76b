"""Celery's way in: the ledger remembers what is due, Celery only wakes."""

from uuid import UUID

from celery import shared_task

from suite.notices import delivery
from suite.notices.models import Notice

# What one sweep wakes; the next, seconds later, wakes the rest.
BATCH = 200


@shared_task
def deliver(notice: str) -> None:
    """Send one notice, if it is still to be sent."""
    delivery.deliver(UUID(notice))


@shared_task
def sweep() -> None:
    """Wake whatever is due."""
    for pk in Notice.objects.due().values_list("pk", flat=True)[:BATCH]:
        wake(pk)


def wake(notice: UUID) -> None:
    """Ask a worker to deliver a notice; a lost call costs one sweep."""
    # The message dies with the next sweep, which wakes again: it must not pile up while no worker runs.
    deliver.apply_async((str(notice),), expires=60, retry=False)


@shared_task
def sort_inbound() -> None:
    """Sort the bounces and the answers that came in."""
    from suite.notices import inbound  # noqa: PLC0415 - it queues, and queueing wakes the tasks above

    inbound.sort()


@shared_task
def forget_inbound() -> None:
    """Erase what was handled a month ago."""
    from suite.notices import inbound  # noqa: PLC0415 - idem

    inbound.forget()
