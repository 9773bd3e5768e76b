"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from uuid import UUID

from celery import shared_task

from onboarding.provisioning import engine


@shared_task(acks_late=True)
def advance(deployment: str) -> None:
    """Run what is runnable of one deployment."""
    engine.advance(UUID(deployment))


@shared_task(acks_late=True)
def sweep() -> None:
    """Wake every deployment with something due."""
    engine.sweep()
