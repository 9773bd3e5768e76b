"""One host name, to which every other leads: a session, a form and ProConnect's return are of one host.

A session ends twelve hours after sign-in, whatever happened in between (O12), and at once when it is closed.

And no second factor, no admin: nor anything else, for a break-glass account, whose session lasts an hour.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from suite.accounts import breakglass, sessions, stepup
from suite.accounts.models import User

WAYS_OUT = {"account_logout", "oidc_logout"}
# Probes ask a process by its own address.
BY_ANY_NAME = {"healthz"}
SAFE = {"GET", "HEAD", "OPTIONS"}
MISDIRECTED = 421


class CanonicalHost:
    """Lead whoever came by another of our names to the one of PUBLIC_BASE_URL, where its sign-in would come back.

    A form sent to another name is refused: sent on, it would arrive without its session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        canonical = settings.PUBLIC_BASE_URL
        if request.get_host().lower() == urlsplit(canonical).netloc or request.path in map(reverse, BY_ANY_NAME):
            return self.get_response(request)
        if request.method in SAFE:
            return HttpResponseRedirect(f"{canonical}{request.get_full_path(force_append_slash=False)}")
        said = f"Ce site se trouve à l’adresse {canonical}/\u00a0: rouvrez-y cette page. Rien n’a été enregistré."
        return HttpResponse(said, status=MISDIRECTED, content_type="text/plain; charset=utf-8")


class AbsoluteSession:
    """Sign out whoever signed in too long ago: a cookie's age slides at each save, this instant does not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User) or not sessions.is_over(request.session, user):
            return self.get_response(request)
        auth.logout(request)
        response = self.get_response(request)
        login = reverse("accounts:login")
        if response.get("Location", "").startswith(login):
            if "HX-Request" in request.headers:
                # A fragment cannot show a sign-in page: let the whole page ask again.
                return HttpResponse(headers={"HX-Refresh": "true"})
            response["Location"] += ("&" if "?" in response["Location"] else "?") + "expiree=1"
        return response


class SecondFactor:
    """Keep a break-glass session without its factor on the way out, and the admin behind a second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: object,  # noqa: ARG002 - Django's signature
        args: object,  # noqa: ARG002 - idem
        kwargs: object,  # noqa: ARG002 - idem
    ) -> HttpResponse | None:
        """Answer instead of the view, or let it answer."""
        match = request.resolver_match
        if match is None or not isinstance(request.user, User):
            return None
        if breakglass.opened(request) and match.view_name not in WAYS_OUT and not breakglass.has_factor(request):
            return render(request, "accounts/no_factor.html", status=403)
        if match.app_names[:1] == ["admin"] and request.user.is_staff:
            return stepup.missing(request)
        return None
