"""The verbs of the clock: nobody signs them. `windows` says when each is due, and keeps the ledger."""

import datetime as dt

from django.db import transaction

from onboarding.intake import second_notifications
from onboarding.intake.models import Dossier
from onboarding.intake.moves import EXPIRE, LAPSE, LAPSE_REVOCATION, STREAM, apply
from onboarding.intake.proposal_models import Proposal
from suite.journal import workflow as journal
from suite.notices.models import Notice


@transaction.atomic
def expire(dossier: Dossier, *, due_at: dt.datetime) -> Dossier:
    """Close a draft left alone, or a dossier whose corrections never came."""
    gone, event = apply(EXPIRE, dossier, by=None, version=dossier.version, payload={"due_at": due_at.isoformat()})
    gone.remarks.filter(closed_at__isnull=True).update(closed_at=gone.changed_at)
    second_notifications.expired(gone, event)
    return gone


@transaction.atomic
def lapse(proposal: Proposal) -> Dossier | None:
    """Put back what nobody confirmed in time, or what changed since it was proposed; None when it is over already."""
    if not Proposal.objects.select_for_update().filter(pk=proposal.pk, closed_at__isnull=True).exists():
        return None
    dossier = Dossier.objects.select_related("organization").get(pk=proposal.dossier_id)
    move = LAPSE if proposal.kind == Proposal.Kind.APPROVAL else LAPSE_REVOCATION
    back, event = apply(move, dossier, by=None, version=dossier.version, payload={"proposal": proposal.kind})
    Proposal.objects.filter(pk=proposal.pk).update(outcome=Proposal.Outcome.LAPSED)
    second_notifications.lapsed(back, event, proposal)
    return back


@transaction.atomic
def remind(dossier: Dossier, stage: str, *, due_at: dt.datetime, closes_at: dt.datetime) -> Notice | None:
    """Tell the requester that a draft, or corrections, wait for it, and when they will be closed."""
    event = journal.record(
        STREAM,
        dossier.pk,
        "remind",
        by=None,
        payload={"stage": stage, "due_at": due_at.isoformat(), "closes_at": closes_at.isoformat()},
    )
    return second_notifications.reminded(dossier, event, closes_at=closes_at)


@transaction.atomic
def tell_late(dossier: Dossier) -> None:
    """Write once in the journal that a due date passed, with what was awaited."""
    assert dossier.due_at is not None  # noqa: S101 - tells the type: `windows` selects on it
    awaited = "take" if dossier.status == Dossier.Status.SUBMITTED else "decide"
    journal.record(
        STREAM,
        dossier.pk,
        "late",
        by=None,
        payload={"awaited": awaited, "due_at": dossier.due_at.isoformat(), "status": dossier.status},
        effective_at=dossier.due_at,
    )
