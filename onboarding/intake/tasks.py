"""Celery's way in. A message only wakes: late, lost or doubled, it changes nothing."""

from celery import shared_task

from onboarding.intake import absences, checklist, workload


@shared_task
def refresh_evidence() -> None:
    """Judge again the dossiers whose evidence is missing, too old, or about another version."""
    checklist.sweep()


@shared_task
def share_out() -> None:
    """Hand over what people away instruct, and hand out what waits where that was asked."""
    absences.hand_over()
    workload.distribute_where_asked()
