"""The wrapper in front of allauth's provider: stricter than it, as ProConnect is, and the page where one chooses."""

import json
from typing import Any
from urllib.parse import urlencode

from allauth.idp.oidc import views as allauth_views
from allauth.idp.oidc.forms import RPInitiatedLogoutForm
from allauth.idp.oidc.internal import flows
from django.contrib import auth
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from suite.demo import people
from suite.demo.proconnect import settings
from suite.demo.proconnect.adapter import accounts, by_sub, remember
from suite.demo.proconnect.forms import PersonForm

REQUIRED = {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce"}
OPTIONAL = {
    "claims",
    "prompt",
    "login_hint",
    "idp_hint",
    "siret_hint",
    "response_mode",
    "code_challenge",
    "code_challenge_method",
    "acr_values",
}
DELEGATED = REQUIRED | {"code_challenge", "code_challenge_method"}
SHORTEST = 32
SALT = "suite.demo.proconnect.request"


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Say what this is, and who one may be."""
    return render(request, "proconnect/about.html", {"people": people.PEOPLE, "product": settings.PRODUCT_URL})


@never_cache
@require_GET
def authorize(request: HttpRequest) -> HttpResponse:  # noqa: PLR0911 - each fault has its answer
    """Check the request as ProConnect would, reuse the running session if it is enough, else let one choose."""
    params = {name: request.GET[name] for name in request.GET}
    if any(len(request.GET.getlist(name)) > 1 for name in params):
        return _dead_end(request, "Y000400", "un paramètre est répété")
    if params.get("client_id") != settings.CLIENT_ID:
        return _dead_end(request, "Y04A586", "le client n’est pas connu")
    if params.get("redirect_uri") != settings.REDIRECT_URI:
        return _dead_end(request, "Y030031", "l’adresse de retour n’est pas celle qui est enregistrée")
    if missing := sorted(REQUIRED - params.keys()):
        return _dead_end(request, "Y000400", f"il manque {', '.join(missing)}")
    if unknown := sorted(params.keys() - REQUIRED - OPTIONAL):
        return _dead_end(request, "Y000400", f"{len(unknown)} paramètre(s) inconnu(s)")
    if len(params["state"]) < SHORTEST or len(params["nonce"]) < SHORTEST:
        return _dead_end(request, "Y000400", "state et nonce doivent avoir au moins 32 caractères")
    if error := _fault(params):
        return _answer(params, error=error)
    person = request.session.get("person") if request.user.is_authenticated else None
    if person is not None and _reaches(params, person["acr"]):
        return _grant(request, params, person)
    if params.get("prompt") == "none":
        return _answer(params, error="login_required")
    hints = {"email": params.get("login_hint", ""), "siret": params.get("siret_hint", "")}
    return _page(request, params, PersonForm(initial={name: hint for name, hint in hints.items() if hint}))


@never_cache
@require_POST
def choose(request: HttpRequest) -> HttpResponse:  # noqa: PLR0911 - idem
    """Become one of the people, or somebody typed, and go back to the request; or cancel, or break down."""
    try:
        params = signing.loads(request.POST.get("request", ""), salt=SALT, max_age=1800)
    except signing.BadSignature:
        return _dead_end(request, "Y030110", "la page est restée ouverte trop longtemps : recommencez depuis le site")
    if "cancel" in request.POST:
        return _answer(params, error="access_denied", error_description="User auth aborted")
    if "down" in request.POST:
        return _answer(params, error="server_error", error_description="Identity provider is down")
    if "persona" in request.POST:
        chosen = {one.key: one for one in people.PEOPLE}.get(request.POST["persona"])
        if chosen is None:
            return _dead_end(request, "Y000400", "cette personne n’existe pas")
        person = _claims_of(chosen)
    else:
        form = PersonForm(request.POST)
        if not form.is_valid():
            return _page(request, params, form, status=422)
        person = _typed(form.cleaned_data)
    request.session.flush()
    user, _ = accounts().get_or_create(**by_sub(person["sub"]))
    auth.login(request, user)
    request.session["person"] = person
    if not _reaches(params, person["acr"]):
        return _answer(params, error="access_denied", error_description="requested ACRs could not be satisfied")
    return redirect(f"/api/v2/authorize?{urlencode(params)}")


@never_cache
@require_GET
def end_session(request: HttpRequest) -> HttpResponse:
    """End this session too, and go back to the exact address registered for it."""
    form = RPInitiatedLogoutForm(request.GET)
    if not form.is_valid() or request.GET.get("post_logout_redirect_uri") != settings.POST_LOGOUT_URI:
        return _dead_end(request, "Y030111", "l’adresse de retour de déconnexion n’est pas celle qui est enregistrée")
    if form.cleaned_data["client"] is None:
        return _dead_end(request, "Y030111", "la déconnexion ne dit pas d’où elle vient")
    flows.rp_initiated_logout(
        request,
        from_op=True,
        client=form.cleaned_data["client"],
        post_logout_redirect_uri=settings.POST_LOGOUT_URI,
    )
    auth.logout(request)
    return HttpResponseRedirect(f"{settings.POST_LOGOUT_URI}?{urlencode({'state': request.GET.get('state', '')})}")


def _grant(request: HttpRequest, params: dict[str, str], person: dict[str, Any]) -> HttpResponse:
    """Let allauth issue the code, from a request without what its library misreads."""
    remember(params["nonce"], _asked(params), person)
    query = urlencode({name: value for name, value in params.items() if name in DELEGATED})
    request.META["QUERY_STRING"] = query
    request.GET = QueryDict(query)
    response: HttpResponse = allauth_views.authorization(request)
    location = response.get("Location", "")
    if location.startswith(f"{settings.REDIRECT_URI}?"):
        response["Location"] = f"{location}&{urlencode({'iss': settings.ISSUER})}"
    return response


def _answer(params: dict[str, str], **answer: str) -> HttpResponse:
    query = urlencode({**answer, "state": params["state"], "iss": settings.ISSUER})
    return HttpResponseRedirect(f"{settings.REDIRECT_URI}?{query}")


def _fault(params: dict[str, str]) -> str:
    """Return the error of a request that may be answered, "" when there is none."""
    if params["response_type"] != "code":
        return "unsupported_response_type"
    if params.get("response_mode", "query") != "query":
        return "invalid_request"
    scopes = params["scope"].split()
    if "openid" not in scopes or not set(scopes) <= set(settings.SCOPES):
        return "invalid_scope"
    if ("code_challenge" in params or "code_challenge_method" in params) and (
        params.get("code_challenge_method") != "S256" or not params.get("code_challenge")
    ):
        return "invalid_request"
    try:
        _asked(params)
    except ValueError:
        return "invalid_request"
    return ""


def _asked(params: dict[str, str]) -> dict[str, Any]:
    """Return what `claims` asks of the ID token. Raises ValueError when it cannot be read."""
    claims = json.loads(params.get("claims") or "{}")
    asked = claims.get("id_token", {}) if isinstance(claims, dict) else None
    if not isinstance(asked, dict) or not all(value is None or isinstance(value, dict) for value in asked.values()):
        raise ValueError
    return asked


def _reaches(params: dict[str, str], acr: str) -> bool:
    """Say whether this level meets the one that is demanded, if one is."""
    demand = _asked(params).get("acr") or {}
    wanted = demand.get("values") or ([demand["value"]] if "value" in demand else [])
    return not demand.get("essential") or not wanted or acr in wanted


def _claims_of(one: people.Persona) -> dict[str, Any]:
    return {
        "sub": one.sub,
        "given_name": one.given_name,
        "usual_name": one.usual_name,
        "email": one.email,
        "uid": one.sub[:8],
        "siret": one.siret,
        "idp_id": "demonstration",
        "roles": list(one.roles),
        "organization_label": one.label,
        "acr": one.acr,
        "amr": list(one.amr),
    }


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """Make the claims of somebody typed; a known address is that person's account."""
    known = {one.email: one.sub for one in reversed(people.PEOPLE)}
    sub = known.get(data["email"].lower(), people.sub_of(data["email"]))
    acr = data["acr"] or "eidas1"
    return {
        "sub": sub,
        "given_name": data["given_name"],
        "usual_name": data["usual_name"],
        "email": data["email"],
        "uid": sub[:8],
        "siret": data["siret"],
        "idp_id": "demonstration",
        "roles": list(people.TERRITORIAL) if data["public"] else [],
        "organization_label": "",
        "acr": acr,
        "amr": ["pwd", "otp", "mfa"] if acr.endswith("-mfa") or acr in {"eidas2", "eidas3"} else ["pwd"],
    }


def _page(request: HttpRequest, params: dict[str, str], form: PersonForm, status: int = 200) -> HttpResponse:
    context = {"people": people.PEOPLE, "form": form, "request_token": signing.dumps(params, salt=SALT)}
    return render(request, "proconnect/choose.html", context, status=status)


def _dead_end(request: HttpRequest, code: str, why: str) -> HttpResponse:
    """Stop here, as ProConnect does when it cannot trust the address to go back to."""
    context = {"code": code, "why": why, "product": settings.PRODUCT_URL}
    return render(request, "proconnect/dead_end.html", context, status=400)
