"""The pages that belong to no trade: legal texts, errors, health."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from onboarding.intake import typed_forms
from onboarding.intake.retention import REGISTRY
from suite import health
from suite.middleware import current_request_id


@login_not_required
@require_safe
def legal(request: HttpRequest) -> HttpResponse:
    """Say who publishes the site."""
    return render(request, "suite/legal.html")


@login_not_required
@require_safe
def accessibility(request: HttpRequest) -> HttpResponse:
    """State how accessible the site is and how to report a barrier."""
    return render(request, "suite/accessibility.html")


@login_not_required
@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Say which personal data are kept, why and for how long."""
    return render(request, "suite/privacy.html", {"registry": REGISTRY})


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - a view's signature
    """Answer 200 while this process lives: what it leans on is `readyz`'s matter."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - a view's signature
    """Answer 200 while the site can do its work, 503 otherwise, with the figures; none names anybody."""
    parts = health.look()
    ok = all(part.ok for part in parts.values())
    checks = {name: {"ok": part.ok, **part.facts} for name, part in parts.items()}
    answer = JsonResponse({"status": "ok" if ok else "failing", "checks": checks}, status=200 if ok else 503)
    add_never_cache_headers(answer)
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Explain a request that cannot be read."""
    return render(request, "400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Explain a refusal: the exception's text, written for the reader, says why."""
    return render(request, "403.html", {"reason": str(exception)}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Offer a new search to a lost reader."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Give the reference of a failure; reads neither the request nor the database, which may be what failed."""
    context = {
        "site_name": settings.SITE_NAME,
        "contact_email": settings.CONTACT_EMAIL,
        "request_id": current_request_id(),
        # Not the `static` tag: it fails when the list of files is what is missing.
        "static_url": settings.STATIC_URL,
    }
    return HttpResponse(render_to_string("500.html", context), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Explain an expired form instead of Django's English page; hand its words back when they are the reader's own."""
    return typed_forms.refused(request) or render(
        request,
        "403.html",
        {"reason": "Ce formulaire a expiré. Revenez à la page précédente, rechargez-la, puis envoyez-le à nouveau."},
        status=403,
    )
