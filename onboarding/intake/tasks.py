"""Celery's way in: the tables remember what is over, Celery only wakes."""

from celery import shared_task

from onboarding.intake import delays, imports, typed_forms


@shared_task
def forget() -> None:
    """Erase what was typed and never sent, and the tables of mailboxes that nobody confirmed."""
    typed_forms.purge()
    imports.purge()


@shared_task
def count_delays() -> None:
    """Count in how many working days requests are answered."""
    delays.count()
