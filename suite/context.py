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
    allows,
    site_roles,
)
from suite.accounts.sessions import warning
from suite.middleware import current_request_id


class Item(NamedTuple):
    """An entry of the menu."""

    label: str
    url: str
    current: bool


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
    entries = [("Chercher une collectivité", "eligibility:home")]
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        entries += [("Mes demandes", "intake:list"), ("Mes équipes", "accounts:teams")]
        roles = site_roles(user)
        if not allows(SEE_DESK, roles):
            entries.append(("Conventions", "agreements:list"))
        for act, label, name in (
            (SEE_DESK, "Demandes à instruire", "desk:queue"),
            (SEE_DESK, "À reprendre", "provisioning:blocked"),
            (SEE_DESK, "Groupe pilote", "analytics:pilot"),
            (SEE_TRADE, "Réglages", "trade:index"),
            (SEE_DESK, "Signatures et passations", "agreements:follow"),
            (LIST_STAFF, "Équipes des opérateurs", "accounts:staff"),
            (LIST_RELINKS, "Rapprochements", "accounts:relinks"),
            (LIST_CHANGES, "Gestionnaires", "accounts:administrators"),
            (LIST_ACCOUNTS, "Comptes", "accounts:people"),
        ):
            if allows(act, roles):
                entries.append((label, name))
    urls = [(label, reverse(name)) for label, name in entries]
    # Of two addresses that begin alike, the longer one is where one is.
    here = max((url for _, url in urls if request.path.startswith(url) and url != "/"), key=len, default=request.path)
    return [Item(label, url, url == here) for label, url in urls]
