"""The operators' side: write and publish the texts, see who has not accepted, confirm what was accepted weakly."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.agreements import asking, handover, texts, workflow
from onboarding.agreements.forms import ConfirmForm, PublishForm, Sheet
from onboarding.agreements.handover_models import DepartingMailbox
from onboarding.agreements.models import Acceptance, Text
from onboarding.agreements.views import user_of
from onboarding.agreements.workflow import AgreementRefused
from suite.accounts import stepup
from suite.accounts.mandates import Mandate
from suite.accounts.models import OperatorRole, User
from suite.accounts.permissions import (
    CONFIRM_AGREEMENT,
    LIST_TEXTS,
    SEE_DESK,
    WRITE_TEXTS,
    allows,
    check,
    operator_roles,
    organization_roles,
    site_roles,
)
from suite.accounts.rights import operator_scope
from suite.directory.models import Operator, Organization

PAGE = 25


# --- Texts ------------------------------------------------------------------------------------------------------------


@require_safe
def operators(request: HttpRequest) -> HttpResponse:
    """List the operators whose texts the person writes; an only one is its page."""
    check(LIST_TEXTS, site_roles(request.user))
    led = list(_led(user_of(request)))
    if len(led) == 1:
        return redirect("agreements:texts", pk=led[0].pk)
    return render(request, "agreements/operator/operators.html", {"operators": led})


def _led(user: User) -> QuerySet[Operator]:
    scope = operator_scope(user)
    places = [one for one in (scope.places if scope else ()) if one.role == OperatorRole.Role.LEAD]
    found = Operator.objects.order_by("-national", "name")
    return found if any(one.national for one in places) else found.filter(pk__in=[one.operator for one in places])


@require_safe
def texts_(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the three documents of an operator: in force, to come, drafts, past."""
    operator = get_object_or_404(Operator, pk=pk)
    check(WRITE_TEXTS, operator_roles(request.user, operator))
    own = list(Text.objects.filter(operator=workflow.owner_of(operator)).order_by("kind", "-number"))
    force = {one.kind: one for one in texts.in_force(operator)}
    rows = [
        {
            "kind": kind,
            "label": kind.label,
            "in_force": force.get(kind),
            "draft": next((one for one in own if one.kind == kind and not one.is_published), None),
            "others": [one for one in own if one.kind == kind and one.is_published and one != force.get(kind)],
        }
        for kind in Text.Kind
    ]
    return render(request, "agreements/operator/texts.html", {"operator": operator, "rows": rows})


@require_POST
def draft(request: HttpRequest, pk: UUID, kind: str) -> HttpResponse:
    """Open a draft from the text in force."""
    operator = get_object_or_404(Operator, pk=pk)
    check(WRITE_TEXTS, operator_roles(request.user, operator))
    if kind not in Text.Kind.values:
        raise Http404
    return redirect("agreements:edit", pk=workflow.open_draft(operator, kind, by=user_of(request)).pk)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Write a draft; a save on top of a colleague's keeps what was typed and says so."""
    found, operator = _draft(request, pk)
    if found.is_published:
        messages.info(request, "Ce texte est publié : il ne se modifie plus. Ouvrez un nouveau brouillon.")
        return redirect("agreements:texts", pk=operator.pk)
    sheet = Sheet(found, request.POST if request.method == "POST" else None)
    refusal = None
    if request.method == "POST" and sheet.is_valid():
        try:
            workflow.save_draft(found, sheet.draft(), revision=_revision(request), by=user_of(request))
        except AgreementRefused as refused:
            refusal = refused
        else:
            messages.success(request, "Le brouillon est enregistré.")
            target = "agreements:publish" if request.POST.get("action") == "publish" else "agreements:edit"
            return redirect(target, pk=found.pk)
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    context = {"text": found, "operator": operator, "sheet": sheet, "refusal": refusal}
    return render(request, "agreements/operator/edit.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def publish(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the draft exactly as it will be read, and publish it with its date."""
    found, operator = _draft(request, pk)
    if found.is_published:
        return redirect("agreements:text", pk=found.pk)
    if asked := stepup.before_sending(request):
        return asked
    posted = request.method == "POST"
    form = PublishForm(request.POST if posted else None, initial={"effective_on": timezone.localdate()})
    refusal = None
    if posted and form.is_valid():
        try:
            done = workflow.publish(
                found, revision=_revision(request), effective_on=form.cleaned_data["effective_on"], by=user_of(request)
            )
        except AgreementRefused as refused:
            refusal = refused
            if refused.field in form.fields:
                form.add_error(refused.field, str(refused))
        else:
            messages.success(request, f"La {done.version} est publiée. Elle ne se modifie plus.")
            return redirect("agreements:texts", pk=operator.pk)
    signed = asking.served().filter(operators=operator).count() if not operator.national else None
    context = {"text": found, "operator": operator, "form": form, "refusal": refusal, "signed": signed}
    status = 200 if not posted else refusal.http if refusal else 422
    return render(request, "agreements/operator/publish.html", context, status=status)


@require_POST
def discard(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Throw a draft away."""
    found, operator = _draft(request, pk)
    try:
        workflow.discard(found, by=user_of(request))
    except AgreementRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "Le brouillon est supprimé.")
    return redirect("agreements:texts", pk=operator.pk)


def _draft(request: HttpRequest, pk: UUID) -> tuple[Text, Operator]:
    found = get_object_or_404(Text.objects.select_related("operator").prefetch_related("prices"), pk=pk)
    operator = found.operator or Operator.objects.filter(national=True).first()
    if operator is None:
        raise Http404
    check(WRITE_TEXTS, operator_roles(request.user, operator))
    return found, operator


def _revision(request: HttpRequest) -> int:
    typed = request.POST.get("revision", "")
    return int(typed) if typed.isdecimal() and len(typed) < 10 else 0  # noqa: PLR2004 - a column's size


# --- Who has not accepted ---------------------------------------------------------------------------------------------


def followed(user: User) -> QuerySet[Organization]:
    """Return the organizations served by the operators of the person; all of them for the national one."""
    scope = operator_scope(user)
    if scope is None:
        return Organization.objects.none()
    found = asking.served()
    return found if scope.national else found.filter(operators__in=scope.operators)


@require_safe
def follow(request: HttpRequest) -> HttpResponse:
    """List the collectivités that have still to accept a text, and the conventions to confirm."""
    check(SEE_DESK, site_roles(request.user))
    user = user_of(request)
    page = Paginator(followed(user), PAGE).get_page(request.GET.get("page"))
    weak = Q(text__kind=Text.Kind.CONVENTION, mandate__lt=Mandate.PROVED, confirmation__isnull=True)
    to_confirm = (
        Acceptance.objects.filter(weak, organization__in=followed(user).values("pk"))
        .select_related("organization", "text", "signatory")
        .order_by("accepted_at")
    )
    context = {
        "page": page,
        "lacks": {one.organization.pk: one for one in asking.lacks(page.object_list)},
        "to_confirm": to_confirm[:100],
        "writes": allows(LIST_TEXTS, site_roles(user)),
    }
    return render(request, "agreements/operator/follow.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Write what was verified of whoever accepted a convention with a weak mandate."""
    rows = Acceptance.objects.select_related("organization", "text", "signatory", "confirmation__by", "user")
    found = get_object_or_404(rows, pk=pk)
    check(CONFIRM_AGREEMENT, organization_roles(request.user, found.organization))
    if asked := stepup.before_sending(request):
        return asked
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    refusal = None
    if request.method == "POST" and form.is_valid():
        user = user_of(request)
        if user.memberships.filter(organization=found.organization).exclude(state="ended").exists():
            raise PermissionDenied("Vous êtes rattaché à cette collectivité : un collègue doit confirmer.")
        try:
            workflow.confirm(found, by=user, check=form.cleaned_data["check_text"])
        except AgreementRefused as refused:
            refusal = refused
        else:
            messages.success(request, f"La convention de {found.organization.name} est confirmée.")
            return redirect("agreements:follow")
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    context: dict[str, Any] = {
        "acceptance": found,
        "firm": texts.is_firm(found),
        "form": form,
        "refusal": refusal,
        "level": Mandate(found.mandate),
    }
    return render(request, "agreements/operator/confirm.html", context, status=status)


# --- Handovers --------------------------------------------------------------------------------------------------------


@require_safe
def handovers(request: HttpRequest) -> HttpResponse:
    """List the communes that have not handed over since the last election, and the mailboxes to disable."""
    check(SEE_DESK, site_roles(request.user))
    user = user_of(request)
    own = followed(user).values("pk")
    page = Paginator(handover.awaited().filter(pk__in=own), PAGE).get_page(request.GET.get("page"))
    departing = (
        DepartingMailbox.objects.filter(handover__organization__in=own, resource__deployment__closed_at__isnull=True)
        .select_related("handover__organization", "resource__deployment", "by")
        .order_by("handover__organization__name", "resource__key")
    )
    context = {
        "election": handover.last_election(),
        "page": page,
        "departing": departing[:200],
    }
    return render(request, "agreements/operator/handovers.html", context)
