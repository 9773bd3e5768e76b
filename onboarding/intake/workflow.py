"""The verbs of a dossier: the only functions that change its state.

Each is one transaction: test and set in one statement, then its guards, then its effects, its event and its notices.
A refusal undoes all of it. What is built afterwards lives in `provisioning`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from onboarding.intake import acting, checks, contents, notifications, reasons, rules, terms
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier, Remark, RequestedService, Revision
from onboarding.intake.moves import (
    APPROVE,
    ASSIGN,
    REJECT,
    RELEASE,
    REQUEST_CHANGES,
    RESUBMIT,
    RESUBMIT_UNASSIGNED,
    SAVE,
    STREAM,
    SUBMIT,
    TAKE,
    WITHDRAW,
    GuardFailed,
    NotAllowed,
    WrongState,
    apply,
    authorise,
)
from onboarding.intake.rules import Capacity
from onboarding.provisioning import workflow as provisioning
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.workflow import MailboxPlan, Plan
from suite.accounts.models import User
from suite.accounts.workflow import activate
from suite.catalog.models import GB, Service
from suite.directory.lookup import verdict_of
from suite.directory.models import Organization
from suite.journal import workflow as journal

S = Dossier.Status


# --- The requester's verbs --------------------------------------------------------------------------------------------


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
        storage_gb=settings.INTAKE_STANDARD_STORAGE_GB,
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
    open_groups = contents.unlocked(dossier, contents.open_remarks(dossier))
    locked = contents.groups(changed) - open_groups if open_groups is not None else set()
    if locked and dossier.status in SAVE.sources:
        labels = ", ".join(reasons.FIELDS[group].label.lower() for group in sorted(locked))
        raise NotAllowed(
            f"Seuls les points signalés par l’opérateur peuvent être modifiés ; restent fermés : {labels}."
        )
    saved, _ = apply(
        SAVE, dossier, by=by, version=version, payload={"step": step, "fields": changed}, **contents.columns(values)
    )
    contents.write(saved, values)
    Revision.objects.create(dossier=saved, version=saved.version, step=step, values=values, author=by)
    for remark in contents.open_remarks(saved):
        if not remark.touched and set(remark.fields) & contents.groups(changed):
            contents.open_remarks(saved).filter(pk=remark.pk).update(touched=True)
    return saved


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
    try:
        with transaction.atomic():
            sent, event = apply(
                SUBMIT,
                dossier,
                by=by,
                version=version,
                payload=rules.facts(dossier)
                | {"operator": str(operator.pk), "verdict": snapshot, "terms": dossier.terms_version},
                operator=operator,
                verdict=snapshot,
                submitted_at=timezone.now(),
            )
    except IntegrityError as error:
        if _constraint(error) != "dossier_one_open_per_organization":
            raise
        raise GuardFailed(checks.rivals(dossier)) from None
    if problems := checks.sending_problems(sent, by, ticked=dossier):
        raise GuardFailed(problems)
    notifications.received(sent, event)
    return sent


@transaction.atomic
def resubmit(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Send the corrected dossier back to whoever asked, or to the queue when that person left."""
    assignee = dossier.assignee
    stays = assignee is not None and Capacity.OPERATOR in rules.capacities(dossier, assignee)
    move = RESUBMIT if stays else RESUBMIT_UNASSIGNED
    payload = {"round": dossier.remarks.values("created_at").distinct().count()}
    sent, event = apply(move, dossier, by=by, version=version, payload=payload, assignee=assignee if stays else None)
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


# --- The operators' verbs ---------------------------------------------------------------------------------------------


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
    """A thing to correct: a code of `reasons.CHANGES`, the groups of fields it opens, the operator's words."""

    reason: str
    fields: tuple[str, ...]
    text: str


@transaction.atomic
def request_changes(dossier: Dossier, points: Iterable[Point], *, by: User, version: int, message: str = "") -> Dossier:
    """Send the dossier back with what is to be corrected; only the fields named are unlocked."""
    points = list(points)
    back, event = apply(
        REQUEST_CHANGES,
        dossier,
        by=by,
        version=version,
        payload={
            "reasons": [point.reason for point in points],
            "fields": sorted({f for p in points for f in p.fields}),
        },
        comment="\n".join([*([message] if message else []), *(p.text for p in points if p.text)]),
    )
    problems = [] if points else [Problem("reasons", 0, "Choisissez au moins un motif.")]
    for point in points:
        if point.reason not in reasons.CHANGES:
            problems.append(Problem("reasons", 0, f"Le motif « {point.reason} » n’existe pas."))
        if not point.fields or not set(point.fields) <= set(reasons.FIELDS):
            problems.append(Problem("fields", 0, "Désignez au moins un point de la demande à corriger."))
        if point.reason == "other" and not point.text:
            problems.append(Problem("text", 0, "« Autre point » demande une explication."))
    if problems:
        raise GuardFailed(problems)
    now = timezone.now()
    remarks = Remark.objects.bulk_create(
        Remark(dossier=back, reason=point.reason, fields=list(point.fields), text=point.text, created_at=now)
        for point in points
    )
    notifications.changes_requested(back, event, remarks, message)
    return back


@transaction.atomic
def reject(dossier: Dossier, codes: Iterable[str], *, by: User, version: int, message: str) -> Dossier:
    """Refuse the dossier, with its reasons and a message the commune can read."""
    codes = list(codes)
    refused, event = apply(
        REJECT,
        dossier,
        by=by,
        version=version,
        payload=rules.facts(dossier) | {"reasons": codes},
        comment=message,
        decided_by=by,
        decided_at=timezone.now(),
    )
    problems = []
    if not codes or not set(codes) <= set(reasons.REJECTIONS):
        problems.append(Problem("reasons", 0, "Choisissez au moins un motif de refus."))
    if not message.strip():
        problems.append(
            Problem("message", 0, "Écrivez à la commune pourquoi sa demande est refusée et ce qu’elle peut faire.")
        )
    if problems:
        raise GuardFailed(problems)
    notifications.rejected(refused, event, codes, message)
    return refused


@transaction.atomic
def approve(  # noqa: PLR0913 - a decision has these facts
    dossier: Dossier, *, by: User, version: int, rank: int = 0, check: str = "", derogation: str = ""
) -> Dossier:
    """Accept the dossier under the name of `rank`, and start building what the commune asked for.

    `check` is what the operator verified itself of a name outside our zone; `derogation` why two people accept a
    sensitive dossier. The name is reserved by the deployment's own constraint, in this transaction.
    """
    accepted, event = apply(
        APPROVE,
        dossier,
        by=by,
        version=version,
        payload=rules.facts(dossier) | {"rank": rank, "sensitive": rules.sensitive(dossier, rank)},
        comment="\n".join(text for text in (check.strip(), derogation.strip()) if text),
        decided_by=by,
        decided_at=timezone.now(),
    )
    problems = [
        *_approval_problems(accepted, rank=rank, check=check),
        *checks.approval_mandate_problems(accepted, check),
    ]
    if acting.is_assisted(accepted) and Capacity.LEAD not in rules.capacities(accepted, by):
        raise NotAllowed("Cette demande a été préparée par un opérateur : une personne responsable doit l’accepter.")
    sensitive = rules.sensitive(accepted, rank)
    if sensitive:
        if Capacity.LEAD not in rules.capacities(accepted, by) or accepted.assignee_id == by.pk:
            raise NotAllowed(
                "Cette demande se décide à deux : une personne responsable, autre que celle qui l’instruit, doit "
                f"l’accepter. Motif : {' ; '.join(rules.SENSITIVE[code] for code in sensitive)}."
            )
        if not derogation.strip():
            problems.append(Problem("derogation", 0, "Expliquez pourquoi cette demande est acceptée par dérogation."))
    if problems:
        raise GuardFailed(problems)
    terms.confirm(accepted, by=by, check=f"{check} {derogation}")
    deployment = _build(accepted, rank, by=by)
    Dossier.objects.filter(pk=accepted.pk).update(deployment=deployment, four_eyed=bool(sensitive))
    if not acting.is_assisted(accepted):  # an operator's person gets no right there; who takes over will
        activate(accepted.author, accepted.organization, by=by)
    if accepted.operator:
        accepted.operator.organizations.add(accepted.organization)
    accepted = Dossier.objects.get(pk=accepted.pk)
    notifications.approved(accepted, event)
    return accepted


def _approval_problems(dossier: Dossier, *, rank: int, check: str) -> list[Problem]:
    problems = [*checks.can_submit(dossier), *checks.unaccepted_terms(dossier)]
    choice = dossier.names.filter(rank=rank).first()
    if choice is None or (rank and not dossier.accepts_alternatives):
        problems.append(Problem("rank", 0, "Choisissez un des noms que la commune accepte."))
    if dossier.family != Dossier.Family.SHARED and len(check.strip()) < rules.SHORTEST_CHECK:
        asked = (
            "comment la commune a prouvé qu’elle détient ce nom"
            if dossier.family == Dossier.Family.EXISTING
            else "comment vous avez vérifié que ce nom est libre et que la commune peut le réserver"
        )
        problems.append(Problem("check", 0, f"Écrivez {asked}."))
    return problems


def _build(dossier: Dossier, rank: int, *, by: User) -> Deployment:
    domain = dossier.names.get(rank=rank).fqdn
    rows = list(dossier.mailboxes.all())
    administrators = [row.recovery_email for row in rows if row.administrator and row.recovery_email]
    outside = [
        email for email in (dossier.requester_email, *administrators) if email.rpartition("@")[2].lower() != domain
    ]
    plan = Plan(
        organization=dossier.organization,
        operator=dossier.operator or _unrouted(dossier),
        domain=domain,
        zone_kind=rules.ZONES[Dossier.Family(dossier.family)],
        welcome_email=outside[0],
        mailboxes=tuple(
            MailboxPlan(
                local_part=row.local_part,
                display_name=row.display_name,
                kind=row.kind,
                recovery_email=row.recovery_email,
                targets=tuple(t if "@" in t else f"{t}@{domain}" for t in row.target_list)
                if row.kind == "redirect"
                else (),
            )
            for row in rows
        ),
        storage_quota=(dossier.storage_gb or 0) * GB,
        service_ids=tuple(dossier.requested_services.values_list("service_id", flat=True)),
    )
    try:
        return provisioning.start(plan, by=by)
    except provisioning.PlanRefused as refusal:
        raise GuardFailed([Problem("plan", 0, str(refusal))]) from refusal


def _unrouted(dossier: Dossier) -> Any:  # noqa: ANN401 - it never returns
    raise WrongState(dossier)


def _reference() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('intake_dossier_reference')")
        (number,) = cursor.fetchone()
    return f"D-{timezone.localdate().year}-{number:05d}"


def _constraint(error: IntegrityError) -> str:
    diagnostic = getattr(error.__cause__, "diag", None)
    return getattr(diagnostic, "constraint_name", "") or ""
