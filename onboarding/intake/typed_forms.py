"""What was typed and sent after the session had ended: kept an hour here, and handed back after the sign-in.

Nobody is signed in at that moment. Each page with a form leaves in the browser a signed cookie that says whose page it
is; a form that comes without a session is kept for that account, and shown again to it alone, in that browser alone.
Nothing is done by it: the person reads it and sends it. It is never logged.
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables

from onboarding.intake.request_models import TypedForm
from suite.accounts.models import User

COOKIE = "suite_saisie"
NAME = "saisie"  # in the address, which of the kept forms
KEPT = timedelta(hours=1)
COOKIE_AGE = 86_400
LARGEST = 200_000  # characters; a longer form is asked for again
MOST = 5  # by person: the oldest goes
# Forms that people spend time on. What confirms an act in one click (take, withdraw) is asked again instead.
KEEPING = frozenset(
    {
        "intake:step", "intake:report", "intake:invite", "intake:ask_to_join", "intake:upload",
        "desk:request_changes", "desk:reject", "desk:approve", "desk:prepare",
        "accounts:join", "accounts:invite",
    }
)  # fmt: skip
# These show it in their own form; the others are shown on a page that sends it again.
OWN_PAGE = frozenset({"intake:step"})
LEAVING = frozenset({"oidc_logout", "account_logout"})


class Kept(NamedTuple):
    """A form that waits for whoever typed it."""

    data: QueryDict
    had_files: bool


class TypedForms:
    """Keep the forms that come without a session, and hand them back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        match = request.resolver_match
        if match is None:
            return response
        if match.view_name in LEAVING:
            response.delete_cookie(COOKIE, samesite="Lax")
        elif match.view_name in KEEPING and isinstance(request.user, User) and _cookie(request)[0] != request.user.pk:
            value = signing.dumps([str(request.user.pk), secrets.token_urlsafe(16)], salt=COOKIE)
            response.set_cookie(
                COOKIE, value, COOKIE_AGE, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
            )
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: object,  # noqa: ARG002 - Django's signature
        args: object,  # noqa: ARG002 - idem
        kwargs: object,  # noqa: ARG002 - idem
    ) -> HttpResponse | None:
        """Answer instead of the view that a visitor may not reach, or instead of an empty form."""
        match = request.resolver_match
        if match is None or match.view_name not in KEEPING:
            return None
        if request.method == "POST" and not request.user.is_authenticated:
            return _keep(request)
        if request.method == "GET" and match.view_name not in OWN_PAGE and (kept := find(request)):
            fields = [(name, value) for name, values in kept.data.lists() for value in values]
            response = render(
                request,
                "intake/typed_forms.html",
                {"action": request.path, "fields": fields, "had_files": kept.had_files},
            )
            add_never_cache_headers(response)
            return response
        return None


@sensitive_variables()
def _keep(request: HttpRequest) -> HttpResponse | None:
    """Keep the form and ask to sign in; None, which asks to sign in too, for a browser that nobody used here."""
    user_pk, browser = _cookie(request)
    user = User.objects.filter(pk=user_pk, is_active=True).first() if user_pk else None
    fields = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    if user is None or sum(len(name) + sum(map(len, values)) for name, values in fields.items()) > LARGEST:
        return None
    if "\x00" in "".join(text for name, values in fields.items() for text in (name, *values)):
        return None  # the database keeps no such text, and no browser types it
    now = timezone.now()
    kept = TypedForm.objects.create(
        user=user,
        browser=browser,
        path=request.path[:500],
        fields=fields,
        had_files=bool(request.FILES),
        created_at=now,
        expires_at=now + KEPT,
    )
    older = TypedForm.objects.filter(user=user).order_by("-created_at").values_list("pk", flat=True)[MOST:]
    TypedForm.objects.filter(pk__in=list(older)).delete()
    here = f"{request.path}?{urlencode({NAME: kept.pk})}"
    return HttpResponseRedirect(f"{reverse('accounts:login')}?{urlencode({'next': here})}")


@sensitive_variables()
def find(request: HttpRequest) -> Kept | None:
    """Return the form that the address names, for whoever typed it in this browser less than an hour ago."""
    try:
        pk = uuid.UUID(request.GET.get(NAME, ""))
    except ValueError:
        return None
    user_pk, browser = _cookie(request)
    if not isinstance(request.user, User) or user_pk != request.user.pk:
        return None
    found = TypedForm.objects.filter(
        pk=pk, user=request.user, browser=browser, path=request.path, expires_at__gt=timezone.now()
    ).first()
    if found is None:
        return None
    data = QueryDict(mutable=True)
    for name, values in found.fields.items():
        data.setlist(name, values)
    return Kept(data, found.had_files)


def forget(request: HttpRequest) -> None:
    """Erase what waited for this page: it was sent."""
    if isinstance(request.user, User):
        TypedForm.objects.filter(user=request.user, path=request.path).delete()


def purge() -> int:
    """Erase what nobody came back for; return how many."""
    deleted, _ = TypedForm.objects.filter(expires_at__lte=timezone.now()).delete()
    return deleted


def _cookie(request: HttpRequest) -> tuple[uuid.UUID | None, str]:
    """Return whose page the browser showed last, and what stands for the browser."""
    try:
        user, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=COOKIE_AGE)
        return uuid.UUID(user), hashlib.sha256(browser.encode()).hexdigest()
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None, ""
