"""The verbs of leads on what was decided: reopen what was closed, and end an approval, which takes two of them."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.intake import availability, second_notifications
from onboarding.intake.approval_workflow import LAPSE_DAYS, LAPSED
from onboarding.intake.calendar import add_working_days
from onboarding.intake.checks import Problem
from onboarding.intake.deadlines import department_of
from onboarding.intake.models import Dossier
from onboarding.intake.moves import (
    PROPOSE_REVOCATION,
    REOPEN,
    REVOKE,
    GuardFailed,
    NotAllowed,
    apply,
    authorise,
    is_second_open,
)
from onboarding.intake.proposal_models import Proposal
from onboarding.provisioning import closing_workflow
from suite.accounts.models import User

REFUSED_BY_YOU = "Vous avez refusé cette demande : une autre personne responsable doit la rouvrir."


@transaction.atomic
def reopen(dossier: Dossier, *, by: User, version: int, reason: str) -> Dossier:
    """Take a refused or expired dossier back into review, in the name of the lead who reopens it.

    Whoever refused it does not reopen it, and accepting it then takes two people (`rules.sensitive`).
    """
    authorise(REOPEN, dossier, by)
    if dossier.status in REOPEN.sources and dossier.decided_by_id == by.pk:
        raise NotAllowed(REFUSED_BY_YOU)
    try:
        with transaction.atomic():
            reopened, event = apply(
                REOPEN,
                dossier,
                by=by,
                version=version,
                comment=reason.strip(),
                assignee=by,
                decided_by=None,
                decided_at=None,
                duplicate_of=None,
            )
    except IntegrityError as error:
        if not is_second_open(error):
            raise
        raise GuardFailed(
            [Problem("reason", 0, "Une autre demande de cette collectivité est ouverte : traitez celle-là.")]
        ) from None
    problems = [] if reason.strip() else [Problem("reason", 0, "Expliquez pourquoi cette demande est rouverte.")]
    if not _a_name_is_left(reopened):
        problems.append(
            Problem(
                "reason", 0, "Aucun des noms demandés n’est encore libre : la collectivité doit demander à nouveau."
            )
        )
    if problems:
        raise GuardFailed(problems)
    second_notifications.reopened(reopened, event)
    return reopened


def _a_name_is_left(dossier: Dossier) -> bool:
    asked = [name for name in dossier.names.all() if name.fqdn and (name.rank == 0 or dossier.accepts_alternatives)]
    held = availability.taken(name.fqdn for name in asked)
    return not asked or any(name.fqdn not in held for name in asked)


@transaction.atomic
def propose_revocation(dossier: Dossier, *, by: User, version: int, reason: str) -> Dossier:
    """Ask another lead to end the approval. Nothing stops, and nothing is deleted."""
    authorise(PROPOSE_REVOCATION, dossier, by)
    # From an old page it is a doubled click, or another's: `apply` says which.
    if (waiting := _revocation(dossier)) and dossier.version == version:
        raise GuardFailed(
            [
                Problem(
                    "reason", 0, f"{waiting.proposer.get_full_name()} l’a déjà proposé : confirmez ou laissez passer."
                )
            ]
        )
    now = timezone.now()
    proposed, event = apply(PROPOSE_REVOCATION, dossier, by=by, version=version, at=now, comment=reason.strip())
    if not reason.strip():
        raise GuardFailed([Problem("reason", 0, "Expliquez pourquoi l’acceptation devrait être annulée.")])
    Proposal.objects.create(
        dossier=proposed,
        kind=Proposal.Kind.REVOCATION,
        proposer=by,
        version=proposed.version,
        reason=reason.strip(),
        created_at=now,
        lapses_at=add_working_days(now, LAPSE_DAYS, department_of(proposed)),
    )
    second_notifications.revocation_proposed(proposed, event, reason=reason.strip(), by=by)
    return proposed


@transaction.atomic
def revoke(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Confirm the end of an approval: building stops and a plan of closure opens; each deletion is confirmed apart."""
    authorise(REVOKE, dossier, by)
    proposal = _revocation(dossier)
    if proposal and proposal.proposer_id == by.pk:
        raise NotAllowed("Vous proposez cette annulation : une autre personne responsable doit la confirmer.")
    now = timezone.now()
    reason = proposal.reason if proposal else ""
    revoked, event = apply(
        REVOKE,
        dossier,
        by=by,
        version=version,
        at=now,
        payload={"proposer": str(proposal.proposer_id) if proposal else None},
        comment=reason,
    )
    if proposal is None or proposal.version != version or proposal.lapses_at <= now:
        raise GuardFailed([LAPSED if proposal else _NOT_PROPOSED])
    Proposal.objects.filter(pk=proposal.pk).update(outcome=Proposal.Outcome.CONFIRMED, confirmed_by=by)
    if revoked.deployment:
        closing_workflow.open_closure(revoked.deployment, by=by, reason=reason)
    second_notifications.revoked(revoked, event, reason=reason)
    return revoked


_NOT_PROPOSED = Problem("proposal", 0, "Personne n’a proposé d’annuler cette acceptation : proposez-le d’abord.")


def _revocation(dossier: Dossier) -> Proposal | None:
    return (
        dossier.proposals.filter(kind=Proposal.Kind.REVOCATION, closed_at__isnull=True)
        .select_related("proposer")
        .first()
    )
