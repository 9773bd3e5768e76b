"""Celery's way in: the tables remember what is due, Celery only wakes."""

from celery import shared_task

from onboarding.intake import retention_jobs


@shared_task
def forget() -> None:
    """Keep nothing longer than the page on personal data says."""
    retention_jobs.run()
