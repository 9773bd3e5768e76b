"""Celery's way in: the tables remember what is over, Celery only wakes."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from suite.accounts import administrators, blocks, mandate_desk_workflow
from suite.accounts.models import Tally, UserSession

SESSIONS_KEPT = timedelta(days=30)


@shared_task
def forget() -> None:
    """Delete the counts of windows that are over, and the sessions closed or expired a month ago."""
    now = timezone.now()
    Tally.objects.filter(ends_at__lt=now).delete()
    UserSession.objects.filter(started_at__lt=now - SESSIONS_KEPT).delete()


@shared_task
def sweep_mandates() -> None:
    """End the mandates that are over, erase what is not to be kept."""
    mandate_desk_workflow.sweep()


@shared_task
def sweep_decisions() -> None:
    """Do the changes of managers whose delay is over; let lapse what nobody confirmed."""
    administrators.sweep()
    blocks.sweep()
