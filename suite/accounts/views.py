"""Sign-in and sign-out. The library's two views are the only classes of the site: it asks for classes."""

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare, get_random_string
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from suite.accounts import breakglass, entrance, sessions, states, stepup
from suite.accounts.models import User
from suite.accounts.oidc import Flow, pinned
from suite.accounts.permissions import LOOK_BEHIND
from suite.accounts.refusals import CALLBACK_ERRORS, DENIALS, SignInRefused
from suite.accounts.rights import operator_scope

logger = logging.getLogger(__name__)

SUB = "oidc_sub"  # whom a step-up must bring back
LOGOUT_COOKIE = "suite_logout"


@login_not_required
@never_cache
@require_safe
def login(request: HttpRequest) -> HttpResponse:
    """Say what ProConnect is and offer to go there; somebody already signed in goes on to where it was bound."""
    wanted = local_path(request.GET.get("next", ""))
    if isinstance(request.user, User):
        return redirect(wanted or landing(request.user))
    query = f"?{urlencode({'next': wanted})}" if wanted else ""
    return render(
        request,
        "accounts/login.html",
        {"start": reverse("oidc_authentication_init") + query, "expired": "expiree" in request.GET},
    )


@method_decorator([login_not_required, never_cache], name="dispatch")
class Authorize(OIDCAuthenticationRequestView):  # type: ignore[misc]  # the library has no types
    """Leave for ProConnect, with an entry of this tab's own in the session (O7)."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Redirect to the provider."""
        if answer := entrance.slow_down(request):
            return answer
        with states.locked(request) as session:
            response = super().get(request)
            state = parse_qs(urlsplit(response["Location"]).query)["state"][0]
            # The library keeps one `next` for all tabs; ours is in the entry.
            session.pop("oidc_login_next", None)
            landing, purpose = local_path(request.GET.get("next", "")), _purpose(request)
            who = {"user": str(request.user.pk), "sub": session.get(SUB, "")} if purpose == "step-up" else {}
            states.annotate(session, state, landing=landing, purpose=purpose, **who)
        return HttpResponseRedirect(response["Location"])

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        """Pin the return address, which the library takes from the Host header, and ask for what the purpose needs."""
        extra = {**settings.OIDC_AUTH_REQUEST_EXTRA_PARAMS, "redirect_uri": pinned("oidc_authentication_callback")}
        if _purpose(request) != "sign-in":
            # What a second factor asks of ProConnect; `workflow.sign_in` and `stepup.verify` check that it came.
            acr = {"essential": True, "values": settings.PROCONNECT_ACR_STEP_UP}
            asked = {"id_token": {"acr": acr, "amr": {"essential": True}}}
            extra["claims"] = json.dumps(asked, separators=(",", ":"))
        return extra


@method_decorator([login_not_required, never_cache], name="dispatch")
class Callback(OIDCAuthenticationCallbackView):  # type: ignore[misc]  # the library has no types
    """Come back from ProConnect (O6). The one GET that writes: it opens the session."""

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest) -> HttpResponse:
        """Open a session and land, or explain."""
        state = request.GET.get("state", "")
        entry = states.take(request, state)
        if entry is None:
            return self._without_entry(request, state)
        try:
            user, flow = self._authenticate(request, entry)
        except SignInRefused as refused:
            return self._refuse(request, refused, entry)
        if entry.purpose == "step-up":
            return self._raise(request, user, flow, entry)
        return self._open(request, user, flow, entry)

    def _refuse(self, request: HttpRequest, refused: SignInRefused, entry: states.Entry) -> HttpResponse:
        """Explain; a step-up that somebody else answered ends the session, one that failed leaves it as it was."""
        if entry.purpose != "step-up":
            return refuse(request, refused)
        stepup.record_refusal(entry.user, refused.reason)
        if refused.code == "step_up_other":
            sessions.finish(request.session)
            auth.logout(request)
        elif refused.code == "cancelled":
            refused = SignInRefused("step_up_weak", refused.reason)
        return refuse(request, refused)

    def _without_entry(self, request: HttpRequest, state: str) -> HttpResponse:
        """A return nobody waits for changes nothing, whatever it says; another tab's finds its page."""
        elsewhere = request.session.get(states.LANDINGS, {}).get(state)
        if elsewhere is not None and isinstance(request.user, User):
            messages.info(request, f"Vous étiez déjà connecté en tant que {request.user.get_full_name()}.")
            return redirect(elsewhere or landing(request.user))
        return refuse(request, SignInRefused("unknown_state"))

    @sensitive_variables()
    def _authenticate(self, request: HttpRequest, entry: states.Entry) -> tuple[User, Flow]:
        """Check the return itself, then let the backend verify what is behind the code."""
        if entry.expired:
            raise SignInRefused("expired_state")
        # RFC 9207: another provider's answer is not ours. Absent is accepted until the provider promises it.
        absent = "" if settings.OIDC_REQUIRE_CALLBACK_ISS else settings.OIDC_OP_ISSUER
        if request.GET.get("iss", absent) != settings.OIDC_OP_ISSUER:
            raise SignInRefused("answer_invalid", "callback.iss")
        error = request.GET.get("error")
        if error is not None:
            code = CALLBACK_ERRORS.get(error, "provider_error")
            for known, page in DENIALS.items():
                if code == "cancelled" and known in request.GET.get("error_description", ""):
                    code = page
            raise SignInRefused(code, f"callback.{error if error in CALLBACK_ERRORS else 'other_error'}")
        if not 0 < len(request.GET.get("code", "")) <= 4096:  # noqa: PLR2004 - ProConnect's have 43 characters
            raise SignInRefused("incomplete", "callback.code")
        if not entrance.may_exchange(request):
            raise SignInRefused("too_many", "callback.too_many")
        flow = Flow(entry.nonce, entry.verifier, entry.purpose, user=entry.user, sub=entry.sub)
        request.proconnect = flow  # type: ignore[attr-defined]  # what O1 asks for
        user = auth.authenticate(request, nonce=entry.nonce, code_verifier=entry.verifier)
        if not isinstance(user, User):
            raise SignInRefused("answer_invalid", "callback.no_backend")
        return user, flow

    @sensitive_variables()
    def _open(self, request: HttpRequest, user: User, flow: Flow, entry: states.Entry) -> HttpResponse:
        """Start from an empty session, at every sign-in: nothing planted or left by somebody else survives."""
        landings = states.landings(request.session)
        request.session.flush()
        auth.login(request, user)
        sessions.start(request, user)
        request.session["oidc_id_token"] = flow.id_token
        request.session[SUB] = flow.sub
        if flow.proved:
            stepup.note(request, flow.proved, asked=False)
        if landings:
            request.session[states.LANDINGS] = landings
        logger.info("signed in: account %s", user.pk)
        return redirect(entry.next or landing(user))

    @sensitive_variables()
    def _raise(self, request: HttpRequest, user: User, flow: Flow, entry: states.Entry) -> HttpResponse:
        """Go on with the same session, under another key: what was typed before the second factor is in it."""
        if request.user != user or flow.proved is None:
            return self._refuse(request, SignInRefused("step_up_other", "step_up.other_user"), entry)
        stepup.grant(request, user, flow.proved)
        request.session["oidc_id_token"] = flow.id_token
        logger.info("second factor given: account %s", user.pk)
        return redirect(entry.next or landing(user))


@login_not_required
@never_cache
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """End the session here first, then leave for ProConnect to end its own (O11)."""
    if breakglass.opened(request):
        # ProConnect knows nothing of this session, and is perhaps what does not answer.
        sessions.finish(request.session)
        auth.logout(request)
        messages.success(request, "Vous êtes déconnecté.")
        return redirect(settings.LOGOUT_REDIRECT_URL)
    id_token = request.session.get("oidc_id_token")
    # Somebody refused has no session here, but may have one there that would silently bring the same account back.
    hint = {"id_token_hint": id_token} if id_token else {"client_id": settings.OIDC_RP_CLIENT_ID}
    sessions.finish(request.session)
    auth.logout(request)
    state = get_random_string(64)
    query = urlencode({**hint, "post_logout_redirect_uri": pinned("accounts:logged_out"), "state": state})
    response = HttpResponseRedirect(f"{settings.OIDC_OP_LOGOUT_ENDPOINT}?{query}")
    response.set_cookie(
        LOGOUT_COOKIE,
        signing.dumps(state, salt=LOGOUT_COOKIE),
        max_age=states.LIFETIME,
        path=reverse("accounts:logged_out"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@login_not_required
@never_cache
@require_safe
def logged_out(request: HttpRequest) -> HttpResponse:
    """Come back from ProConnect's sign-out. Whoever signed in again meanwhile stays so."""
    try:
        state = signing.loads(request.COOKIES.get(LOGOUT_COOKIE, ""), salt=LOGOUT_COOKIE, max_age=states.LIFETIME)
    except signing.BadSignature:
        return refuse(request, SignInRefused("logout_state", "logout.no_cookie"))
    if not constant_time_compare(state, request.GET.get("state", "")):
        return refuse(request, SignInRefused("logout_state"))
    messages.success(request, "Vous êtes déconnecté.")
    response = redirect(settings.LOGOUT_REDIRECT_URL)
    response.delete_cookie(LOGOUT_COOKIE, path=reverse("accounts:logged_out"), samesite="Lax")
    return response


@login_not_required
@require_safe
def admin_login(request: HttpRequest) -> HttpResponse:
    """Stand where the admin would ask for a password: nobody has one."""
    if isinstance(request.user, User):
        if request.user.is_staff:
            return redirect("admin:index")
        raise PermissionDenied(LOOK_BEHIND.refusal)
    return redirect(f"{reverse('accounts:login')}?{urlencode({'next': reverse('admin:index')})}")


def refuse(request: HttpRequest, refused: SignInRefused) -> HttpResponse:
    """Explain a refusal. The log line bears the page's reference and the reason, nothing of the request."""
    logger.warning("sign-in refused: %s", refused.reason)
    context: dict[str, Any] = {"refusal": refused.refusal, "code": refused.code}
    return render(request, "accounts/refuse.html", context, status=refused.refusal.status)


def person(request: HttpRequest) -> User:
    """Return who is signed in: the middleware lets nobody else reach a closed page."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    return request.user


def local_path(url: str) -> str:
    """Return a path of this site, "" for anything else: another origin, or a page of the sign-in itself."""
    if not url.startswith("/") or not url.isprintable() or len(url) > 2000:  # noqa: PLR2004 - what browsers bear
        return ""
    if not url_has_allowed_host_and_scheme(url, allowed_hosts=None):
        return ""
    return "" if url.startswith((reverse("accounts:login"), reverse("oidc_logout"))) else url


def landing(user: User) -> str:
    """Return where somebody who asked for no page begins."""
    return reverse("desk:queue" if operator_scope(user) else "intake:list")


def _purpose(request: HttpRequest) -> str:
    if "confirmation" in request.GET and isinstance(request.user, User) and not breakglass.opened(request):
        return "step-up"
    return "stronger" if {"renforcee", "confirmation"} & request.GET.keys() else "sign-in"
