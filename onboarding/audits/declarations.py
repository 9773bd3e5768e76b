"""From a collectivité to what it declares to Service-Public."""

from onboarding.audits.declared import Declaration
from suite.directory.models import Organization


def declaration_of(organization: Organization) -> Declaration:
    """Return the declared e-mail and site, empty where nothing is declared. One query."""
    contact = getattr(organization, "declared_contact", None)
    if contact is None:
        return Declaration()
    return Declaration(
        email=contact.declared_email or next(iter(contact.emails), ""),
        site=contact.declared_site,
        record=contact.record,
        imported_at=contact.observed_on.isoformat(),
    )
