"""The verbs that accept a dossier: alone, or in two steps by two people where `rules.sensitive` says so."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from onboarding.intake import acting, alternatives, checks, granting, notifications, rules, second_notifications, terms
from onboarding.intake.calendar import add_working_days
from onboarding.intake.checks import Problem
from onboarding.intake.deadlines import department_of
from onboarding.intake.models import Dossier
from onboarding.intake.moves import (
    APPROVE,
    CONFIRM_APPROVAL,
    PROPOSE_APPROVAL,
    GuardFailed,
    NotAllowed,
    WrongState,
    apply,
    authorise,
)
from onboarding.intake.proposal_models import Proposal
from onboarding.provisioning import workflow as provisioning
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.workflow import MailboxPlan, Plan
from suite.accounts.models import User
from suite.accounts.workflow import activate
from suite.catalog.models import GB
from suite.journal.models import Event

S = Dossier.Status
# `requests.md` 5: a proposal that nobody confirms lapses after five working days.
LAPSE_DAYS = 5
LAPSED = Problem(
    "proposal",
    0,
    "Cette proposition n’est plus valable : le délai de cinq jours ouvrés est passé, ou la demande a changé depuis. "
    "Elle doit être proposée de nouveau.",
)


@transaction.atomic
def approve(  # noqa: PLR0913 - a decision has these facts
    dossier: Dossier, *, by: User, version: int, rank: int = 0, check: str = "", derogation: str = ""
) -> Dossier:
    """Accept the dossier under the name of `rank`, and start building what the commune asked for.

    `check` is what the operator verified itself. A sensitive dossier is proposed first: the second person then confirms
    what was proposed, and may add its own words (`derogation`). The name is reserved by the deployment's own
    constraint, in this transaction.
    """
    if dossier.status == S.SECOND_APPROVAL:
        return _confirm(dossier, by=by, version=version, words=derogation)
    now = timezone.now()
    accepted, event = apply(
        APPROVE,
        dossier,
        by=by,
        version=version,
        at=now,
        payload={"rank": rank, "sensitive": [], "name": granting.evidence(dossier, rank)},
        comment=check.strip(),
        decided_by=by,
        decided_at=now,
    )
    problems = _problems(accepted, rank=rank, check=check)
    if sensitive := rules.sensitive(accepted, rank):
        problems.append(Problem("rank", 0, _two_people(sensitive)))
    if problems:
        raise GuardFailed(problems)
    return _accept(accepted, event, rank, by=by, four_eyed=False, words=f"{check} {derogation}")


@transaction.atomic
def propose_approval(  # noqa: PLR0913 - a decision has these facts
    dossier: Dossier, *, by: User, version: int, rank: int = 0, check: str = "", reason: str = ""
) -> Dossier:
    """Ask a lead, who is somebody else, to accept a sensitive dossier; everything but the second person is checked."""
    now = timezone.now()
    proposed, event = apply(
        PROPOSE_APPROVAL,
        dossier,
        by=by,
        version=version,
        at=now,
        payload={"rank": rank, "sensitive": rules.sensitive(dossier, rank)},
        comment="\n".join(text for text in (check.strip(), reason.strip()) if text),
    )
    problems = _problems(proposed, rank=rank, check=check)
    if not rules.sensitive(proposed, rank):
        problems.append(Problem("rank", 0, "Cette demande n’a pas besoin d’une seconde personne : acceptez-la."))
    if not reason.strip():
        problems.append(Problem("reason", 0, "Expliquez pourquoi cette demande peut être acceptée."))
    if problems:
        raise GuardFailed(problems)
    Proposal.objects.create(
        dossier=proposed,
        kind=Proposal.Kind.APPROVAL,
        proposer=by,
        version=proposed.version,
        rank=rank,
        check_made=check.strip(),
        reason=reason.strip(),
        created_at=now,
        lapses_at=add_working_days(now, LAPSE_DAYS, department_of(proposed)),
    )
    second_notifications.proposed(proposed, event, reason=reason.strip(), by=by)
    return proposed


def _confirm(dossier: Dossier, *, by: User, version: int, words: str) -> Dossier:
    authorise(CONFIRM_APPROVAL, dossier, by)
    proposal = dossier.proposals.filter(kind=Proposal.Kind.APPROVAL, closed_at__isnull=True).first()
    if proposal and proposal.proposer_id == by.pk:
        raise NotAllowed("Vous proposez cette acceptation : une autre personne responsable doit la confirmer.")
    now, rank = timezone.now(), proposal.rank if proposal else 0
    accepted, event = apply(
        CONFIRM_APPROVAL,
        dossier,
        by=by,
        version=version,
        at=now,
        payload={
            "rank": rank,
            "sensitive": rules.sensitive(dossier, rank),
            "name": granting.evidence(dossier, rank),
            "proposer": str(proposal.proposer_id) if proposal else None,
        },
        comment=words.strip(),
        decided_by=by,
        decided_at=now,
    )
    if proposal is None or proposal.version != version or proposal.lapses_at <= now:
        raise GuardFailed([LAPSED])
    if problems := _problems(accepted, rank=rank, check=proposal.check_made):
        raise GuardFailed(problems)
    Proposal.objects.filter(pk=proposal.pk).update(outcome=Proposal.Outcome.CONFIRMED, confirmed_by=by)
    return _accept(
        accepted, event, rank, by=by, four_eyed=True, words=f"{proposal.check_made} {proposal.reason} {words}"
    )


def _two_people(sensitive: list[str]) -> str:
    why = " ; ".join(rules.SENSITIVE[code] for code in sensitive)
    return f"Cette demande se décide à deux : proposez-la à une personne responsable. Motif : {why}."


def _accept(  # noqa: PLR0913 - a decision has these facts
    accepted: Dossier, event: Event, rank: int, *, by: User, four_eyed: bool, words: str
) -> Dossier:
    terms.confirm(accepted, by=by, check=words)
    deployment = _build(accepted, rank, by=by)
    Dossier.objects.filter(pk=accepted.pk).update(deployment=deployment, four_eyed=four_eyed)
    if not acting.is_assisted(accepted):  # an operator's person gets no right there; who takes over will
        activate(accepted.author, accepted.organization, by=by)
    if accepted.operator:
        accepted.operator.organizations.add(accepted.organization)
    accepted = Dossier.objects.get(pk=accepted.pk)
    transaction.on_commit(alternatives.wake, robust=True)
    notifications.approved(accepted, event)
    return accepted


def _problems(dossier: Dossier, *, rank: int, check: str) -> list[Problem]:
    """Return what keeps the dossier from being accepted under that name, whoever accepts."""
    return [
        *checks.can_submit(dossier),
        *checks.unaccepted_terms(dossier),
        *granting.problems(dossier, rank, check),
        *checks.approval_mandate_problems(dossier, check),
    ]


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
