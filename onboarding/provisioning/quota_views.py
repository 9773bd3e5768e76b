"""What an organization is entitled to: seen by all its people, asked for by its managers, decided by its operator."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.provisioning import changes, life_forms, quotas
from onboarding.provisioning.change_models import MoreRequest
from onboarding.provisioning.changes import ChangeRefused
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import boxes_of, counted, entitlement
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.place import person, place
from suite.accounts import stepup
from suite.accounts.permissions import ASK_MORE, SEE_DEPLOYMENT, SEE_EXPORTS, SET_QUOTA, Role, allows
from suite.catalog.models import GB

CONFLICT = 409
SHOWN = 20
What = MoreRequest.What


@require_safe
def quota(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what is allotted and used, and what was asked."""
    deployment, held = place(request, pk, SEE_DEPLOYMENT)
    return _page(request, deployment, held)


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask the operator for more."""
    deployment, held = place(request, pk, ASK_MORE)
    initial = {"what": request.GET.get("quoi", What.MAILBOXES)}
    form = life_forms.MoreForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            values = form.cleaned_data
            quotas.ask_more(deployment, values["what"], form.in_all(), by=person(request), reason=values["reason"])
        except ChangeRefused as refusal:
            _onto(form, refusal)
        except WrongState as refusal:
            return _page(request, deployment, held, refusal=str(refusal))
        else:
            messages.success(request, "Votre demande est transmise à votre opérateur.")
            return redirect("provisioning:quotas", pk=deployment.pk)
    context = {"deployment": deployment, "form": form}
    return render(request, "provisioning/quota/ask.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Grant or refuse what a manager asks."""
    seen = MoreRequest.objects.filter(deployment__in=Deployment.objects.visible_to(request.user))
    asked = get_object_or_404(seen.select_related("asked_by"), pk=pk)
    deployment, held = place(request, asked.deployment_id, SET_QUOTA)
    if (missing := stepup.before_sending(request)) is not None:
        return missing
    form = life_forms.AnswerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            values = form.cleaned_data
            quotas.answer_more(asked, granted=values["granted"], by=person(request), answer=values["answer"])
        except ChangeRefused as refusal:
            _onto(form, refusal)
        except WrongState as refusal:
            return _page(request, deployment, held, refusal=str(refusal))
        else:
            messages.success(request, "Votre réponse est donnée.")
            return redirect("provisioning:quotas", pk=deployment.pk)
    context = {"deployment": deployment, "form": form, "asked": asked}
    return render(request, "provisioning/quota/answer.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def space(request: HttpRequest, pk: UUID, what: str) -> HttpResponse:
    """Change the quota of the mail or of the storage."""
    deployment, held = place(request, pk, SET_QUOTA)
    if what not in _WHATS:
        raise Http404
    if (missing := stepup.before_sending(request)) is not None:
        return missing
    form = life_forms.SpaceForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            wanted = life_forms.in_bytes(form.cleaned_data["quota"]) or 0
            reason = form.cleaned_data["reason"]
            quotas.set_space(deployment, _WHATS[what], wanted, by=person(request), reason=reason)
        except ChangeRefused as refusal:
            _onto(form, refusal)
        except WrongState as refusal:
            return _page(request, deployment, held, refusal=str(refusal))
        else:
            messages.success(request, "C’est demandé : le nouveau quota s’applique dans un instant.")
            return redirect("provisioning:quotas", pk=deployment.pk)
    context = {"deployment": deployment, "form": form, "what": what, "label": _WHATS[what].label}
    return render(request, "provisioning/quota/space.html", context, status=422 if form.errors else 200)


_WHATS = {"messagerie": What.MAIL, "stockage": What.STORAGE}


def _onto(form: forms.Form, refusal: ChangeRefused) -> None:
    for problem in refusal.problems:
        form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)


def _page(request: HttpRequest, deployment: Deployment, held: frozenset[Role], *, refusal: str = "") -> HttpResponse:
    boxes = boxes_of(deployment)
    requests = MoreRequest.objects.filter(deployment=deployment).select_related("asked_by", "decided_by")[:SHOWN]
    context = {
        "deployment": deployment,
        "entitled": entitlement(deployment),
        "count": counted(boxes),
        "spaces": _spaces(deployment, sum(box.used or 0 for box in boxes)),
        "requests": [(one, _in_words(one)) for one in requests],
        "may_ask": allows(ASK_MORE, held),
        "may_set": allows(SET_QUOTA, held),
        "may_export": allows(SEE_EXPORTS, held),
        "in_service": changes.in_service(deployment) and not hasattr(deployment, "closure"),
        "refusal": refusal,
    }
    return render(request, "provisioning/quota/quota.html", context, status=CONFLICT if refusal else 200)


def _spaces(deployment: Deployment, mailed: int) -> list[dict[str, Any]]:
    """Return the two spaces with what was seen of them; what is used in bytes."""
    kinds = {Resource.Kind.MAIL_DOMAIN: "messagerie", Resource.Kind.STORAGE: "stockage"}
    resources = list(Resource.objects.filter(deployment=deployment, kind__in=kinds, removed_at__isnull=True))
    pending = {
        step.resource_id: step
        for step in Step.objects.filter(resource__in=resources, plan__gt=0).exclude(status__in=Step.FINISHED)
    }
    return [
        {
            "slug": kinds[Resource.Kind(one.kind)],
            "label": _WHATS[kinds[Resource.Kind(one.kind)]].label,
            "wanted": one.desired.get("quota"),
            "seen": (one.observed or {}).get("quota"),
            "used": mailed if one.kind == Resource.Kind.MAIL_DOMAIN else (one.observed or {}).get("used"),
            "seen_at": one.observed_at,
            "pending": pending.get(one.pk),
        }
        for one in sorted(resources, key=lambda resource: resource.kind)
    ]


def _in_words(asked: MoreRequest) -> str:
    return f"{asked.wanted} boîtes" if asked.what == What.MAILBOXES else f"{asked.wanted / GB:g} Go".replace(".", ",")
