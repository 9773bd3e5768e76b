"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

import logging

from celery import shared_task

from onboarding.intake import windows

logger = logging.getLogger(__name__)


@shared_task(acks_late=True)
def sweep_windows() -> None:
    """Do what came due: reminders, expiries, lateness, proposals that lapse."""
    try:
        windows.sweep()
    except windows.TooMany as stopped:
        logger.error("%s", stopped)  # noqa: TRY400 - a stop, not a crash
