"""A town hall says, from the link of any message or letter, that it does not know who acts in its name."""

from django.db import transaction

from suite.accounts import codes, mandate_notifications, mandates
from suite.accounts.mandate_models import MandateProof, Objection
from suite.accounts.mandate_workflow import Subject, end, lock, note

S = MandateProof.State


def objected_proof(token: str) -> MandateProof | None:
    """Return what a link of a proof message is about; None when there is no such link."""
    if len(codes.normalise(token)) != codes.OBJECTION_LENGTH:
        return None
    return (
        MandateProof.objects.filter(objection_digest=codes.digest(token, "objection"))
        .select_related("organization", "requested_by")
        .first()
    )


@transaction.atomic
def object_to(proof: MandateProof) -> Objection:
    """Freeze what the person does for the collectivité until an operator has looked. Doing it again changes nothing."""
    lock(proof.organization)
    known = mandates.open_objections().filter(proof=proof).first()
    if known:
        return known
    objection = Objection.objects.create(proof=proof, organization=proof.organization, user=proof.user, case=proof.case)
    about = Subject(user=proof.user, case=proof.case).rows
    for one in MandateProof.objects.filter(about, organization=proof.organization, state__in=MandateProof.LIVE):
        end(one, S.OBJECTED, "La mairie a contesté", by=None)
    event = note(proof, "objected", by=None)
    mandate_notifications.tell_operator(proof, event, objection=True)
    return objection
