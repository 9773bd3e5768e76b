"""The ceiling: what the same broker and the same workers do when there is nothing to do."""

from celery import shared_task


@shared_task(acks_late=True)
def nothing(number: int) -> None:
    """Do nothing."""
