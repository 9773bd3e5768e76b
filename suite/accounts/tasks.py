"""Celery's way in: the tables remember what is over, Celery only wakes."""

from celery import shared_task

from suite.accounts import mandate_desk_workflow


@shared_task
def sweep_mandates() -> None:
    """End the mandates that are over, erase what is not to be kept."""
    mandate_desk_workflow.sweep()
