"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from uuid import UUID

from celery import shared_task

from onboarding.provisioning import access_workflow, engine, observation, quotas


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
def hold_quota(resource: str) -> None:
    """Compare the use of one space with its quota."""
    quotas.hold(UUID(resource))


@shared_task(acks_late=True)
def hold_quotas() -> None:
    """Have every space looked at that is near its quota, or has not been looked at for long."""
    for resource in quotas.to_watch():
        hold_quota.apply_async((str(resource),), expires=engine.MESSAGE_LIFE, retry=False)


@shared_task(acks_late=True)
def fulfil_access(link: str) -> None:
    """Ask the provider for the way in of one claimed link."""
    access_workflow.fulfil(UUID(link))


@shared_task(acks_late=True)
def sweep_access() -> None:
    """Do what is due with first credentials."""
    access_workflow.sweep()
