"""The verbs of a dossier: the only functions that change its state. Here the requester's; the operators' are beside.

Each is one transaction: test and set in one statement, then its guards, then its effects, its event and its notices.
A refusal undoes all of it. What is built afterwards lives in `provisioning`.
"""

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from onboarding.intake import checks, contents, lookups, notifications, reasons, rules, terms, trade
from onboarding.intake.approval_workflow import approve, propose_approval
from onboarding.intake.checks import Problem
from onboarding.intake.decisions_workflow import Point, assign, reject, release, request_changes, take
from onboarding.intake.models import Dossier, RequestedService, Revision
from onboarding.intake.moves import (
    RESUBMIT,
    RESUBMIT_UNASSIGNED,
    SAVE,
    STREAM,
    SUBMIT,
    WITHDRAW,
    GuardFailed,
    NotAllowed,
    apply,
    authorise,
    is_second_open,
)
from onboarding.intake.rules import Capacity
from onboarding.intake.second_workflow import propose_revocation, reopen, revoke
from suite.accounts.models import User
from suite.catalog.models import Service
from suite.directory.lookup import verdict_of
from suite.directory.models import Organization
from suite.journal import workflow as journal

__all__ = [
    "Point", "approve", "assign", "create", "propose_approval", "propose_revocation", "reject", "release", "reopen",
    "request_changes", "resubmit", "revoke", "save_step", "submit", "take", "withdraw",
]  # fmt: skip

S = Dossier.Status


@transaction.atomic
def create(organization: Organization, *, by: User) -> Dossier:
    """Open a draft, or return the one this person already has for the organization.

    Raises GuardFailed when the organization may not ask, or has an open dossier.
    """
    if drafts := list(Dossier.objects.filter(organization=organization, author=by, status=S.DRAFT)):
        return drafts[0]
    dossier = Dossier(
        reference=_reference(),
        organization=organization,
        author=by,
        requester_given_name=by.given_name[:50],
        requester_family_name=by.usual_name[:50],
        requester_email=by.email,
        storage_gb=trade.ALLOCATION.current().storage_gb,
    )
    if problems := [*checks.standing_problems(organization), *checks.rivals(dossier)]:
        raise GuardFailed(problems)
    try:
        with transaction.atomic():
            dossier.save(force_insert=True)
    except IntegrityError:  # the same person, in another tab, a moment before
        return Dossier.objects.get(organization=organization, author=by, status=S.DRAFT)
    RequestedService.objects.bulk_create(
        RequestedService(dossier=dossier, service=service)
        for service in Service.objects.filter(base=True, offered=True)
    )
    journal.record(STREAM, dossier.pk, "create", by=by, payload={"to": S.DRAFT, "organization": organization.code})
    return dossier


@transaction.atomic
def save_step(dossier: Dossier, step: int, values: contents.Values, *, by: User, version: int) -> Dossier:
    """Store one step as it was typed, right or wrong; what is already stored changes nothing, whatever the version.

    Raises NotAllowed when a field that is not to be corrected differs from the stored one.
    """
    values = terms.taken(dossier, contents.prepare(values))
    stored = contents.read(dossier, step)
    changed = contents.difference(stored, values)
    if changed == ["mailboxes"] and contents.same_rows(stored["mailboxes"], values["mailboxes"]):
        changed = []
    authorise(SAVE, dossier, by)
    if dossier.status in SAVE.sources and not changed:
        return dossier
    if dossier.status in SAVE.sources:
        _keep_closed(dossier, changed, stored, values)
    saved, _ = apply(
        SAVE, dossier, by=by, version=version, payload={"step": step, "fields": changed}, **contents.columns(values)
    )
    contents.write(saved, values)
    Revision.objects.create(dossier=saved, version=saved.version, step=step, values=values, before=stored, author=by)
    for remark in contents.open_remarks(saved):
        if not remark.touched and contents.corrects(remark, changed, stored, values):
            contents.open_remarks(saved).filter(pk=remark.pk).update(touched=True)
    return saved


def _keep_closed(dossier: Dossier, changed: list[str], stored: contents.Values, values: contents.Values) -> None:
    """Raise NotAllowed for what differs beyond what the open corrections ask about."""
    remarks = list(contents.open_remarks(dossier))
    open_groups = contents.unlocked(dossier, remarks)
    if locked := contents.groups(changed) - open_groups if open_groups is not None else set():
        labels = ", ".join(reasons.FIELDS[group].label.lower() for group in sorted(locked))
        raise NotAllowed(
            f"Seuls les points signalés par l’opérateur peuvent être modifiés ; restent fermés : {labels}."
        )
    opened = contents.open_rows(remarks)
    if "mailboxes" in changed and not contents.closed_rows_stand(stored["mailboxes"], values["mailboxes"], opened):
        named = ", ".join(contents.row_label(row) for row in dossier.mailboxes.all() if str(row.pk) in (opened or ()))
        raise NotAllowed(
            "Seules les boîtes signalées par l’opérateur peuvent être modifiées ou retirées, et aucune ajoutée ; "
            f"sont ouvertes : {named or 'aucune'}."
        )


@transaction.atomic
def submit(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Send the draft to the operator who covers the organization, with the verdict and the terms it was sent under."""
    authorise(SUBMIT, dossier, by)
    verdict = verdict_of(dossier.organization)
    operator = rules.route(dossier.organization)
    if operator is None:
        raise GuardFailed([Problem("organization", 1, "Aucun opérateur ne peut encore recevoir cette demande.")])
    snapshot = {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "population": verdict.population,
        "population_year": verdict.population_year,
        "threshold": verdict.threshold,
        "rule": verdict.rule_id,
        "source": verdict.source,
    }
    now = timezone.now()
    try:
        with transaction.atomic():
            sent, event = apply(
                SUBMIT,
                dossier,
                by=by,
                version=version,
                at=now,
                payload={"verdict": snapshot, "terms": dossier.terms_version},
                operator=operator,
                verdict=snapshot,
                submitted_at=now,
                last_submitted_at=now,
            )
    except IntegrityError as error:
        if not is_second_open(error):
            raise
        raise GuardFailed(checks.rivals(dossier)) from None
    if problems := checks.sending_problems(sent, by, ticked=dossier):
        raise GuardFailed(problems)
    lookups.ask(lookups.to_look_up(sent))
    notifications.received(sent, event)
    return sent


@transaction.atomic
def resubmit(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Send the corrected dossier back to whoever asked, or to the queue when that person left."""
    assignee = dossier.assignee
    stays = assignee is not None and Capacity.OPERATOR in rules.capacities(dossier, assignee)
    move = RESUBMIT if stays else RESUBMIT_UNASSIGNED
    payload = {"round": dossier.remarks.values("created_at").distinct().count()}
    now = timezone.now()
    sent, event = apply(
        move,
        dossier,
        by=by,
        version=version,
        at=now,
        payload=payload,
        assignee=assignee if stays else None,
        last_submitted_at=now,
    )
    remarks = list(sent.remarks.filter(closed_at__isnull=True))
    unanswered = [
        Problem(
            f"answer-{remark.pk}",
            5,
            f"« {reasons.label(remark.reason)} » : corrigez-le, ou dites pourquoi vous maintenez votre réponse.",
        )
        for remark in remarks
        if not remark.touched and not remark.answer
    ]
    if problems := [*unanswered, *checks.sending_problems(sent, by, ticked=dossier)]:
        raise GuardFailed(problems)
    sent.remarks.filter(closed_at__isnull=True).update(closed_at=timezone.now())
    notifications.answered(sent, event)
    return sent


@transaction.atomic
def withdraw(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Take the dossier back for good; a new one may be opened at once."""
    before = dossier.status
    gone, event = apply(WITHDRAW, dossier, by=by, version=version)
    gone.remarks.filter(closed_at__isnull=True).update(closed_at=timezone.now())
    if before != S.DRAFT:
        notifications.withdrawn(gone, event)
    return gone


def _reference() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('intake_dossier_reference')")
        (number,) = cursor.fetchone()
    return f"D-{timezone.localdate().year}-{number:05d}"
