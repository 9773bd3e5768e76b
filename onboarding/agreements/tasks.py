"""Celery's way in: the tables remember what was asked, Celery only wakes."""

from celery import shared_task

from onboarding.agreements import asking, handover


@shared_task
def ask() -> None:
    """Ask again for what changed, and remind of the handover after an election."""
    asking.sweep()
    handover.sweep()
