"""The mailboxes of a suite in service: their list, adding some, changing one. No page calls a provider."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.provisioning import changes, judging, life_forms
from onboarding.provisioning.changes import ChangeRefused
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import PERSONAL, REDIRECT, Box, boxes_of, counted, entitlement, same_name
from onboarding.provisioning.judging import NewBox
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.place import person, place
from suite.accounts import stepup
from suite.accounts.models import User
from suite.accounts.permissions import (
    ASK_MORE,
    CHANGE_MAILBOXES,
    DELETE_MAILBOX,
    SEE_DEPLOYMENT,
    SEE_EXPORTS,
    Act,
    Role,
    allows,
)
from suite.catalog.models import GB

PAGE_SIZE = 100
CONFLICT = 409


@require_safe
def mailboxes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the mailboxes with what was last seen of each, and when."""
    deployment, held = place(request, pk, SEE_DEPLOYMENT)
    boxes = boxes_of(deployment)
    entitled = entitlement(deployment)
    context = {
        "deployment": deployment,
        "page": Paginator(boxes, PAGE_SIZE).get_page(request.GET.get("page")),
        "count": counted(boxes),
        "entitled": entitled,
        "left": max(entitled.mailboxes - counted(boxes), 0),
        "in_service": changes.in_service(deployment) and not hasattr(deployment, "closure"),
        **_may(held),
    }
    return render(request, "provisioning/mailbox/mailboxes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for one or several mailboxes; the addresses are shown before anything is created."""
    deployment, held = place(request, pk, CHANGE_MAILBOXES)
    context: dict[str, Any] = {"deployment": deployment, **_may(held)}
    if request.method != "POST":
        context["formset"] = life_forms.BoxFormSet(initial=[{}])
        return render(request, "provisioning/mailbox/add.html", context)
    data = _with_rows(request.POST)
    formset = life_forms.BoxFormSet(data)
    if request.POST.get("action") == "row" or not formset.is_valid():
        more = request.POST.get("action") == "row"
        context["formset"] = life_forms.BoxFormSet(initial=_typed(data)) if more else formset
        return render(request, "provisioning/mailbox/add.html", context, status=200 if more else 422)
    existing = boxes_of(deployment)
    filled, proposed = _proposed(data, formset, existing)
    formset = life_forms.BoxFormSet(filled)
    formset.is_valid()
    boxes = [_box(form.cleaned_data) for form in formset]
    status = 200
    try:
        changes.check(deployment, boxes, existing)
        if request.POST.get("action") == "save" and not proposed:
            changes.add(deployment, boxes, by=person(request))
            messages.success(request, "C’est demandé : les boîtes se créent, cette page dit où elles en sont.")
            return redirect("provisioning:mailboxes", pk=deployment.pk)
        context["preview"] = [(box, box.address(deployment.domain)) for box in boxes]
    except ChangeRefused as refusal:
        status = 422
        context["refusal"] = _onto(formset, refusal)
    except WrongState as refusal:
        status = CONFLICT
        context["refusal"] = str(refusal)
    context["formset"] = formset
    return render(request, "provisioning/mailbox/add.html", context, status=status)


@require_safe
def mailbox(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one mailbox, and what may be done with it."""
    box, deployment, held = _mailbox(request, pk, SEE_DEPLOYMENT)
    return _page(request, box, deployment, held)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, pk: UUID, what: str) -> HttpResponse:
    """Change one fact of a mailbox: its address, its name, where it leads, its quota, whether it is open."""
    box, deployment, held = _mailbox(request, pk, CHANGE_MAILBOXES)
    if what not in _CHANGES or box.kind not in _CHANGES[what].kinds:
        raise Http404
    asked = _CHANGES[what]
    form = asked.form(request.POST if request.method == "POST" else None, initial=asked.initial(box))
    if request.method == "POST" and form.is_valid():
        try:
            asked.verb(box.resource, form.cleaned_data, person(request))
        except ChangeRefused as refusal:
            for problem in refusal.problems:
                form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)
        except WrongState as refusal:
            return _page(request, box, deployment, held, refusal=str(refusal), status=CONFLICT)
        else:
            messages.success(request, "C’est demandé : le changement se fait, cette page dit où il en est.")
            return redirect("provisioning:mailbox", pk=box.resource.pk)
    context = {"box": box, "deployment": deployment, "what": what, "asked": asked, "form": form}
    return render(request, "provisioning/mailbox/change.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say what will be lost and when, then shut the mailbox and plan its deletion."""
    box, deployment, held = _mailbox(request, pk, DELETE_MAILBOX)
    if (asked := stepup.before_sending(request, mailbox=True)) is not None:
        return asked
    form = life_forms.RemoveForm(request.POST if request.method == "POST" else None, wanted=box.address)
    if request.method == "POST" and form.is_valid():
        try:
            changes.remove(box.resource, by=person(request), reason=form.cleaned_data["reason"])
        except WrongState as refusal:
            return _page(request, box, deployment, held, refusal=str(refusal), status=CONFLICT)
        messages.success(request, "La boîte se ferme. Elle sera supprimée dans 30 jours, sauf si vous y renoncez.")
        return redirect("provisioning:mailbox", pk=box.resource.pk)
    context = {"box": box, "deployment": deployment, "form": form, "days": changes.RETENTION.days}
    return render(request, "provisioning/mailbox/remove.html", context, status=422 if form.errors else 200)


@require_POST
def keep(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give the deletion of a mailbox up."""
    box, deployment, held = _mailbox(request, pk, DELETE_MAILBOX)
    try:
        changes.keep(box.resource, by=person(request))
    except WrongState as refusal:
        return _page(request, box, deployment, held, refusal=str(refusal), status=CONFLICT)
    messages.success(request, "La suppression est annulée.")
    return redirect("provisioning:mailbox", pk=box.resource.pk)


# --- One mailbox ------------------------------------------------------------------------------------------------------


class _Change(NamedTuple):
    """How one fact is changed: the words, the form, the verb, and the kinds of mailbox that have it."""

    title: str
    button: str
    warning: str
    form: type[forms.Form]
    initial: Callable[[Box], dict[str, Any]]
    verb: Callable[[Resource, dict[str, Any], User], object]
    kinds: frozenset[str]


_KEPT = frozenset({PERSONAL, "shared"})
_ALL = _KEPT | {REDIRECT}


def _rename(resource: Resource, typed: dict[str, Any], by: User) -> object:
    return changes.rename(resource, typed["local_part"], kept=timedelta(days=typed["kept"]), by=by)


_CHANGES = {
    "adresse": _Change(
        "Changer l’adresse",
        "Changer l’adresse",
        "Les messages suivent. L’ancienne adresse redirige vers la nouvelle pendant la durée choisie, puis disparaît. "
        "La personne reçoit un nouveau premier accès : ses mots de passe enregistrés ne servent plus.",
        life_forms.RenameForm,
        lambda box: {"local_part": box.address.partition("@")[0]},
        _rename,
        _KEPT,
    ),
    "nom": _Change(
        "Changer le nom affiché",
        "Changer le nom",
        "",
        life_forms.DisplayNameForm,
        lambda box: {"display_name": box.display_name},
        lambda resource, typed, by: changes.set_display_name(resource, typed["display_name"], by=by),
        _ALL,
    ),
    "destinataires": _Change(
        "Changer les destinataires",
        "Changer les destinataires",
        "Une copie de chaque courriel part à chacune de ces adresses. Hors de votre domaine, vos échanges sortent du "
        "service.",
        life_forms.TargetsForm,
        lambda box: {"targets": "\n".join(box.targets)},
        lambda resource, typed, by: changes.set_targets(resource, typed["targets"], by=by),
        frozenset({REDIRECT}),
    ),
    "quota": _Change(
        "Changer le quota",
        "Changer le quota",
        "",
        life_forms.QuotaForm,
        lambda box: {"quota": None if box.quota is None else box.quota / GB},
        lambda resource, typed, by: changes.set_quota(resource, life_forms.in_bytes(typed["quota"]), by=by),
        _KEPT,
    ),
    "fermer": _Change(
        "Fermer la boîte",
        "Fermer la boîte",
        "Plus aucun courriel n’y arrive : ceux qui écrivent reçoivent un refus. Plus personne n’y entre. "
        "Rien n’est effacé, et vous pourrez la rouvrir.",
        life_forms.ReasonForm,
        lambda _box: {},
        lambda resource, typed, by: changes.disable(resource, by=by, reason=typed["reason"]),
        _ALL,
    ),
    "rouvrir": _Change(
        "Rouvrir la boîte",
        "Rouvrir la boîte",
        "Les courriels arrivent de nouveau. Ceux qui ont été refusés pendant la fermeture ne reviennent pas.",
        life_forms.ReasonForm,
        lambda _box: {},
        lambda resource, typed, by: changes.enable(resource, by=by, reason=typed["reason"]),
        _ALL,
    ),
}


def _mailbox(request: HttpRequest, pk: UUID, act: Act) -> tuple[Box, Deployment, frozenset[Role]]:
    resource = get_object_or_404(
        Resource.objects.filter(kind=Resource.Kind.MAILBOX, deployment__in=Deployment.objects.visible_to(request.user)),
        pk=pk,
    )
    deployment, held = place(request, resource.deployment_id, act)
    box = next(iter(boxes_of(deployment, only=resource)), None)
    if box is None:
        raise Http404
    return box, deployment, held


def _page(  # noqa: PLR0913 - the page has these parts
    request: HttpRequest,
    box: Box,
    deployment: Deployment,
    held: frozenset[Role],
    *,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    if refusal:  # as it is now
        box = next(iter(boxes_of(deployment, only=box.resource)), box)
    acts = []
    if allows(CHANGE_MAILBOXES, held) and box.under_way is None and box.removal_at is None and box.known:
        shut = {"rouvrir"} if box.wanted_open else {"fermer"}
        acts = [(slug, one.title) for slug, one in _CHANGES.items() if box.kind in one.kinds and slug not in shut]
    at_rest = box.under_way is None and box.removal_at is None and not hasattr(deployment, "closure")
    context = {
        "box": box,
        "deployment": deployment,
        "acts": [] if hasattr(deployment, "closure") else acts,
        "may_remove": allows(DELETE_MAILBOX, held) and at_rest and box.known,
        "may_keep": allows(DELETE_MAILBOX, held) and box.removal_at is not None,
        "refusal": refusal,
    }
    return render(request, "provisioning/mailbox/mailbox.html", context, status=status)


def _may(held: frozenset[Role]) -> dict[str, bool]:
    acts = {"may_change": CHANGE_MAILBOXES, "may_ask": ASK_MORE, "may_export": SEE_EXPORTS}
    return {name: allows(act, held) for name, act in acts.items()}


# --- Adding -----------------------------------------------------------------------------------------------------------


def _with_rows(typed: QueryDict) -> QueryDict:
    """Return what was typed, without what the rows that were taken out held."""
    data = typed.copy()
    if data.get("action") == "row":
        total = data.get("form-TOTAL_FORMS", "")
        data["form-TOTAL_FORMS"] = str(min(int(total) + 1 if total.isdecimal() else 1, judging.AT_ONCE))
    return data


def _typed(data: QueryDict) -> list[dict[str, str]]:
    total = int(str(data["form-TOTAL_FORMS"]))
    names = life_forms.BoxForm.base_fields
    return [{name: str(data.get(f"form-{row}-{name}", "")) for name in names} for row in range(total)]


def _proposed(data: QueryDict, formset: Any, existing: list[Box]) -> tuple[QueryDict, bool]:  # noqa: ANN401 - a formset
    """Fill the addresses and names left empty; say whether there were any, for the reader to look at them first."""
    filled, any_empty = data.copy(), False
    taken = {box.address.partition("@")[0] for box in existing}
    names = {same_name(box.display_name) for box in existing}
    for row, form in enumerate(formset):
        values = form.cleaned_data
        local_part, shown = values["local_part"], values["display_name"].strip()
        if values["kind"] == PERSONAL and not (local_part and shown):
            whole = (values["given_name"], values["family_name"], values["function"])
            offered = judging.propose(*whole, taken=taken, names=names)
            local_part, shown = local_part or offered[0], shown or offered[1]
            any_empty = True
        elif not shown:
            shown, any_empty = values["function"].strip() or local_part.replace("-", " ").capitalize(), True
        filled[f"form-{row}-local_part"], filled[f"form-{row}-display_name"] = local_part, shown
        taken.add(local_part)
        names.add(same_name(shown))
    return filled, any_empty


def _box(values: dict[str, Any]) -> NewBox:
    redirects = values["kind"] == REDIRECT
    return NewBox(
        kind=values["kind"],
        local_part=values["local_part"],
        display_name=" ".join(values["display_name"].split()),
        recovery_email=values["recovery_email"].strip(),
        targets=tuple(judging.clean_targets(life_forms.split_targets(values["targets"]))) if redirects else (),
        quota=None if redirects else life_forms.in_bytes(values["quota"]),
    )


def _onto(formset: Any, refusal: ChangeRefused) -> str:  # noqa: ANN401 - a formset
    """Put each problem beside its field; return what is about all the rows."""
    general = [one.sentence for one in refusal.problems if not one.field]
    for problem in refusal.problems:
        if problem.field:
            formset.forms[problem.row].add_error(problem.field, problem.sentence)
    return " ".join(general)
