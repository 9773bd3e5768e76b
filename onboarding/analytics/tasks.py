"""Celery's way in: what is due is told by the tables. Late, lost or doubled, a call changes nothing."""

from celery import shared_task

from onboarding.analytics import publishing


@shared_task(soft_time_limit=1500, time_limit=1560)
def publish() -> None:
    """Publish the months that are closed."""
    publishing.sweep()
