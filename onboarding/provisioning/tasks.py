"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from uuid import UUID

from celery import shared_task

from onboarding.provisioning import (
    access_workflow,
    dead_letters,
    engine,
    exporting,
    mail_import,
    moves,
    observation,
    quota_watch,
    renewals,
)


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
def alert() -> None:
    """Tell operators what has been waiting for them for more than a day."""
    dead_letters.alert()


# Hours, not seconds: its own lease is renewed while it works, and a kill costs the part under way.
@shared_task(acks_late=True, soft_time_limit=3500, time_limit=3600)
def export(pk: str) -> None:
    """Make what is left of one copy."""
    exporting.run(UUID(pk))


@shared_task(acks_late=True)
def sweep_exports() -> None:
    """Wake the copies that wait, and delete those whose days are over."""
    for pk in exporting.due():
        export.apply_async((str(pk),), expires=engine.MESSAGE_LIFE, retry=False)
    exporting.expire()


@shared_task(acks_late=True)
def move(name: str, pk: str) -> None:
    """Go on with one move."""
    moves.run(name, UUID(pk))


@shared_task(acks_late=True)
def sweep_moves() -> None:
    """Wake every move that is due."""
    moves.sweep()


@shared_task(acks_late=True)
def look_at_renewals() -> None:
    """Ask until when domains are held, renew what may be, and say what comes due."""
    renewals.sweep()


@shared_task(acks_late=True)
def forget_moves() -> None:
    """Erase what imports of old mail no longer need."""
    mail_import.forget()


@shared_task(acks_late=True)
def hold_quota(resource: str) -> None:
    """Compare the use of one space with its quota."""
    quota_watch.hold(UUID(resource))


@shared_task(acks_late=True)
def hold_quotas() -> None:
    """Have every space looked at that is near its quota, or has not been looked at for long."""
    for resource in quota_watch.to_watch():
        hold_quota.apply_async((str(resource),), expires=engine.MESSAGE_LIFE, retry=False)


@shared_task(acks_late=True)
def fulfil_access(link: str) -> None:
    """Ask the provider for the way in of one claimed link."""
    access_workflow.fulfil(UUID(link))


@shared_task(acks_late=True)
def sweep_access() -> None:
    """Do what is due with first credentials."""
    access_workflow.sweep()
