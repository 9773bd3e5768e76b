"""From a collectivité to what it declares to Service-Public, and to whose domain that is."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from onboarding.audits import declared
from onboarding.audits.declared import Declaration
from onboarding.audits.facts import organizational_domain
from onboarding.audits.lists import shipped
from suite.directory.folding import words
from suite.directory.models import DeclaredContact, Organization


class Owner(NamedTuple):
    """An EPCI that declares a domain as its own."""

    name: str
    siren: str


Owners = Mapping[str, Owner]

# What a commune may add to its name in the name of its domain, and what links words.
_AROUND = frozenset({"mairie", "ville", "commune", "villede", "de", "du", "des", "d", "la", "le", "les", "l"})


def owners() -> dict[str, Owner]:
    """Return who owns each registrable domain, where an EPCI declares it. One query for the whole country.

    The directory holds no département nor région; neither generic domains nor platforms are ever owned.
    """
    rows = DeclaredContact.objects.filter(
        organization__kind=Organization.Kind.EPCI, organization__closed_on=None
    ).values_list("declared_email", "emails", "declared_site", "organization__name", "organization__siren")
    found: dict[str, Owner] = {}
    for email, emails, site, name, siren in rows.order_by("organization__code"):
        for domain in _domains(email or next(iter(emails), ""), site):
            if not shipped().is_shared(domain):
                found.setdefault(domain, Owner(name, siren or ""))
    return found


def declaration_of(organization: Organization, owned: Owners | None = None) -> Declaration:
    """Return the declared e-mail and site, empty where nothing is declared, and who else owns their domains.

    `owned` comes from `owners()`, looked up here without it: two queries.
    """
    contact = getattr(organization, "declared_contact", None)
    if contact is None:
        return Declaration()
    email, site = contact.declared_email or next(iter(contact.emails), ""), contact.declared_site
    owned = owners() if owned is None and organization.kind == Organization.Kind.COMMUNE else owned or {}
    return Declaration(
        email=email,
        site=site,
        site_owner=_owner(organization, _domains("", site), owned),
        mail_owner=_owner(organization, _domains(email, ""), owned),
        record=contact.record,
        imported_at=contact.observed_on.isoformat(),
    )


def _domains(email: str, site: str) -> list[str]:
    """Return the registrable domains of an address and of a site, where they are well-formed."""
    read, mail = declared.site(site), declared.mail_domain(email)
    return [organizational_domain(each) for each in (mail, read.domain if read else None) if each]


def _owner(organization: Organization, domains: Iterable[str], owned: Owners) -> str:
    """Return the name of another collectivité that owns a domain; empty when the commune may call it its own.

    Only communes borrow. The town an EPCI is built around is not borrowing when the domain carries its name.
    """
    if organization.kind != Organization.Kind.COMMUNE:
        return ""
    for domain in domains:
        owner = owned.get(domain)
        if owner is not None and owner.siren != organization.siren and not _carries(domain, organization.name):
            return owner.name
    return ""


def _carries(domain: str, name: str) -> bool:
    """Tell whether a domain is a commune's name: `brest.fr`, `mairie-brest.fr`, not `brest-metropole.fr`."""
    label = words(domain.partition(".")[0])
    bare = [word for word in label if word not in _AROUND]
    return "".join(bare) == "".join(word for word in words(name) if word not in _AROUND)
