"""Celery's way in: the rows remember what is due, Celery only wakes. Late, lost or doubled, it changes nothing."""

import logging
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from onboarding.intake import (
    absences,
    alternatives,
    deadlines,
    delays,
    desk_bulk_acts,
    evidence,
    imports,
    lookups,
    proofs,
    retention_jobs,
    thread_answers,
    thread_digests,
    thread_files,
    typed_forms,
    windows,
    workload,
)
from onboarding.intake.desk_models import BulkAct
from onboarding.intake.name_models import NameLookup
from onboarding.intake.proof_models import OwnershipProof

logger = logging.getLogger(__name__)

# What one sweep wakes; the next, seconds later, wakes the rest.
BATCH = 50


@shared_task
def look_up(fqdn: str) -> None:
    """Look one name up outside, if it is due."""
    lookups.run(fqdn)


@shared_task
def read_proof(proof: str) -> None:
    """Read one proof of ownership at the domain's own servers, if it is due."""
    proofs.run(UUID(proof))


@shared_task
def sweep_names() -> None:
    """Wake whatever is due."""
    now = timezone.now()
    for fqdn in NameLookup.objects.filter(due_at__lte=now).order_by("due_at").values_list("pk", flat=True)[:BATCH]:
        lookups.wake(fqdn)
    for pk in OwnershipProof.objects.filter(due_at__lte=now).order_by("due_at").values_list("pk", flat=True)[:BATCH]:
        proofs.wake(pk)


@shared_task
def tell_losers() -> None:
    """Tell whoever wished a name that was just given to another."""
    alternatives.tell()


@shared_task
def refresh_names() -> None:
    """Look again at what decisions will lean on, and tell whoever lost a name and does not know it yet."""
    lookups.refresh()
    alternatives.tell()


@shared_task(acks_late=True)
def sweep_windows() -> None:
    """Do what came due: reminders, expiries, lateness, proposals that lapse."""
    try:
        windows.sweep()
    except windows.TooMany as stopped:
        logger.error("%s", stopped)  # noqa: TRY400 - a stop, not a crash


@shared_task
def follow_settings() -> None:
    """Count the due dates again where the working days or the delays changed."""
    deadlines.follow_settings()


@shared_task
def forget() -> None:
    """Erase what was typed and never sent, and the tables of mailboxes that nobody confirmed."""
    typed_forms.purge()
    imports.purge()


@shared_task
def count_delays() -> None:
    """Count in how many working days requests are answered."""
    delays.count()


@shared_task
def file_answers() -> None:
    """Put the answers that came by mail in their threads."""
    thread_answers.file_answers()


@shared_task
def scan_attachments() -> None:
    """Have what was attached looked at, and erase the files of nobody."""
    thread_files.scan()
    thread_files.erase_strays()


@shared_task
def send_digests() -> None:
    """Queue the digests of the window that opened."""
    thread_digests.send()


@shared_task
def retain() -> None:
    """Keep nothing longer than the page on personal data says."""
    retention_jobs.run()


@shared_task
def refresh_evidence() -> None:
    """Judge again the dossiers whose evidence is missing, too old, or about another version."""
    evidence.sweep()


@shared_task(acks_late=True)
def carry_on_bulk(pk: str) -> None:
    """Do what is left of one act on many dossiers, for the length of a task."""
    if not desk_bulk_acts.carry_on(UUID(pk)):
        desk_bulk_acts.wake(UUID(pk))


@shared_task
def sweep_bulk() -> None:
    """Wake the acts on many dossiers that nobody carries on."""
    waiting = BulkAct.objects.filter(pending_at__isnull=False).order_by("pending_at")
    for pk in waiting.values_list("pk", flat=True)[:BATCH]:
        desk_bulk_acts.wake(pk)


@shared_task
def share_out() -> None:
    """Hand over what people away instruct, and hand out what waits where that was asked."""
    absences.hand_over()
    workload.distribute_where_asked()
