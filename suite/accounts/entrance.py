"""How fast one may knock. Counts are shared by all web processes, and no stranger's tries close the door to others.

A browser that has a session is counted alone. One that has none is counted with its address, behind which a whole
département may stand: past the limit it is slowed down by a few seconds, not refused.
"""

import secrets
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from suite.accounts import addresses
from suite.accounts.limits import allow

BROWSER = {"limit": 100, "seconds": 600}  # departures of one browser
NETWORK = {"limit": 600, "seconds": 60}  # first departures from one address
COOKIE = "suite_patience"
PATIENCE = 3  # seconds
PATIENCE_ENDS = 600


def slow_down(request: HttpRequest) -> HttpResponse | None:
    """Return a page that makes one wait, None to whoever may leave for ProConnect now."""
    key = request.session.session_key
    if key and request.session.exists(key):
        return None if allow("sign-in browser", key, **BROWSER) else _wait(request, known=True)
    if allow("sign-in network", addresses.visitor(request), **NETWORK) or _has_waited(request):
        return None
    return _wait(request, known=False)


def may_exchange(request: HttpRequest) -> bool:
    """Whether this browser may have one more code exchanged: each costs ProConnect and us two calls."""
    return allow("sign-in exchange", request.session.session_key or addresses.visitor(request), **BROWSER)


def _has_waited(request: HttpRequest) -> bool:
    """Whether the browser brings back the cookie of the waiting page, old enough, and not for the fifth time."""
    cookie = request.COOKIES.get(COOKIE, "")
    try:
        token = signing.loads(cookie, salt=COOKIE, max_age=PATIENCE_ENDS)
    except signing.BadSignature:
        return False
    try:
        signing.loads(cookie, salt=COOKIE, max_age=PATIENCE)
    except signing.SignatureExpired:
        return allow("sign-in patience", str(token), limit=5, seconds=PATIENCE_ENDS)
    return False


def _wait(request: HttpRequest, *, known: bool) -> HttpResponse:
    context = {"again": request.get_full_path(), "known": known, "seconds": PATIENCE + 2}
    response = render(request, "accounts/wait.html", context, status=429)
    response["Retry-After"] = str(BROWSER["seconds"] if known else PATIENCE + 2)
    if not known and COOKIE not in request.COOKIES:
        response.set_cookie(
            COOKIE,
            signing.dumps(secrets.token_urlsafe(12), salt=COOKIE),
            max_age=PATIENCE_ENDS,
            path=reverse("oidc_authentication_init"),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def answered(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give allauth's refused forms the status that this house gives: 422, or 429 for too many tries."""

    @wraps(view)
    def honest(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if request.method == "POST" and response.status_code == 200:  # noqa: PLR2004 - the form, shown again
            response.status_code = 429 if getattr(request, "break_glass_limited", False) else 422
        return response

    return honest
