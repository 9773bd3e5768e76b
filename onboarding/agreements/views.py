"""What anybody may read, and what the people of a collectivité sign in its name."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.agreements import handover, paper, texts, workflow
from onboarding.agreements.asking import served
from onboarding.agreements.forms import AcceptForm
from onboarding.agreements.models import Acceptance, Text
from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import User
from suite.accounts.permissions import ACCEPT_AGREEMENTS, SEE_AGREEMENTS, Role, allows, check, organization_roles
from suite.accounts.rights import organizations_of
from suite.directory.lookup import by_code
from suite.directory.models import Organization


def user_of(request: HttpRequest) -> User:
    """Return who is signed in."""
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


def as_pdf(content: bytes, name: str) -> HttpResponse:
    """Return a PDF to download."""
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{name}.pdf"'
    return response


# --- Public -----------------------------------------------------------------------------------------------------------


@login_not_required
@require_safe
def prices(request: HttpRequest, code: str) -> HttpResponse:
    """Say plainly what the services cost to one collectivité, and with whom it would sign."""
    organization = next((match.organization for match in by_code(code[:14])), None)
    if organization is None or organization.closed_on is not None:
        raise Http404
    operator = texts.operator_of(organization)
    context = {"organization": organization, "operator": operator, "texts": texts.in_force(operator)}
    return render(request, "agreements/prices.html", context)


@login_not_required
@require_safe
def text(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one published version, whole."""
    found = _published(pk)
    newer = (
        Text.objects.published()
        .filter(operator=found.operator, kind=found.kind, number__gt=found.number or 0)
        .order_by("-number")
        .first()
    )
    return render(request, "agreements/text.html", {"text": found, "newer": newer})


@login_not_required
@require_safe
def text_pdf(request: HttpRequest, pk: UUID) -> HttpResponse:  # noqa: ARG001 - a view's signature
    """Give one published version as a PDF."""
    found = _published(pk)
    return as_pdf(paper.pdf(found), f"{found.kind}-version-{found.number}")


def _published(pk: UUID) -> Text:
    rows = Text.objects.published().select_related("operator").prefetch_related("prices")
    return get_object_or_404(rows, pk=pk)


# --- The collectivité -------------------------------------------------------------------------------------------------


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    """List the collectivités for which the person may act; an only one is its page."""
    own = list(organizations_of(user_of(request)).select_related("department").order_by("name"))
    if len(own) == 1:
        return redirect("agreements:organization", pk=own[0].pk)
    return render(request, "agreements/list.html", {"organizations": own})


@require_safe
def organization(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what the collectivité has signed, what it has still to sign, and what it costs."""
    found, roles = scoped(request, pk)
    check(SEE_AGREEMENTS, roles)
    operator = texts.operator_of(found)
    past = (
        Acceptance.objects.filter(organization=found)
        .select_related("text", "signatory", "confirmation")
        .order_by("-accepted_at")
    )
    standings = texts.standings(found, operator)
    context = {
        "organization": found,
        "operator": operator,
        "standings": standings,
        "texts": [one.text for one in standings],
        "past": past[:50],
        "accepts": allows(ACCEPT_AGREEMENTS, roles),
        "served": served().filter(pk=found.pk).exists(),
    }
    return render(request, "agreements/organization.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Read what is to be accepted, and accept it in the name of the collectivité."""
    found, roles = scoped(request, pk)
    check(ACCEPT_AGREEMENTS, roles)
    user = user_of(request)
    operator = texts.operator_of(found)
    level = mandate(user, found)
    # What was accepted with a weak mandate may be accepted again with a stronger one, by the same person or another.
    standings = texts.standings(found, operator)
    current = handover.opened(found)
    again = {Text.Kind.CONVENTION} if current and handover.asks_again(current) else set()
    lacking = [
        one
        for one in standings
        if one.missing or one.text.kind in again or (one.to_confirm and level >= Mandate.PROVED)
    ]
    form = AcceptForm(
        request.POST if request.method == "POST" else None,
        texts=[one.text for one in lacking],
    )
    refusal = None
    if request.method == "POST" and form.is_valid():
        chosen = set(form.cleaned_data["texts"])
        try:
            workflow.accept(
                found,
                [one.text for one in lacking if str(one.text.pk) in chosen],
                by=user,
                mandate=level,
                function=form.cleaned_data["function"],
                operator=operator,
                case=current.pk if current else None,
            )
        except workflow.AgreementRefused as refused:
            refusal = refused
        else:
            messages.success(request, "Votre acceptation est enregistrée. Vous pouvez la télécharger ci-dessous.")
            return redirect("agreements:organization", pk=found.pk)
    context: dict[str, Any] = {
        "organization": found,
        "operator": operator,
        "lacking": lacking,
        "form": form,
        "refusal": refusal,
        "proved": level >= Mandate.ATTACHED,
        "weak": level == Mandate.ATTACHED and any(one.text.kind == Text.Kind.CONVENTION for one in lacking),
    }
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    return render(request, "agreements/accept.html", context, status=status)


@require_safe
def acceptance_pdf(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give the text that was accepted, stamped with who accepted it and when."""
    rows = Acceptance.objects.select_related("text__operator", "organization", "operator", "signatory", "confirmation")
    found = get_object_or_404(rows, pk=pk)
    check(SEE_AGREEMENTS, organization_roles(request.user, found.organization))
    return as_pdf(paper.pdf(found.text, paper.Stamp.of(found)), f"{found.text.kind}-accepte")


def scoped(request: HttpRequest, pk: UUID) -> tuple[Organization, frozenset[Role]]:
    """Return an organization, and what the person is there."""
    found = get_object_or_404(Organization.objects.select_related("department"), pk=pk)
    return found, organization_roles(request.user, found)
