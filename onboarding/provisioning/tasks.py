"""Celery's way in."""

from celery import shared_task


@shared_task
def sweep() -> None:
    """Run what is due."""
