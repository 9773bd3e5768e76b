"""What every page shows: the site's name, the demonstration band, the menu."""

from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from suite.accounts.permissions import (
    LIST_ACCOUNTS,
    LIST_CHANGES,
    LIST_RELINKS,
    LIST_STAFF,
    SEE_DESK,
    SEE_TRADE,
    Act,
    allows,
    site_roles,
)
from suite.accounts.sessions import warning
from suite.middleware import current_request_id


class Entry(NamedTuple):
    """A page of the menu, for whoever may do what it is for."""

    label: str
    address: str
    act: Act | None = None


class Item(NamedTuple):
    """A line of the menu, with the pages inside: a group leads to the first of them."""

    label: str
    url: str
    current: bool
    inside: tuple["Item", ...] = ()


SEARCH = Entry("Chercher une collectivité", "eligibility:home")
OWN = (Entry("Mes demandes", "intake:list"), Entry("Mes équipes", "accounts:teams"))
SIGNED = Entry("Conventions", "agreements:list")
# What staff reads, by what one comes for: a lead of the national operator has it all, and it stays on one line.
STAFF: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("Mon espace", OWN),
    (
        "Instruction",
        (
            Entry("Demandes à instruire", "desk:queue", SEE_DESK),
            Entry("À reprendre", "provisioning:blocked", SEE_DESK),
            Entry("Signatures et passations", "agreements:follow", SEE_DESK),
        ),
    ),
    ("Groupe pilote", (Entry("Groupe pilote", "analytics:pilot", SEE_DESK),)),
    (
        "Personnes",
        (
            Entry("Équipes des opérateurs", "accounts:staff", LIST_STAFF),
            Entry("Rapprochements", "accounts:relinks", LIST_RELINKS),
            Entry("Gestionnaires", "accounts:administrators", LIST_CHANGES),
            Entry("Comptes", "accounts:people", LIST_ACCOUNTS),
        ),
    ),
    ("Réglages", (Entry("Réglages", "trade:index", SEE_TRADE),)),
)


def site(request: HttpRequest) -> dict[str, object]:
    """Return what `base.html` needs; the menu costs one query to somebody signed in, none to the public."""
    return {
        "site_name": settings.SITE_NAME,
        "official_site": settings.OFFICIAL_SITE,
        "contact_email": settings.CONTACT_EMAIL,
        "request_id": current_request_id(),
        "navigation": _navigation(request),
        "session_ends_at": warning(request),
    }


def _navigation(request: HttpRequest) -> list[Item]:
    user = getattr(request, "user", None)
    roles = site_roles(user) if user is not None and user.is_authenticated else None
    groups: list[tuple[str, tuple[Entry, ...]]] = [(SEARCH.label, (SEARCH,))]
    if roles is not None and allows(SEE_DESK, roles):
        groups += [
            (label, tuple(entry for entry in entries if entry.act is None or allows(entry.act, roles)))
            for label, entries in STAFF
        ]
    elif roles is not None:
        groups += [(entry.label, (entry,)) for entry in (*OWN, SIGNED)]
    urls = {entry: reverse(entry.address) for _, entries in groups for entry in entries}
    # Of two addresses that begin alike, the longer one is where one is.
    begun = [url for url in urls.values() if request.path.startswith(url) and url != "/"]
    here = max(begun, key=len, default=request.path)
    items = []
    for label, entries in groups:
        inside = tuple(Item(entry.label, urls[entry], urls[entry] == here) for entry in entries)
        if len(inside) == 1:
            items.append(inside[0])
        elif inside:
            items.append(Item(label, inside[0].url, any(one.current for one in inside), inside))
    return items
