"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from uuid import UUID

from celery import shared_task
from django.conf import settings

from onboarding.provisioning import backends, engine, observation


@shared_task(acks_late=True)
def advance(deployment: str) -> None:
    """Run what is runnable of one deployment."""
    engine.advance(UUID(deployment))


@shared_task(acks_late=True)
def sweep() -> None:
    """Wake every deployment with something due."""
    engine.sweep()


@shared_task(acks_late=True)
def observe(deployment: str) -> None:
    """Look again at what one deployment has built."""
    observation.observe(UUID(deployment))


@shared_task(acks_late=True)
def look_again() -> None:
    """Have every deployment looked at whose turn has come."""
    for deployment in observation.due():
        observe.apply_async((str(deployment),), expires=engine.MESSAGE_LIFE, retry=False)


@shared_task(acks_late=True)
def rectify_parents() -> None:
    """Have the parents of communes' zones rectified, if their server leaves it to us."""
    backends.rectify(settings.COLLECTIVITE_ZONE)
