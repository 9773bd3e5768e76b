"""What we hold about a person: its own page, and the leads' for those who ask without an account."""

import datetime as dt
import time
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from dsfr.forms import DsfrBaseForm

from onboarding.intake import personal, personal_workflow, retention
from onboarding.intake.personal_models import ErasureRequest
from onboarding.intake.personal_workflow import PersonalRefused
from onboarding.intake.views import _user
from suite.accounts import sessions, stepup
from suite.accounts.limits import allow
from suite.accounts.models import User
from suite.accounts.permissions import ERASE_PERSON, EXPORT_PERSON, HOME, Role, check, site_roles, staff_roles
from suite.accounts.rights import operator_scope

TOO_MANY = 429
A_DAY, DAY = 10, 86_400


class PersonForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """Whose data, and how the person was recognised."""

    use_required_attribute = False
    email = forms.EmailField(
        label="Adresse électronique de la personne",
        max_length=254,
        error_messages={
            "required": "Écrivez l’adresse électronique de la personne.",
            "invalid": "Cette adresse n’est pas complète : par exemple camille@mairie.example.",
        },
    )
    check_text = forms.CharField(
        label="Comment vous avez vérifié que c’est bien elle qui demande",
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Par exemple : elle a répondu à un message envoyé à cette adresse.",
        error_messages={
            "required": "Écrivez comment vous avez vérifié l’identité de la personne.",
            "min_length": "Écrivez-le en quelques mots : au moins dix caractères.",
        },
    )


class ErasureForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """What to add to a request."""

    use_required_attribute = False
    message = forms.CharField(
        label="Ce que vous voulez préciser",
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class RefusalForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """Why nothing is erased."""

    use_required_attribute = False
    reason = forms.CharField(
        label="Pourquoi vous refusez",
        min_length=10,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="La personne le lira.",
        error_messages={
            "required": "Écrivez pourquoi : la personne le lira.",
            "min_length": "Écrivez-le en quelques mots : au moins dix caractères.",
        },
    )


def is_fresh(request: HttpRequest) -> bool:
    """Whether whoever is here signed in, or gave a second factor, less than ten minutes ago."""
    elevated = stepup.elevation(request)
    signed_in = float(request.session.get(sessions.SIGNED_IN_AT, 0))
    return bool(elevated and elevated.live) or 0 <= time.time() - signed_in <= settings.STEP_UP_SECONDS


def _file(sections: list[personal.Section], email: str, kind: str) -> HttpResponse:
    """Return the file to keep: JSON for a machine, a page for a reader."""
    if kind == "json":
        response: HttpResponse = JsonResponse(
            personal.as_dict(sections, email=email), json_dumps_params={"ensure_ascii": False, "indent": 2}
        )
    else:
        context = {"sections": sections, "email": email, "at": timezone.now(), "site_name": settings.SITE_NAME}
        response = HttpResponse(render_to_string("intake/personal/file.html", context))
    kind = "json" if kind == "json" else "html"
    response["Content-Disposition"] = f'attachment; filename="mes-donnees.{kind}"'
    return response


# --- One's own --------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def personal_(request: HttpRequest) -> HttpResponse:
    """Show the person what we hold about it; a POST downloads it, soon after a sign-in only."""
    user = _user(request)
    fresh = is_fresh(request)
    if request.method == "POST":
        if not fresh:
            return _render_personal(request, user, fresh=False, status=403)
        if not allow("personal", str(user.pk), limit=A_DAY, seconds=DAY):
            messages.error(request, "Vous avez téléchargé vos données dix fois aujourd’hui : continuez demain.")
            return _render_personal(request, user, fresh=fresh, status=TOO_MANY)
        return _file(personal_workflow.hand_over(user), user.email, request.POST.get("format", ""))
    return _render_personal(request, user, fresh=fresh)


def _render_personal(request: HttpRequest, user: User, *, fresh: bool, status: int = 200) -> HttpResponse:
    context = {
        "sections": personal.of_user(user) if fresh else [],
        "fresh": fresh,
        "minutes": settings.STEP_UP_SECONDS // 60,
        "asked": ErasureRequest.objects.filter(user=user).order_by("-asked_at").first(),
    }
    return render(request, "intake/personal/personal.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def erasure(request: HttpRequest) -> HttpResponse:
    """Say what can be erased and what the law keeps; a POST asks."""
    user = _user(request)
    form = ErasureForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        asked = personal_workflow.ask_erasure(user, form.cleaned_data["message"])
        messages.success(
            request, f"Votre demande est enregistrée : nous vous répondons avant le {asked.due_on:%d/%m/%Y}."
        )
        return redirect("intake:personal")
    context = {
        "form": form,
        "kept": [one for one in retention.REGISTRY if one.basis in {retention.Basis.LAW, retention.Basis.CONTRACT}],
        "waiting": ErasureRequest.objects.filter(user=user, state=ErasureRequest.State.WAITING).first(),
    }
    return render(request, "intake/personal/erasure.html", context, status=422 if request.method == "POST" else 200)


# --- The leads' -------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest) -> HttpResponse:
    """Gather what we hold under an address, for somebody without an account, in the lead's scope."""
    check(EXPORT_PERSON, site_roles(request.user))
    if asked := stepup.before_sending(request):
        return asked
    user = _user(request)
    form = PersonForm(request.POST if request.method == "POST" else None)
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        if allow("personal", str(user.pk), limit=A_DAY * 5, seconds=DAY):
            sections = personal_workflow.gather(email, by=user, check=form.cleaned_data["check_text"])
            return _file(sections, email, request.POST.get("format", ""))
        form.add_error(None, "Vous avez réuni beaucoup de données aujourd’hui : continuez demain.")
        status = TOO_MANY
    scope = operator_scope(user)
    context = {"form": form, "national": bool(scope and scope.national)}
    return render(request, "intake/personal/person.html", context, status=status)


@require_safe
def erasures(request: HttpRequest) -> HttpResponse:
    """List the requests for erasure of the lead's scope, the most urgent first."""
    check(EXPORT_PERSON, site_roles(request.user))
    user = _user(request)
    rows = ErasureRequest.objects.select_related("user").order_by("state", "due_on")
    waiting = [one for one in rows.filter(state=ErasureRequest.State.WAITING)[:200] if Role.LEAD in roles(user, one)]
    recent = rows.exclude(state=ErasureRequest.State.WAITING).filter(
        answered_at__gte=timezone.now() - dt.timedelta(days=90)
    )
    context = {
        "waiting": waiting,
        "answered": [one for one in recent.order_by("-answered_at")[:50] if Role.LEAD in roles(user, one)],
        "today": timezone.localdate(),
    }
    return render(request, "intake/personal/erasures.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Answer one request: erase what may be, or say why not."""
    found = get_object_or_404(ErasureRequest.objects.select_related("user", "answered_by"), pk=pk)
    user = _user(request)
    check(ERASE_PERSON, roles(user, found))
    if asked := stepup.before_sending(request):
        return asked
    refusing = request.POST.get("action") == "refuse"
    form = RefusalForm(request.POST if refusing else None)
    refusal = None
    if request.method == "POST":
        try:
            if not refusing:
                personal_workflow.erase(found, by=user)
                messages.success(request, "Ce qui pouvait l’être est effacé ; la personne en est informée.")
                return redirect("desk:erasures")
            if form.is_valid():
                personal_workflow.refuse(found, by=user, reason=form.cleaned_data["reason"])
                messages.success(request, "La demande est refusée ; la personne en est informée.")
                return redirect("desk:erasures")
        except PersonalRefused as refused:
            refusal = refused
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    context = {
        "asked": found,
        "form": form,
        "refusal": refusal,
        "memberships": found.user.memberships.exclude(state="ended").select_related("organization"),
    }
    return render(request, "intake/personal/erase.html", context, status=status)


def roles(lead: User, asked: ErasureRequest) -> frozenset[Role]:
    """Return what the person is towards somebody who asks: at home where that somebody's collectivités are."""
    operators: set[UUID | None] = set()
    departments: set[str] = set()
    for one in asked.user.memberships.select_related("organization").prefetch_related("organization__operators"):
        operators |= {operator.pk for operator in one.organization.operators.all()}
        departments |= {one.organization.department_id or "", *one.organization.departments}
    departments.discard("")
    found = staff_roles(lead, operators, departments)
    if asked.user_id == lead.pk and found & HOME:
        return frozenset({Role.STAFF_READER})  # a colleague answers
    return found or frozenset({Role.STRANGER})
