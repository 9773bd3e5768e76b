"""What a dossier's events say of it, read alone: the columns shown anywhere must say the same."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from onboarding.intake.models import Dossier
from suite.journal.models import Event


@dataclass(frozen=True)
class Projection:
    """Where a dossier is, since when, with whom, and what it is asked to correct."""

    status: str = ""
    assignee: UUID | None = None
    submitted_at: dt.datetime | None = None
    last_submitted_at: dt.datetime | None = None
    paused_at: dt.datetime | None = None
    decided_at: dt.datetime | None = None
    decided_by: UUID | None = None
    reasons: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # the groups that the corrections open
    rows: tuple[str, ...] = ()  # and the mailboxes, by identity


def replay(events: Iterable[Event]) -> Projection:
    """Return what the events of one dossier amount to, given in order."""
    so_far = Projection()
    for event in events:
        so_far = _after(so_far, event)
    return so_far


def stored(dossier: Dossier) -> Projection:
    """Return the same, as the tables have it. One query."""
    remarks = list(dossier.remarks.filter(closed_at__isnull=True).order_by("reason"))
    return Projection(
        status=dossier.status,
        assignee=dossier.assignee_id,
        submitted_at=dossier.submitted_at,
        last_submitted_at=dossier.last_submitted_at,
        paused_at=dossier.paused_at,
        decided_at=dossier.decided_at,
        decided_by=dossier.decided_by_id,
        reasons=tuple(remark.reason for remark in remarks),
        fields=tuple(sorted({field for remark in remarks for field in remark.fields})),
        rows=tuple(sorted({row for remark in remarks for row in remark.rows})),
    )


def _after(before: Projection, event: Event) -> Projection:
    said, at = event.payload, event.effective_at
    if "to" not in said:  # not a move: a reminder, a lateness, a new author
        return before
    after = replace(before, status=said["to"])
    if "assignee" in said:
        after = replace(after, assignee=UUID(said["assignee"]) if said["assignee"] else None)
    if event.kind != "save":
        paused = at if said["to"] == Dossier.Status.NEEDS_CHANGES else None
        after = replace(after, paused_at=paused, reasons=(), fields=(), rows=())
    match event.kind:
        case "submit":
            after = replace(after, submitted_at=at, last_submitted_at=at)
        case "resubmit":
            after = replace(after, last_submitted_at=at)
        case "request_changes":
            reasons, fields, rows = (tuple(sorted(said.get(name, []))) for name in ("reasons", "fields", "rows"))
            after = replace(after, reasons=reasons, fields=fields, rows=rows)
        case "approve" | "reject":
            after = replace(after, decided_at=at, decided_by=event.actor)
        case "reopen":
            after = replace(after, decided_at=None, decided_by=None)
    return after
