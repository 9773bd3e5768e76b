"""In whose name a dossier is made, and how well that is proved: its author's mandate, or its prepared case's own."""

from onboarding.intake.models import Dossier
from suite.accounts import mandates
from suite.accounts.mandates import Act, Mandate

APPROVALS = {
    Dossier.Family.SHARED: Act.APPROVE_SHARED,
    Dossier.Family.NEW: Act.APPROVE_NEW,
    Dossier.Family.EXISTING: Act.APPROVE_EXISTING,
}


def is_assisted(dossier: Dossier) -> bool:
    """Whether an operator prepared the dossier, and nobody of the collectivité has taken it over yet."""
    return dossier.prepared_by_id is not None and dossier.prepared_by_id == dossier.author_id


def mandate_of(dossier: Dossier) -> Mandate:
    """Return how well it is proved that the collectivité asks this. At most two queries."""
    if is_assisted(dossier):
        return mandates.mandate_of_case(dossier.pk, dossier.organization)
    return mandates.mandate(dossier.author, dossier.organization)


def approval(dossier: Dossier) -> Act:
    """Return the act that approving the dossier is."""
    return APPROVALS[Dossier.Family(dossier.family)] if dossier.family else Act.APPROVE_EXISTING


def is_frozen(dossier: Dossier) -> bool:
    """Whether the town hall objected, and an operator has not settled it. One query."""
    person = None if is_assisted(dossier) else dossier.author
    return mandates.is_objected(dossier.organization, person, dossier.pk)
