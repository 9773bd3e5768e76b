"""The pages of what moves: old mail brought over, the cutover of a domain in use, the renewal of a name."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.provisioning import (
    cutover_records,
    cutover_workflow,
    mail_import,
    mail_import_workflow,
    renewals_workflow,
)
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.move_forms import ImportForm, PlanForm
from onboarding.provisioning.move_models import BroughtMessage, Cutover, MailImport, Renewal
from onboarding.provisioning.renewals import is_ours
from onboarding.provisioning.workflow import may_operate
from suite.accounts import limits
from suite.accounts.models import User
from suite.accounts.permissions import BRING_MAIL, CUT_OVER, OPERATE

SHOWN_FAILURES = 50
STARTS, STARTS_SECONDS = 20, 3600


# --- Old mail ---------------------------------------------------------------------------------------------------------


@require_safe
def imports(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the mailboxes, and where the old mail of each is."""
    deployment = _deployment(request, pk)
    boxes = [
        box
        for box in deployment.resources.filter(kind=Resource.Kind.MAILBOX)
        .order_by("key")
        .prefetch_related("mail_imports")
        if box.desired.get("kind") != "redirect"
    ]
    lines = [(box, sorted(box.mail_imports.all(), key=lambda row: row.created_at)) for box in boxes]
    return render(request, "provisioning/move/imports.html", {"deployment": deployment, "lines": lines})


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def start_import(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask where the old mail is, and begin to bring it."""
    box = get_object_or_404(
        Resource.objects.select_related("deployment__organization", "deployment__operator", "deployment__closure"),
        pk=pk, kind=Resource.Kind.MAILBOX, deployment__in=Deployment.objects.visible_to(request.user),
    )  # fmt: skip
    person = _person(request)
    if not mail_import_workflow.may_bring(person, box):
        raise PermissionDenied(BRING_MAIL.refusal)
    form = ImportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        if not limits.allow("mail_import", str(person.pk), limit=STARTS, seconds=STARTS_SECONDS):
            form.add_error(None, "Vous avez beaucoup essayé : attendez une heure avant de recommencer.")
        else:
            try:
                row = mail_import_workflow.start(
                    box, by=person, host=said["host"], port=said["port"], login=said["login"],
                    password=said["password"], with_bins=said["with_bins"],
                )  # fmt: skip
            except mail_import_workflow.ImportRefused as refusal:
                form.add_error(refusal.field or None, str(refusal))
            except mail_import_workflow.WrongState as refusal:
                form.add_error(None, str(refusal))
            else:
                return redirect("provisioning:import_detail", pk=row.pk)
    status = 422 if form.errors else 200
    return render(request, "provisioning/move/start_import.html", {"box": box, "form": form}, status=status)


@require_safe
def import_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how far an import is."""
    return _import_page(request, _import(request, pk))


@sensitive_post_parameters("password")
@require_POST
def import_act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Pause, resume or cancel an import."""
    row, person, act = _import(request, pk), _person(request), request.POST.get("act", "")
    if not mail_import_workflow.may_bring(person, row.resource):
        raise PermissionDenied(BRING_MAIL.refusal)
    try:
        match act:
            case "pause":
                mail_import_workflow.pause(row, by=person)
            case "resume":
                mail_import_workflow.resume(row, by=person, password=request.POST.get("password", "")[:500])
            case "cancel":
                mail_import_workflow.cancel(row, by=person)
            case _:
                return HttpResponseBadRequest("Cette action n’existe pas.")
    except mail_import_workflow.ImportRefused as refusal:
        return _import_page(request, _import(request, pk), refusal=str(refusal), field=refusal.field, status=422)
    except mail_import_workflow.WrongState as refusal:
        return _import_page(request, _import(request, pk), refusal=str(refusal), status=409)
    return redirect("provisioning:import_detail", pk=pk)


def _import(request: HttpRequest, pk: UUID) -> MailImport:
    rows = MailImport.objects.select_related(
        "resource__deployment__organization", "resource__deployment__operator", "asked_by"
    )
    return get_object_or_404(rows, pk=pk, resource__deployment__in=Deployment.objects.visible_to(request.user))


def _import_page(
    request: HttpRequest, row: MailImport, *, refusal: str = "", field: str = "", status: int = 200
) -> HttpResponse:
    left = BroughtMessage.objects.filter(folder__mail_import=row, state=BroughtMessage.State.FAILED)
    context = {
        "row": row,
        "deployment": row.resource.deployment,
        "progress": mail_import.progress(row),
        "folders": row.folders.order_by("target")[:200],
        "left": left.select_related("folder").order_by("pk")[:SHOWN_FAILURES],
        "may_bring": mail_import_workflow.may_bring(request.user, row.resource),
        "needs_password": not row.sealed_password,
        "refusal": refusal,
        "field": field,
    }
    return render(request, "provisioning/move/import_detail.html", context, status=status)


# --- Cutover ----------------------------------------------------------------------------------------------------------


@require_safe
def cutover(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show where the mail of a domain in use arrives, what would change, and when."""
    return _cutover_page(request, _deployment(request, pk))


@require_POST
def begin_cutover(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have the present records read, for the commune to see what would change."""
    deployment = _deployment(request, pk)
    try:
        cutover_workflow.begin(deployment, by=_person(request))
    except (cutover_workflow.WrongState, cutover_workflow.CutoverRefused) as refusal:
        return _cutover_page(request, deployment, refusal=str(refusal), status=409)
    return redirect("provisioning:cutover", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
def plan_cutover(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Choose the date, and agree."""
    row, person = _cutover(request, pk), _person(request)
    if not cutover_workflow.may_cut_over(person, row.deployment):
        raise PermissionDenied(CUT_OVER.refusal)
    form = PlanForm(request.POST or None, initial={"day": timezone.localdate() + dt.timedelta(days=7)})
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            cutover_workflow.plan(row, by=person, at=said["at"], nothing_to_bring=said["nothing_to_bring"])
        except cutover_workflow.CutoverRefused as refusal:
            form.add_error("day" if refusal.field == "at" else None, str(refusal))
        except cutover_workflow.WrongState as refusal:
            return _cutover_page(request, row.deployment, refusal=str(refusal), status=409)
        else:
            messages.success(request, "La date est choisie. Vous recevez un message qui la confirme.")
            return redirect("provisioning:cutover", pk=row.deployment_id)
    context = {"cutover": row, "deployment": row.deployment, "form": form, **_changes(row.deployment, row)}
    return render(request, "provisioning/move/plan_cutover.html", context, status=422 if form.errors else 200)


@require_POST
def cutover_act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say that the TTL is lowered, check again, call off, or go back."""
    row, person, act = _cutover(request, pk), _person(request), request.POST.get("act", "")
    verbs = {
        "lowered": cutover_workflow.declare_lowered,
        "check": cutover_workflow.check_now,
        "cancel": cutover_workflow.cancel,
        "revert": cutover_workflow.revert,
    }
    if not cutover_workflow.may_cut_over(person, row.deployment):
        raise PermissionDenied(CUT_OVER.refusal)
    if act not in verbs:
        return HttpResponseBadRequest("Cette action n’existe pas.")
    try:
        verbs[act](row, by=person)
    except cutover_workflow.WrongState as refusal:
        return _cutover_page(request, row.deployment, refusal=str(refusal), status=409)
    return redirect("provisioning:cutover", pk=row.deployment_id)


def _cutover(request: HttpRequest, pk: UUID) -> Cutover:
    rows = Cutover.objects.select_related("deployment__organization", "deployment__operator", "consent_by", "asked_by")
    return get_object_or_404(rows, pk=pk, deployment__in=Deployment.objects.visible_to(request.user))


def _cutover_page(
    request: HttpRequest, deployment: Deployment, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    row = deployment.cutovers.select_related("consent_by").order_by("-created_at").first()
    context = {
        "deployment": deployment,
        "cutover": row,
        "is_open": row is not None and row.state not in Cutover.ENDED,
        "external": cutover_workflow.is_external(deployment),
        "may_cut_over": cutover_workflow.may_cut_over(_person(request), deployment),
        "may_plan": row is not None and row.before is not None and row.state in Cutover.BEFORE,
        "may_cancel": row is not None and row.state in Cutover.BEFORE,
        "may_revert": row is not None and row.state in Cutover.REVERTIBLE,
        "refusal": refusal,
        **_changes(deployment, row),
    }
    return render(request, "provisioning/move/cutover.html", context, status=status)


def _changes(deployment: Deployment, row: Cutover | None) -> dict[str, Any]:
    """Return what changes ahead, on the day and on the way back, as far as it is known."""
    spec = cutover_records.known_spec(deployment)
    if row is None or row.before is None or spec is None:
        return {"ahead": [], "that_day": [], "back": (), "here_already": False}
    ahead, that_day = cutover_records.changes(deployment.domain, spec, row.before)
    return {
        "ahead": ahead,
        "that_day": that_day,
        "back": tuple(row.before["mx"]),
        "here_already": cutover_records.is_ours(row.before["mx"], spec),
    }


# --- Renewal ----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def renewal(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show until when the name is held; let its operator agree to its renewal."""
    deployment = _deployment(request, pk)
    operates = may_operate(request.user, deployment)
    if request.method == "POST":
        if not operates:
            raise PermissionDenied(OPERATE.refusal)
        automatic = request.POST.get("automatic")
        if automatic not in {"oui", "non"} or not is_ours(deployment):
            return HttpResponseBadRequest("Cette action n’existe pas.")
        renewals_workflow.agree(deployment, by=_person(request), automatic=automatic == "oui")
        return redirect("provisioning:renewal", pk=pk)
    row = Renewal.objects.select_related("consent_by").filter(deployment=deployment).first()
    context = {"deployment": deployment, "renewal": row, "ours": is_ours(deployment), "operates": operates}
    return render(request, "provisioning/move/renewal.html", context)


def _deployment(request: HttpRequest, pk: UUID) -> Deployment:
    seen = Deployment.objects.visible_to(request.user).select_related("organization", "operator", "closure")
    return get_object_or_404(seen, pk=pk)


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the middleware lets nobody else come here."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    return request.user
