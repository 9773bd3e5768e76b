"""The end of a service: opened, then each deletion, or a group of them, asked for and confirmed by two people."""

from collections.abc import Callable, Collection
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.provisioning import closing_workflow, life_forms
from onboarding.provisioning.closure_models import Closure, ClosureStep
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.place import person, place
from suite.accounts import mandates, stepup
from suite.accounts.models import User
from suite.accounts.permissions import (
    CLOSE_SERVICE,
    CONFIRM_DELETION,
    SEE_DEPLOYMENT,
    SEE_EXPORTS,
    Act,
    Role,
    allows,
)

CONFLICT = 409
ACTIONS = {
    "demander": ("Demander ces suppressions", "provisioning:propose_deletions"),
    "confirmer": ("Confirmer ces suppressions", "provisioning:confirm_deletions"),
    "renoncer": ("Renoncer à ces suppressions", "provisioning:take_back_deletions"),
}


@require_safe
def closure(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what is left to delete, who asked for it, and when it goes; or how a service is closed."""
    deployment, held = place(request, pk, SEE_DEPLOYMENT)
    return _page(request, deployment, held)


@require_http_methods(["GET", "HEAD", "POST"])
def open_(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop a service: nothing is deleted by that."""
    deployment, held = place(request, pk, CLOSE_SERVICE)
    if (missing := stepup.before_sending(request, mailbox=True)) is not None:
        return missing
    verdict = mandates.verdict(mandates.Act.CLOSE, request.user, deployment.organization)
    if not allows(CONFIRM_DELETION, held) and not verdict.allowed:
        # A manager closes only with the strongest mandate; its operator answers for itself.
        return _page(request, deployment, held, refusal=verdict.sentence, remedy=verdict.page)
    form = life_forms.OpenClosureForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if deployment.closed_at is not None or hasattr(deployment, "closure"):
            return _page(request, deployment, held, refusal="La fermeture de ce service est déjà ouverte.")
        values = form.cleaned_data
        closing_workflow.open_closure(deployment, by=person(request), reason=values["reason"], cause=values["cause"])
        messages.success(request, "La fermeture est ouverte. Rien n’est supprimé sans deux personnes.")
        return redirect("provisioning:closure", pk=deployment.pk)
    context = {"deployment": deployment, "form": form, "days": closing_workflow.DELAY.days}
    return render(request, "provisioning/closure/open.html", context, status=422 if form.errors else 200)


@require_safe
def preview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what an action on a group of deletions would touch, before it is done."""
    deployment, held = place(request, pk, CLOSE_SERVICE)
    action = request.GET.get("action", "")
    if action not in ACTIONS or (action == "confirmer" and not allows(CONFIRM_DELETION, held)):
        return _page(request, deployment, held, refusal="Choisissez une action parmi celles de la page.")
    steps = _chosen(deployment, request.GET.getlist("suppression"))
    if not steps:
        return _page(request, deployment, held, refusal="Cochez au moins une ligne.")
    label, address = ACTIONS[action]
    context = {"deployment": deployment, "steps": steps, "label": label, "address": address, "action": action}
    return render(request, "provisioning/closure/preview.html", context)


@require_POST
def propose(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for deletions."""
    return _act(request, pk, CLOSE_SERVICE, closing_workflow.propose, "C’est demandé : une autre personne confirme.")


@require_POST
def confirm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Confirm deletions that somebody else asked for."""
    return _act(request, pk, CONFIRM_DELETION, closing_workflow.confirm, "C’est confirmé.")


@require_POST
def take_back(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give deletions up."""
    return _act(request, pk, CLOSE_SERVICE, closing_workflow.take_back, "Ces suppressions ne se feront pas.")


@require_http_methods(["GET", "HEAD", "POST"])
def waive(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Answer for deleting without a copy."""
    deployment, held = place(request, pk, CONFIRM_DELETION)
    if (missing := stepup.before_sending(request, mailbox=True)) is not None:
        return missing
    form = life_forms.ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            opened = _closure(deployment)
            closing_workflow.waive_copy(opened, by=person(request), reason=form.cleaned_data["reason"])
        except WrongState as refusal:
            return _page(request, deployment, held, refusal=str(refusal))
        messages.success(request, "C’est noté : les suppressions peuvent être confirmées sans copie.")
        return redirect("provisioning:closure", pk=deployment.pk)
    context = {"deployment": deployment, "form": form}
    return render(request, "provisioning/closure/waive.html", context, status=422 if form.errors else 200)


def _act(request: HttpRequest, pk: UUID, act: Act, verb: Callable[..., int], said: str) -> HttpResponse:
    deployment, held = place(request, pk, act)
    if (missing := stepup.missing(request, mailbox=True)) is not None:
        return missing
    try:
        opened = _closure(deployment)
        chosen = _chosen(deployment, request.POST.getlist("suppression"))
        verb(opened, [step.pk for step in chosen], by=person(request))
    except WrongState as refusal:
        return _page(request, deployment, held, refusal=str(refusal))
    messages.success(request, said)
    return redirect("provisioning:closure", pk=deployment.pk)


def _closure(deployment: Deployment) -> Closure:
    try:
        return deployment.closure
    except Closure.DoesNotExist as error:
        raise WrongState("La fermeture de ce service n’est pas ouverte.") from error


def _chosen(deployment: Deployment, typed: list[str]) -> list[ClosureStep]:
    """Return the deletions of this deployment among what was ticked; what is no identifier is left out."""
    wanted = set()
    for one in typed:
        try:
            wanted.add(UUID(one))
        except ValueError:
            continue
    steps = ClosureStep.objects.filter(closure__deployment=deployment, pk__in=wanted)
    return list(steps.select_related("resource", "proposed_by"))


def _page(
    request: HttpRequest, deployment: Deployment, held: frozenset[Role], *, refusal: str = "", remedy: str = ""
) -> HttpResponse:
    opened = Closure.objects.filter(deployment=deployment).select_related("opened_by", "waived_by").first()
    steps = list(opened.steps.select_related("resource", "proposed_by", "confirmed_by")) if opened else []
    blocked = set(
        Step.objects.filter(deployment=deployment, name=Step.Name.DELETION, status=Step.Status.BLOCKED).values_list(
            "resource", flat=True
        )
    )
    context = {
        "deployment": deployment,
        "closure": opened,
        "rows": [(step, _where(step, blocked, request.user)) for step in steps],
        "done": sum(step.done_at is not None for step in steps),
        "starts_at": closing_workflow.starts_at(opened) if opened else None,
        "copied": closing_workflow.is_copied(opened) if opened else False,
        "days": closing_workflow.DELAY.days,
        "may_close": allows(CLOSE_SERVICE, held),
        "may_confirm": allows(CONFIRM_DELETION, held),
        "may_export": allows(SEE_EXPORTS, held),
        "refusal": refusal,
        "remedy": remedy,
    }
    return render(request, "provisioning/closure/closure.html", context, status=CONFLICT if refusal else 200)


def _where(step: ClosureStep, blocked: Collection[UUID | None], reader: object) -> tuple[str, str]:
    """Return the badge of a deletion: its tone, its words."""
    if step.done_at is not None:
        return "success", "Supprimé" if step.resource.removed_at else "Laissé de côté"
    if step.resource_id in blocked:
        return "error", "Intervention nécessaire"
    if step.confirmed_at is not None:
        return "info", "Confirmé"
    if step.proposed_by is not None:
        own = isinstance(reader, User) and step.proposed_by_id == reader.pk
        return "new", "À confirmer par un autre" if own else "À confirmer"
    return "", "Rien de demandé"
