"""The public pages: find a collectivité, learn whether it may join, why, and through whom."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from suite.catalog.models import Subscription
from suite.directory import eligibility, lookup
from suite.directory.folding import words
from suite.directory.lookup import Match
from suite.directory.models import Name, Organization
from suite.directory.search import LONGEST, SHORTEST, Hit, Tier, search

SHOWN = 10
ALL = 100
# `intake` is above this app and may not be imported; its address is a promise between the two.
REQUEST_PATH = "/demandes/nouvelle/"


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Search, and say what joining means. A single exact identifier leads straight to its page."""
    query = request.GET.get("q", "").strip()
    limit = ALL if "tous" in request.GET else SHOWN
    remark, hits = "", list[Hit]()
    if len(query) > LONGEST:
        remark = f"Votre recherche dépasse {LONGEST} caractères : tapez seulement le nom ou le code de la collectivité."
    elif query:
        hits = search(query, limit + 1)
        if not hits and len("".join(words(query))) < SHORTEST:
            remark = "Tapez au moins deux lettres du nom, ou deux chiffres du code postal."
    if len(hits) == 1 and hits[0].tier is Tier.IDENTIFIER and not request.htmx:  # type: ignore[attr-defined] # django-htmx's
        return redirect("eligibility:organization", code=lookup.compact(query))
    return render(
        request,
        "eligibility/home.html",
        {
            "query": query[:LONGEST],
            "remark": remark,
            "hits": hits[:limit],
            "more": len(hits) > limit,
            "all_url": f"?{urlencode({'q': query, 'tous': 1})}" if limit == SHOWN else "",
            "rule": lookup.current_rule(),
        },
    )


@login_not_required
@require_safe
def organization(request: HttpRequest, code: str) -> HttpResponse:
    """Show a collectivité and its verdict; a SIREN or a SIRET leads to it, a code of the past to its successor."""
    asked = lookup.compact(code)
    matches = lookup.by_code(asked) if "\x00" not in asked else []
    if not matches:
        context = {"verdict": eligibility.UNKNOWN, "query": code[:LONGEST]}
        return render(request, "eligibility/organization.html", context, status=404)
    match = matches[0]
    if match.code != code:
        url = reverse("eligibility:organization", args=[match.code])
        return redirect(f"{url}?{urlencode({'siret': asked})}" if match.note else url)
    return render(request, "eligibility/organization.html", _page(match, request.GET.get("siret", "")))


def _page(match: Match, siret: str) -> dict[str, object]:
    organization = match.organization
    verdict = lookup.verdict_of_match(match)
    context: dict[str, object] = {"match": match, "organization": organization, "verdict": verdict, "query": ""}
    if match.past is not None or organization.closed_on is not None:
        target = organization if match.past is not None else organization.successor
        return context | {"target": target}
    return context | {
        "note": _note(siret, organization),
        "operators": lookup.covering(organization),
        "services": [
            subscription.service
            for subscription in Subscription.objects.filter(organization=organization, active=True)
            .select_related("service")
            .order_by("service__position", "service_id")
        ],
        "past_names": organization.names.exclude(kind=Name.Kind.CURRENT).exclude(name="").order_by("name"),
        "members": organization.members.order_by("name").values_list("code", "name", named=True)
        if organization.kind == Organization.Kind.EPCI
        else [],
        "request_url": f"{REQUEST_PATH}?{urlencode({'commune': organization.code})}",
        "guide_url": settings.SELF_HOSTING_GUIDE_URL,
    }


def _note(siret: str, organization: Organization) -> str:
    """Return the remark on a secondary establishment when the SIRET carried along is one of this collectivité."""
    compacted = lookup.compact(siret)
    if not organization.siren or not compacted.startswith(organization.siren):
        return ""
    return next((match.note for match in lookup.by_code(compacted) if match.organization == organization), "")
