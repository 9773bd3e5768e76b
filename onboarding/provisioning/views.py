"""The pages where one watches a suite come up, and where an operator helps it."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.provisioning import circuits, dead_letters, workflow
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.forms import SkipForm
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.progress import fingerprint
from suite.accounts.models import User
from suite.accounts.permissions import OPERATE, SEE_DESK, check, site_roles

PAGE_SIZE = 50


@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show each piece coming up, and to its operator what is blocked."""
    deployment = get_object_or_404(Deployment.objects.visible_to(request.user).with_steps(), pk=pk)
    return _page(request, deployment, may_operate=workflow.may_operate(request.user, deployment))


@require_safe
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Return the part of the page that moves; 204 when it is what the reader already sees (`vu`)."""
    deployment = get_object_or_404(Deployment.objects.visible_to(request.user).with_steps(), pk=pk)
    if request.GET.get("vu") == fingerprint(deployment):
        return HttpResponse(status=204)
    return render(request, "provisioning/progress.html", {"deployment": deployment})


@require_safe
def blocked(request: HttpRequest) -> HttpResponse:
    """List what waits for an operator, the longest first."""
    check(SEE_DESK, site_roles(request.user))
    page = Paginator(Step.objects.to_resume(request.user), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "causes": dead_letters.causes(request.user), "circuits": circuits.shown()}
    return render(request, "provisioning/blocked.html", context)


@require_POST
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Run a blocked step again."""
    step = _step(request, pk)
    try:
        workflow.retry(step, by=_person(request))
    except WrongState as refusal:
        return _conflict(request, step, str(refusal))
    messages.success(request, "L’étape est relancée.")
    return redirect("provisioning:detail", pk=step.deployment_id)


@require_http_methods(["GET", "HEAD", "POST"])
def skip(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask why, then go on without a blocked step."""
    step = _step(request, pk)
    if not workflow.may_operate(request.user, step.deployment):
        raise PermissionDenied(OPERATE.refusal)
    form = SkipForm(request.POST or None)
    if request.method == "POST":
        form = SkipForm(request.POST)
        if form.is_valid():
            try:
                workflow.skip(step, by=_person(request), reason=form.cleaned_data["reason"])
            except WrongState as refusal:
                return _conflict(request, step, str(refusal))
            messages.success(request, "L’étape est passée ; la mise en service continue.")
            return redirect("provisioning:detail", pk=step.deployment_id)
    status = 422 if form.is_bound else 200
    return render(request, "provisioning/skip.html", {"step": step, "form": form}, status=status)


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the middleware lets nobody else come here."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    return request.user


def _step(request: HttpRequest, pk: UUID) -> Step:
    visible = Deployment.objects.visible_to(request.user)
    steps = Step.objects.select_related("deployment__organization", "deployment__operator", "resource")
    return get_object_or_404(steps.filter(deployment__in=visible), pk=pk)


def _page(
    request: HttpRequest, deployment: Deployment, *, may_operate: bool, refusal: str = "", status: int = 200
) -> HttpResponse:
    stuck = [step for step in deployment.steps.all() if step.status == Step.Status.BLOCKED] if may_operate else []
    context = {"deployment": deployment, "may_operate": may_operate, "stuck": stuck, "refusal": refusal}
    return render(request, "provisioning/detail.html", context, status=status)


def _conflict(request: HttpRequest, step: Step, refusal: str) -> HttpResponse:
    """Show the deployment as it now is, with why nothing was done."""
    deployment = Deployment.objects.with_steps().get(pk=step.deployment_id)
    return _page(request, deployment, may_operate=True, refusal=refusal, status=409)
