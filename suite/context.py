"""What every page shows: the site's name, the demonstration band, the menu."""

from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from suite.accounts.rights import operator_scope
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
    }


def _navigation(request: HttpRequest) -> list[Item]:
    entries = [("Chercher une collectivité", "eligibility:home")]
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        entries.append(("Mes demandes", "intake:list"))
        if operator_scope(user):
            entries += [
                ("Demandes à instruire", "desk:queue"),
                ("À reprendre", "provisioning:blocked"),
                ("Groupe pilote", "analytics:pilot"),
            ]
    items = []
    for label, name in entries:
        url = reverse(name)
        current = request.path == url if url == "/" else request.path.startswith(url)
        items.append(Item(label, url, current))
    return items
