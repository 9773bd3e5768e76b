"""The sessions of whoever is signed in, and closing them."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from suite.accounts import sessions as open_sessions
from suite.accounts.views import person


@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """List the devices where the person is signed in."""
    user = person(request)
    context = {
        "sessions": open_sessions.of(user),
        "current": open_sessions.current(request),
        "ends_at": open_sessions.ends_at(request.session, user),
    }
    return render(request, "accounts/session/sessions.html", context)


@require_POST
def close_session(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Close one of one's own sessions; another person's does not exist here."""
    user = person(request)
    if pk not in {row.pk for row in user.opened_sessions.all()}:
        raise Http404
    if open_sessions.close(user, [pk]):
        messages.success(request, "La session est fermée.")
    else:
        messages.info(request, "Cette session était déjà fermée.")
    return redirect("accounts:sessions")


@require_POST
def close_others(request: HttpRequest) -> HttpResponse:
    """Close all one's sessions but this one."""
    user = person(request)
    others = [row.pk for row in open_sessions.of(user) if row.pk != open_sessions.current(request)]
    open_sessions.close(user, others)
    messages.success(request, "Vos autres sessions sont fermées.")
    return redirect("accounts:sessions")
