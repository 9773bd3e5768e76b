"""What was typed and sent after the session had ended: kept an hour here, and handed back after the sign-in.

Or sent with the token of a session that ended, by somebody who signed in again in another tab: shown back at once.

Nobody is signed in at that moment. Each page with a form leaves in the browser a signed cookie that says whose page it
is; a form that comes without a session is kept for that account, and shown again to it alone, in that browser alone.
Nothing is done by it: the person reads it and sends it. It is never logged. What another site may have sent is
neither kept nor shown: the browser says where a form comes from, and only our own pages' are handed back.
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

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
SHORTEST = 8  # a single word as long is somebody's, not the value of a box
LARGEST = 200_000  # characters; a longer form is asked for again
MOST = 5  # by person: the oldest goes
# Forms that people spend time on. What confirms an act in one click (take, withdraw) is asked again instead.
KEEPING = frozenset(
    {
        "intake:step", "intake:report", "intake:invite", "intake:ask_to_join", "intake:answer_join", "intake:upload",
        "intake:thread", "intake:edit_message", "intake:erasure",
        "desk:request_changes", "desk:reject", "desk:approve", "desk:prepare", "desk:duplicate", "desk:propose",
        "desk:confirm", "desk:reopen", "desk:propose_revocation", "desk:revoke", "desk:bulk_act", "desk:absence",
        "desk:write", "desk:note", "desk:override", "desk:ask_name",
        "trade:edit", "trade:operator", "trade:add_operator", "agreements:edit",
        "accounts:join", "accounts:invite",
    }
)  # fmt: skip
# Forms without a page of their own: the page that shows them.
SHOWN_BY = {
    "desk:write": "desk:thread",
    "desk:note": "desk:thread",
    "desk:override": "desk:detail",
    "desk:ask_name": "desk:detail",
}
# What a form carries beside the person's own words.
MACHINERY = frozenset({"csrfmiddlewaretoken", "version", "action", "etape", "retour", "rows", "rank", "terms_version"})
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
        elif (
            match.view_name in {*KEEPING, *SHOWN_BY.values()}
            and isinstance(request.user, User)
            and _cookie(request)[0] != request.user.pk
        ):
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
            return _hand_back(request, kept)
        return None


def _hand_back(request: HttpRequest, kept: Kept, *, refused: bool = False) -> HttpResponse:
    """Show a form that was typed, to be sent again by a click of the person."""
    match = request.resolver_match
    assert match is not None  # noqa: S101 - the address was resolved
    fields = [(name, value) for name, values in kept.data.lists() for value in values if name != "csrfmiddlewaretoken"]
    shown_by = SHOWN_BY.get(match.view_name)
    context = {
        "action": request.path,
        "empty": reverse(shown_by, kwargs=match.kwargs) if shown_by else request.path,
        "fields": fields,
        "words": [value for name, value in fields if _is_words(name, value)],
        "had_files": kept.had_files,
        "refused": refused,
    }
    response = render(request, "intake/typed_forms.html", context, status=403 if refused else 200)
    add_never_cache_headers(response)
    return response


def _is_words(name: str, value: str) -> bool:
    """Whether a field holds what a person wrote, rather than a box ticked or what our page put there."""
    if name in MACHINERY or name.endswith("-id") or not any(character.isalnum() for character in value):
        return False
    try:
        uuid.UUID(value)
    except ValueError:
        return any(character in value for character in " @.'’") or len(value) > SHORTEST
    return False


@sensitive_variables()
def refused(request: HttpRequest) -> HttpResponse | None:
    """Answer a form whose token is not the session's; None for one that is not to be handed back.

    Typed before the session ended, sent after a sign-in in another tab: shown back with a token of today, for the
    person to read and send. The browser must say that it comes from one of our pages: a form made elsewhere, or of
    unknown origin, is refused without a word of it.
    """
    match = request.resolver_match
    if match is None or match.view_name not in KEEPING or not _is_ours(request) or _size(request.POST) > LARGEST:
        return None
    if not request.user.is_authenticated:
        return _keep(request)
    return _hand_back(request, Kept(request.POST, bool(request.FILES)), refused=True)


def _is_ours(request: HttpRequest) -> bool:
    """Whether the browser says that the form was one of our own pages'. Every browser of today says it of a POST."""
    origin = urlsplit(request.headers.get("Origin", ""))
    ours = urlsplit(settings.PUBLIC_BASE_URL)
    same = (origin.scheme, origin.netloc) == (ours.scheme, ours.netloc)
    return same and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def _size(posted: QueryDict) -> int:
    return sum(len(name) + sum(map(len, values)) for name, values in posted.lists())


@sensitive_variables()
def _keep(request: HttpRequest) -> HttpResponse | None:
    """Keep the form and ask to sign in; None, which asks to sign in too, for a browser that nobody used here."""
    user_pk, browser = _cookie(request)
    user = User.objects.filter(pk=user_pk, is_active=True).first() if user_pk else None
    fields = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    if user is None or _size(request.POST) > LARGEST:
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
