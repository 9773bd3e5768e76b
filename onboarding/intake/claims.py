"""A public fact said to be wrong: kept with the dossier, shown to the desk, never written in the reference data."""

from django.db import transaction

from onboarding.intake import moves
from onboarding.intake.checks import Problem
from onboarding.intake.coauthors import SHARED
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import Claim
from suite.accounts.models import User
from suite.directory.models import DeclaredContact, Organization
from suite.journal.workflow import record

MOST = 20


def facts(organization: Organization) -> dict[str, str]:
    """Return what our data say of each fact that may be reported, by its code; "" when they say nothing. One query."""
    contact = DeclaredContact.objects.filter(organization=organization).first()
    population = organization.population
    year = f" (INSEE, {organization.population_year})" if organization.population_year else ""
    return {
        Claim.Fact.NAME: organization.name,
        Claim.Fact.SIREN: organization.siren or "",
        Claim.Fact.POPULATION: "" if population is None else f"{population} habitants{year}",
        Claim.Fact.EPCI: organization.epci.name if organization.epci else "",
        Claim.Fact.DEPARTMENT: str(organization.department or ""),
        Claim.Fact.EMAIL: ", ".join(contact.emails) if contact else "",
        Claim.Fact.ADDRESS: ", ".join(contact.address_lines) if contact else "",
        Claim.Fact.OTHER: "",
    }


@transaction.atomic
def report(dossier: Dossier, fact: str, claimed: str, reason: str, *, by: User) -> Claim:
    """Keep what somebody says is wrong. Raises NotAllowed, WrongState, GuardFailed past twenty of them."""
    moves.authorise(moves.WITHDRAW, dossier, by)  # whoever speaks for the commune in this dossier
    if dossier.status not in SHARED:
        raise moves.WrongState(dossier)
    if dossier.claims.count() >= MOST:
        raise moves.GuardFailed([Problem("fact", 0, f"{MOST} erreurs sont déjà signalées : écrivez-nous.")])
    if same := dossier.claims.filter(fact=fact, claimed=claimed, reason=reason, author=by).first():
        return same
    shown = facts(dossier.organization).get(fact, "")[:500]
    claim = Claim.objects.create(dossier=dossier, fact=fact, shown=shown, claimed=claimed, reason=reason, author=by)
    record("claim", claim.pk, "reported", by=by, payload={"dossier": str(dossier.pk), "fact": fact})
    return claim
