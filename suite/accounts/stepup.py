"""The second factor asked again before a sensitive act, for ten minutes, or for one act that nothing undoes.

`missing(request)` goes after a view's scope, `before_sending` where one may look without it; `required` wraps a whole
view, and alone knows how to spend a factor that serves once. What was typed before the factor was asked waits in the
session for an hour, and is handed back.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from suite.accounts import breakglass, states
from suite.accounts.models import Identity, User
from suite.accounts.refusals import SignInRefused
from suite.accounts.tokens import Authentication
from suite.journal.workflow import record

KEY = "step_up"  # what the session knows of the last second factor
TYPED = "step_up_typed"
RESUME = "reprise"  # the name, in the address, of what was typed
KEPT_SECONDS = 3600
MOST_KEPT = 3
LARGEST = 200_000  # characters of a form; longer ones are asked for again
SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Elevation:
    """A second factor that was given. `asked` for an act, or brought by the sign-in itself."""

    at: float
    asked: bool
    by_mail: bool
    used: bool

    @property
    def live(self) -> bool:
        """Whether it is less than ten minutes old."""
        return 0 <= time.time() - self.at <= settings.STEP_UP_SECONDS

    def serves(self, *, single_use: bool, mailbox: bool) -> bool:
        """Whether it is enough for an act: a code by e-mail proves nothing about the mailbox it is read in."""
        if not self.live or (mailbox and self.by_mail):
            return False
        return not single_use or (self.asked and not self.used)


def elevation(request: HttpRequest) -> Elevation | None:
    """Return the last second factor of this session, None if there was none."""
    if breakglass.opened(request):
        factor = breakglass.last_factor(request)
        if factor is None:
            return None
        spent = request.session.get(KEY, {}).get("spent", 0.0)
        return Elevation(factor.at, asked=factor.again, by_mail=False, used=spent >= factor.at)
    known = request.session.get(KEY)
    if not known:
        return None
    return Elevation(known["at"], asked=known["asked"], by_mail=known["by_mail"], used=known["spent"] >= known["at"])


def missing(request: HttpRequest, *, single_use: bool = False, mailbox: bool = False) -> HttpResponse | None:
    """Return the page that asks for the second factor, or that hands back what was typed; None when one may go on.

    `mailbox`: the act is about a domain or a mailbox, for which a code by e-mail is not enough.
    """
    if not isinstance(request.user, User):
        return None  # the sign-in comes first, and is not this module's
    found = elevation(request)
    if found is None or not found.serves(single_use=single_use, mailbox=mailbox):
        return _ask(request, by_mail=bool(mailbox and found and found.live and found.by_mail))
    if request.method in SAFE and RESUME in request.GET:
        return _hand_back(request, request.GET[RESUME])
    if request.method not in SAFE:
        _forget(request)
    return None


def before_sending(request: HttpRequest, *, mailbox: bool = False) -> HttpResponse | None:
    """Ask as `missing` does, but only once the form is sent: its page may be looked at."""
    if request.method in SAFE and RESUME not in request.GET:
        return None
    return missing(request, mailbox=mailbox)


P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def required(*, single_use: bool = False, mailbox: bool = False) -> Callable[[View[P]], View[P]]:
    """Wrap a view so that it runs under a second factor only; with `single_use`, one factor serves one act.

    An act that the view refuses (a status of 400 or more) gives the factor back.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            answer = missing(request, single_use=single_use, mailbox=mailbox)
            if answer is not None:
                return answer
            acts = single_use and request.method not in SAFE and isinstance(request.user, User)
            if acts and not _spend(request):
                return _ask(request)
            try:
                response = view(request, *args, **kwargs)
            except Exception:
                if acts:
                    _give_back(request)
                raise
            if acts and response.status_code >= 400:  # noqa: PLR2004 - nothing was done
                _give_back(request)
            return response

        return cast(View[P], guarded)

    return decorate


# --- The factor, on its way back from ProConnect ----------------------------------------------------------------------


def verify(authentication: Authentication, *, user: str, sub: str) -> None:
    """Check that whoever came back is whoever left, by a second factor. Raises SignInRefused."""
    live = Identity.objects.filter(revoked_at__isnull=True)
    same = live.filter(user_id=user, issuer=settings.OIDC_OP_ISSUER, sub=authentication.sub)
    if (sub and authentication.sub != sub) or not same.exists():
        raise SignInRefused("step_up_other", "step_up.other_sub", sub=authentication.sub)
    if authentication.acr not in settings.PROCONNECT_ACR_STEP_UP:
        raise SignInRefused("step_up_weak", "step_up.acr", sub=authentication.sub)


def note(request: HttpRequest, authentication: Authentication, *, asked: bool) -> None:
    """Write in the session the factor that a sign-in brought, if it brought one."""
    if authentication.acr in settings.PROCONNECT_ACR_STEP_UP:
        by_mail = set(authentication.amr) - {"mfa", "pwd"} == {"mail"}
        request.session[KEY] = {"at": time.time(), "asked": asked, "by_mail": by_mail, "spent": 0.0}


def grant(request: HttpRequest, user: User, authentication: Authentication) -> None:
    """Raise the session for ten minutes, under a new key: whoever knew the old one knows nothing of this."""
    request.session.cycle_key()
    note(request, authentication, asked=True)
    facts = {"acr": authentication.acr, "amr": list(authentication.amr)}
    record("account", user.pk, "account.stepped_up", by=user, payload=facts)


def record_refusal(user: str, reason: str) -> None:
    """Write in the journal that the second factor of an account was not accepted."""
    record("account", UUID(user), "account.step_up_refused", by=None, payload={"reason": reason})


# --- One act per factor -----------------------------------------------------------------------------------------------


def _spend(request: HttpRequest) -> bool:
    """Use the factor up; of two acts at once, one only finds it."""
    with states.locked(request) as session:
        found = elevation(request)
        if found is None or not found.serves(single_use=True, mailbox=False):
            return False
        session[KEY] = {**session.get(KEY, {}), "spent": time.time()}
    return True


def _give_back(request: HttpRequest) -> None:
    with states.locked(request) as session:
        if KEY in session:
            session[KEY] = {**session[KEY], "spent": 0.0}


# --- Asking, without losing what was typed ----------------------------------------------------------------------------


def _ask(request: HttpRequest, *, by_mail: bool = False) -> HttpResponse:
    here, lost = request.get_full_path(), False
    if request.method not in SAFE:
        token = _keep(request)
        lost = not token or bool(request.FILES)
        here = f"{request.path}?{urlencode({RESUME: token})}" if token else request.path
    local = breakglass.opened(request)
    start = reverse("mfa_reauthenticate" if local else "oidc_authentication_init")
    query = {"next": here} if local else {"confirmation": "1", "next": here}
    context = {
        "start": f"{start}?{urlencode(query)}",
        "local": local,
        "kept": request.method not in SAFE and not lost,
        "lost": lost,
        "by_mail": by_mail,
        "minutes": settings.STEP_UP_SECONDS // 60,
    }
    response = render(request, "accounts/step_up.html", context, status=403)
    add_never_cache_headers(response)
    return response


def _keep(request: HttpRequest) -> str:
    """Keep what was typed in the session of whoever typed it; return its name, "" when it is too long."""
    fields = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    if sum(len(name) + sum(map(len, values)) for name, values in fields.items()) > LARGEST:
        return ""
    token = secrets.token_urlsafe(16)
    kept = sorted(_typed(request).items(), key=lambda entry: float(entry[1]["at"]))[1 - MOST_KEPT :]
    request.session[TYPED] = {**dict(kept), token: {"path": request.path, "fields": fields, "at": time.time()}}
    return token


def _hand_back(request: HttpRequest, token: str) -> HttpResponse | None:
    """Show the form that was under way, ready to be sent again; nothing when it is gone."""
    found = _typed(request).get(token)
    if found is None or found["path"] != request.path:
        return None
    fields = [(name, value) for name, values in found["fields"].items() for value in values]
    response = render(request, "accounts/resume.html", {"action": request.path, "fields": fields})
    add_never_cache_headers(response)
    return response


def _forget(request: HttpRequest) -> None:
    kept = {token: one for token, one in _typed(request).items() if one["path"] != request.path}
    if kept != request.session.get(TYPED, {}):
        request.session[TYPED] = kept


def _typed(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """Return what is kept and not older than an hour."""
    known: dict[str, dict[str, Any]] = request.session.get(TYPED, {})
    return {token: one for token, one in known.items() if time.time() - one["at"] <= KEPT_SECONDS}
