"""Celery's way in."""

from uuid import UUID

from celery import shared_task


def wake(notice: UUID) -> None:
    """Ask a worker to deliver a notice; a lost call costs one sweep."""


@shared_task
def sweep() -> None:
    """Deliver what is due."""
