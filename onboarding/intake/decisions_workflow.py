"""The verbs of who instructs: take, hand on, send back, refuse. Accepting is in `approval_workflow`."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from onboarding.intake import notifications, reasons, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier, Remark
from onboarding.intake.moves import ASSIGN, REJECT, RELEASE, REQUEST_CHANGES, TAKE, GuardFailed, apply
from onboarding.intake.rules import Capacity
from suite.accounts.models import User


@transaction.atomic
def take(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Become the person who instructs the dossier. Two clicks, one winner."""
    taken, event = apply(TAKE, dossier, by=by, version=version, assignee=by)
    notifications.taken(taken, event)
    return taken


@transaction.atomic
def assign(dossier: Dossier, *, to: User, by: User, version: int) -> Dossier:
    """Hand the dossier to a colleague who may instruct it."""
    given, event = apply(ASSIGN, dossier, by=by, version=version, payload={"assignee": str(to.pk)}, assignee=to)
    if Capacity.OPERATOR not in rules.capacities(given, to):
        raise GuardFailed([Problem("assignee", 0, "Cette personne ne peut pas instruire cette demande.")])
    notifications.assigned(given, event)
    return given


@transaction.atomic
def release(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Put the dossier back in the queue."""
    freed, _ = apply(RELEASE, dossier, by=by, version=version, assignee=None)
    return freed


class Point(NamedTuple):
    """A thing to correct: a code of `reasons.CHANGES`, the groups of fields it opens, the operator's words.

    `rows` are the mailboxes it is about, by identity: of the list, it opens these alone; none opens the whole list.
    """

    reason: str
    fields: tuple[str, ...]
    text: str
    rows: tuple[str, ...] = ()


@transaction.atomic
def request_changes(dossier: Dossier, points: Iterable[Point], *, by: User, version: int, message: str = "") -> Dossier:
    """Send the dossier back with what is to be corrected; only the fields named are unlocked."""
    points = [point._replace(text=point.text or reasons.text(point.reason)) for point in points]
    back, event = apply(
        REQUEST_CHANGES,
        dossier,
        by=by,
        version=version,
        payload={
            "reasons": [point.reason for point in points],
            "fields": sorted({f for p in points for f in p.fields}),
            "rows": sorted({row for p in points for row in p.rows}),
        },
        comment="\n".join([*([message] if message else []), *(p.text for p in points if p.text)]),
    )
    listed = {str(row.pk) for row in back.mailboxes.all()} if any(point.rows for point in points) else set()
    problems = [] if points else [Problem("reasons", 0, "Choisissez au moins un motif.")]
    for point in points:
        if point.reason not in reasons.CHANGES:
            problems.append(Problem("reasons", 0, f"Le motif « {point.reason} » n’existe pas."))
        if not point.fields or not set(point.fields) <= set(reasons.FIELDS):
            problems.append(Problem("fields", 0, "Désignez au moins un point de la demande à corriger."))
        if point.rows and ("mailboxes" not in point.fields or not set(point.rows) <= listed):
            problems.append(Problem("fields", 0, "Désignez des boîtes de la liste de cette demande."))
        if point.reason == "other" and not point.text:
            problems.append(Problem("text", 0, "« Autre point » demande une explication."))
    if problems:
        raise GuardFailed(problems)
    now = timezone.now()
    remarks = Remark.objects.bulk_create(
        Remark(
            dossier=back,
            reason=point.reason,
            fields=list(point.fields),
            rows=list(point.rows),
            text=point.text,
            created_at=now,
        )
        for point in points
    )
    notifications.changes_requested(back, event, remarks, message)
    return back


@transaction.atomic
def reject(  # noqa: PLR0913 - a decision has these facts
    dossier: Dossier,
    codes: Iterable[str],
    *,
    by: User,
    version: int,
    message: str,
    duplicate_of: Dossier | None = None,
) -> Dossier:
    """Refuse the dossier, with its reasons and a message the commune can read.

    A duplicate points at the dossier that stands for it: the one named, or the organization's last one sent.
    """
    codes, now = list(codes), timezone.now()
    original = (duplicate_of or _other(dossier)) if "duplicate" in codes else None
    refused, event = apply(
        REJECT,
        dossier,
        by=by,
        version=version,
        at=now,
        payload={"reasons": codes, "duplicate_of": str(original.pk) if original else None},
        comment=message,
        decided_by=by,
        decided_at=now,
        duplicate_of=original,
    )
    problems = []
    if not codes or not set(codes) <= set(reasons.REJECTIONS):
        problems.append(Problem("reasons", 0, "Choisissez au moins un motif de refus."))
    if "duplicate" in codes and original is None:
        problems.append(
            Problem(
                "reasons",
                0,
                "Cette collectivité n’a pas d’autre demande transmise : choisissez un autre motif que le doublon.",
            )
        )
    if not message.strip():
        problems.append(
            Problem("message", 0, "Écrivez à la commune pourquoi sa demande est refusée et ce qu’elle peut faire.")
        )
    if problems:
        raise GuardFailed(problems)
    notifications.rejected(refused, event, codes, message)
    return refused


def _other(dossier: Dossier) -> Dossier | None:
    sent = Dossier.objects.filter(organization=dossier.organization_id, submitted_at__isnull=False)
    return sent.exclude(pk=dossier.pk).order_by("-submitted_at").first()
