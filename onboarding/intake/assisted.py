"""The assisted route (rulings, 1): an operator prepares, the town hall confirms by post, its person takes over."""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from onboarding.intake import acting, moves, workflow
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from suite.accounts import mandate_workflow
from suite.accounts.mandate_models import MandateProof
from suite.accounts.mandate_workflow import Subject
from suite.accounts.models import Membership, User
from suite.accounts.rights import operator_scope
from suite.accounts.workflow import activate
from suite.directory.models import Organization
from suite.journal import workflow as journal

CLOSED = frozenset({Dossier.Status.WITHDRAWN, Dossier.Status.EXPIRED, Dossier.Status.REJECTED})


@transaction.atomic
def prepare(organization: Organization, *, by: User) -> Dossier:
    """Open a draft on behalf of a collectivité whose secretary has no ProConnect account, or return the one begun.

    Raises NotAllowed outside the operator's territory, or for somebody of the collectivité.
    """
    scope = operator_scope(by)
    if scope is None or not scope.instructs:
        raise moves.NotAllowed("Seuls les opérateurs qui instruisent préparent une demande pour une commune.")
    served = organization.operators.filter(pk__in=scope.operators).exists()
    territory = {organization.department_id, *organization.departments}
    if not (scope.national or served or territory & scope.departments):
        raise moves.NotAllowed("Cette collectivité est hors de votre territoire.")
    if by.memberships.filter(organization=organization).exclude(state=Membership.State.ENDED).exists():
        raise moves.NotAllowed("Vous êtes rattaché à cette collectivité : faites la demande en votre nom.")
    dossier = workflow.create(organization, by=by)
    # What `create` took from the author's account is the operator's, not the secretary's.
    blank = {"requester_given_name": "", "requester_family_name": "", "requester_email": ""}
    fresh = Dossier.objects.filter(pk=dossier.pk, prepared_by__isnull=True)
    if fresh.update(prepared_by=by, **blank):
        journal.record(moves.STREAM, dossier.pk, "prepare", by=by, payload={"on_behalf_of": organization.code})
    return Dossier.objects.get(pk=dossier.pk)


def subject_of(dossier: Dossier) -> Subject:
    """Return whose mandate the dossier stands on, until somebody takes it over."""
    return Subject(case=dossier.pk, reference=dossier.reference)


def take_over(reference: str, typed: str, *, by: User) -> Dossier:
    """Hand a prepared dossier to the person of the collectivité who holds its letter, proofs included.

    Raises MandateRefused for the code and the account, GuardFailed for what the dossier's own state forbids.
    """

    def hand_over(proof: MandateProof) -> None:
        dossier = Dossier.objects.filter(reference=proof.case_reference).first()
        if dossier is None or not acting.is_assisted(dossier) or dossier.status in CLOSED:
            raise _refused("Cette demande ne peut plus être reprise : elle est close, ou quelqu’un l’a déjà reprise.")
        try:
            with transaction.atomic():
                rows = Dossier.objects.filter(pk=dossier.pk, author=F("prepared_by"), version=dossier.version).update(
                    author=by, version=F("version") + 1, changed_at=timezone.now()
                )
        except IntegrityError as error:
            raise _refused(
                "Vous avez déjà un brouillon pour cette collectivité : retirez-le, puis recommencez."
            ) from error
        if not rows:
            raise moves.Stale(dossier)
        journal.record(
            moves.STREAM, dossier.pk, "take_over", by=by, payload={"prepared_by": str(dossier.prepared_by_id)}
        )
        if dossier.status == Dossier.Status.APPROVED and dossier.decided_by:
            activate(by, dossier.organization, by=dossier.decided_by)

    proof = mandate_workflow.claim_case(reference, typed, by=by, then=hand_over)
    return Dossier.objects.get(reference=proof.case_reference)


def _refused(sentence: str) -> moves.GuardFailed:
    return moves.GuardFailed([Problem("code", 0, sentence)])
