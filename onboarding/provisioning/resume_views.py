"""What an operator does about a blocked step beside running it again: all of one cause, by hand, or not at all."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from onboarding.provisioning import dead_letters, workflow
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.forms import AbandonForm, ProofForm
from onboarding.provisioning.models import Deployment, Step
from suite.accounts.models import User
from suite.accounts.permissions import OPERATE, RESUME_TOGETHER, SEE_DESK, check, site_roles


@require_http_methods(["GET", "HEAD", "POST"])
def cause(request: HttpRequest, name: str, code: str) -> HttpResponse:
    """Show the steps that one cause blocks; run again those that were shown."""
    check(SEE_DESK, site_roles(request.user))
    if name not in Step.Name.values:
        raise Http404
    if request.method == "POST":
        check(RESUME_TOGETHER, site_roles(request.user))
        previewed = {UUID(key) for key in request.POST.getlist("step") if _is_uuid(key)}
        retried, moved = dead_letters.retry_all(name, code, previewed, by=_person(request))
        if retried:
            messages.success(request, f"Étapes relancées\u00a0: {retried}.")
        if moved:
            messages.warning(request, f"Étapes qui n’attendaient plus et n’ont pas été touchées\u00a0: {moved}.")
        return redirect("provisioning:blocked")
    steps = dead_letters.of_cause(request.user, name, code)
    context = {"steps": steps, "label": Step.Name(name).label, "code": code, "most": dead_letters.PREVIEWED_MAX}
    return render(request, "provisioning/resume/cause.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def done(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for the proof, then take a blocked step for done."""
    step = _step(request, pk)
    form = ProofForm(request.POST or None)
    if request.method == "POST":
        form = ProofForm(request.POST)
        if form.is_valid():
            try:
                workflow.mark_done(step, by=_person(request), proof=form.cleaned_data["proof"])
            except WrongState as refusal:
                return _moved(request, step, refusal)
            messages.success(request, "L’étape est notée comme faite ; la mise en service continue.")
            return redirect("provisioning:detail", pk=step.deployment_id)
    return _asked(request, "provisioning/resume/done.html", step, form)


@require_http_methods(["GET", "HEAD", "POST"])
def abandon(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask why, then stop building."""
    step = _step(request, pk)
    form = AbandonForm(request.POST or None)
    if request.method == "POST":
        form = AbandonForm(request.POST)
        if form.is_valid():
            try:
                workflow.abandon(step, by=_person(request), reason=form.cleaned_data["reason"])
            except WrongState as refusal:
                return _moved(request, step, refusal)
            messages.success(request, "La mise en service est arrêtée. Rien n’a été supprimé.")
            return redirect("provisioning:detail", pk=step.deployment_id)
    return _asked(request, "provisioning/resume/abandon.html", step, form)


def _asked(request: HttpRequest, template: str, step: Step, form: forms.Form) -> HttpResponse:
    return render(request, template, {"step": step, "form": form}, status=422 if form.is_bound else 200)


def _moved(request: HttpRequest, step: Step, refusal: WrongState) -> HttpResponse:
    messages.error(request, str(refusal))
    return redirect("provisioning:detail", pk=step.deployment_id)


def _step(request: HttpRequest, pk: UUID) -> Step:
    visible = Deployment.objects.visible_to(request.user)
    steps = Step.objects.select_related("deployment__organization", "deployment__operator", "resource")
    step = get_object_or_404(steps.filter(deployment__in=visible), pk=pk)
    if not workflow.may_operate(request.user, step.deployment):
        raise PermissionDenied(OPERATE.refusal)
    return step


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the middleware lets nobody else come here."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    return request.user


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
