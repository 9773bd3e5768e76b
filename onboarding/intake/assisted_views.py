"""The pages of the assisted route: prepare, have the town hall confirm, take over."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from onboarding.intake import acting, assisted, moves
from onboarding.intake.models import Dossier
from onboarding.intake.views import organization_of
from suite.accounts import limits, mandate_workflow
from suite.accounts.documents import DocumentRefused
from suite.accounts.mandate_forms import CaseCodeForm, DocumentForm
from suite.accounts.mandate_models import MandateProof
from suite.accounts.mandate_workflow import MandateRefused
from suite.accounts.models import User
from suite.accounts.rights import operator_scope
from suite.directory.models import DeclaredContact

TAKE_OVERS_A_DAY = 20
DAY = 86_400


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


@require_http_methods(["GET", "HEAD", "POST"])
def prepare(request: HttpRequest) -> HttpResponse:
    """Choose the commune, then open a draft on its behalf."""
    user = _user(request)
    scope = operator_scope(user)
    if scope is None or not scope.instructs:
        raise PermissionDenied("Cette page est réservée aux opérateurs qui instruisent.")
    typed = (request.POST.get("commune") or request.GET.get("commune") or "").replace("\x00", "").strip()[:20]
    organization = organization_of(typed) if typed else None
    refused = "Aucune collectivité ne porte ce code : vérifiez-le." if typed and organization is None else ""
    if request.method == "POST" and not typed:
        refused = "Indiquez le code INSEE, le SIREN ou le SIRET de la collectivité."
    if request.method == "POST" and organization is not None:
        try:
            dossier = assisted.prepare(organization, by=user)
        except moves.NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except moves.GuardFailed as refusal:
            refused = str(refusal)
        else:
            messages.success(request, f"La demande {dossier.reference} est ouverte pour {organization.name}.")
            return redirect("intake:step", pk=dossier.pk, step=1)
    context = {"typed": typed, "organization": organization, "refused": refused}
    return render(request, "intake/assisted/prepare.html", context, status=422 if refused else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stand(request: HttpRequest, pk: object) -> HttpResponse:
    """Have the town hall stand behind a prepared dossier: by a letter, or by a document it signed."""
    user = _user(request)
    dossier = get_object_or_404(Dossier.objects.visible_to(user).select_related("organization"), pk=pk)
    if dossier.prepared_by_id != user.pk:
        raise PermissionDenied("Seule la personne qui a préparé cette demande s’occupe de sa confirmation.")
    if not acting.is_assisted(dossier):
        messages.info(request, "Une personne de la collectivité a repris cette demande.")
        return redirect("desk:queue")
    form, refused = DocumentForm(), ""
    if request.method == "POST":
        form, refused, done = _ask(request, dossier, user)
        if done:
            messages.success(request, done)
            return redirect("intake:stand", pk=dossier.pk)
    failed = bool(refused or form.errors)
    context = {
        "dossier": dossier,
        "contact": DeclaredContact.objects.filter(organization=dossier.organization).first(),
        "proofs": MandateProof.objects.filter(case=dossier.pk).order_by("-created_at")[:10],
        "level": acting.mandate_of(dossier),
        "form": form,
        "refused": refused,
        "failed": failed,
        "errors": [field for field in form if field.errors],
    }
    return render(request, "intake/assisted/stand.html", context, status=422 if failed else 200)


def _ask(request: HttpRequest, dossier: Dossier, user: User) -> tuple[Any, str, str]:
    """Ask for the letter, or keep the document; return the form, what was refused, and what was done."""
    subject, organization = assisted.subject_of(dossier), dossier.organization
    if request.POST.get("action") == "letter":
        try:
            mandate_workflow.request_letter(organization, subject=subject, by=user, elected=False)
        except MandateRefused as refusal:
            return DocumentForm(), str(refusal), ""
        return DocumentForm(), "", "Le courrier attend d’être imprimé, avec les autres."
    form = DocumentForm(request.POST, request.FILES)
    if not form.is_valid():
        return form, "", ""
    try:
        mandate_workflow.hand_in_document(
            organization,
            form.cleaned_data["file"].read(),
            subject=subject,
            by=user,
            elected=form.cleaned_data["elected"],
        )
    except (MandateRefused, DocumentRefused) as refusal:
        return form, str(refusal), ""
    return form, "", "Le document est déposé : un collègue doit le lire."


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def take_over(request: HttpRequest) -> HttpResponse:
    """Take over a dossier that an operator prepared, with the letter that the town hall received."""
    user = _user(request)
    form = CaseCodeForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if not limits.allow("take-over", str(user.pk), limit=TAKE_OVERS_A_DAY, seconds=DAY):
            form.is_valid()
            form.add_error(None, "Trop d’essais aujourd’hui : recommencez demain, ou écrivez-nous.")
            status = 429
        elif form.is_valid():
            data = form.cleaned_data
            try:
                dossier = assisted.take_over(data["reference"], data["code"], by=user)
            except (MandateRefused, moves.Refusal) as refusal:
                form.add_error("code", str(refusal))
            else:
                messages.success(request, f"La demande {dossier.reference} est désormais la vôtre.")
                return redirect("intake:detail", pk=dossier.pk)
    return render(request, "intake/assisted/take_over.html", {"form": form}, status=status)
