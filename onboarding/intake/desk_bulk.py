"""Acting on many dossiers: select, read what would happen to each, confirm, read what happened."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from dsfr.forms import DsfrBaseForm

from onboarding.intake import absences, desk_bulk_acts, desk_filters, export
from onboarding.intake.desk_access import instructor_of, way_back
from onboarding.intake.desk_bulk_acts import ACTS, MOST
from onboarding.intake.desk_models import BulkAct
from onboarding.intake.forms import LONG, NBSP, text_field
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed
from onboarding.intake.reasons import CHANGES, FIELDS
from suite.accounts import stepup
from suite.accounts.models import User
from suite.journal.workflow import record


class ColleagueForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """To whom."""

    use_required_attribute = False
    colleague = forms.ChoiceField(
        label="Personne qui instruira ces demandes", error_messages={"required": "Choisissez une personne."}
    )

    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        field = self.fields["colleague"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = [("", "Choisissez"), *((str(one.pk), one.get_full_name()) for one in people)]


class ReasonForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """The same correction for all."""

    use_required_attribute = False
    reason = forms.ChoiceField(label="Motif", error_messages={"required": "Choisissez un motif."})
    fields_ = forms.MultipleChoiceField(
        label="Points de la demande à corriger",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Laissez vide pour ouvrir les points liés au motif choisi.",
    )
    text = text_field("Ce qui est attendu", LONG, required=False, help_text=f"{LONG} caractères au plus.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        reason, fields_ = self.fields["reason"], self.fields["fields_"]
        assert isinstance(reason, forms.ChoiceField)  # noqa: S101 - tells the type
        assert isinstance(fields_, forms.ChoiceField)  # noqa: S101 - tells the type
        reason.choices = [("", "Choisissez"), *((code, change.label) for code, change in CHANGES.items())]
        fields_.choices = [(code, f"Étape {field.step}{NBSP}: {field.label}") for code, field in FIELDS.items()]

    def clean(self) -> dict[str, Any]:
        """Ask for fields and words where the reason says neither."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        change = CHANGES.get(data.get("reason", ""))
        if change and not change.unlocks and not data.get("fields_"):
            self.add_error("fields_", "Désignez au moins un point de la demande à corriger.")
        if data.get("reason") == "other" and not data.get("text"):
            self.add_error("text", f"«{NBSP}Autre point{NBSP}» demande une explication.")
        return data


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Keep the selection, and lead to what would happen to each."""
    user = instructor_of(request)
    keys = []
    for typed in request.POST.getlist("dossier"):
        try:
            keys.append(UUID(typed))
        except ValueError:
            continue
    if request.POST.get("tout"):
        filters = desk_filters.read(QueryDict(request.POST.get("query", "")))
        found = desk_filters.apply(Dossier.objects.followed_by(user), filters, user)
        keys = list(found.order_by(filters.order.column, "pk").values_list("pk", flat=True)[:MOST])
    try:
        chosen = desk_bulk_acts.choose(user, request.POST.get("acte", ""), keys)
    except GuardFailed as refusal:
        messages.error(request, str(refusal))
        return redirect(way_back(request))
    return redirect("desk:bulk_act", pk=chosen.pk)


def _form(request: HttpRequest, chosen: BulkAct) -> Any:  # noqa: ANN401 - dsfr ships no types
    """Return the form of the act's question, None when it asks none."""
    data = request.POST if request.method == "POST" and request.POST.get("etape") == "options" else None
    match ACTS[chosen.act].asks:
        case "colleague":
            people = list(absences.colleagues(chosen.user))
            return ColleagueForm(data, people=people, initial=chosen.options)
        case "reason":
            initial = {**chosen.options, "fields_": chosen.options.get("fields", [])}
            return ReasonForm(data, initial=initial)
        case _:
            return None


@require_http_methods(["GET", "HEAD", "POST"])
def bulk_act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what would happen to each dossier, do it once confirmed, then show what happened."""
    user = instructor_of(request)
    chosen = get_object_or_404(BulkAct.objects.select_related("user").filter(user=user), pk=pk)
    form, failed = _form(request, chosen), False
    if request.method == "POST" and (chosen.started_at or chosen.pending_at):  # confirmed twice, or still looked at
        return redirect("desk:bulk_act", pk=chosen.pk)
    if request.method == "POST":
        if answer := stepup.missing(request):
            return answer
        if form is not None and form.is_bound:
            if form.is_valid():
                data = form.cleaned_data
                options = {
                    "colleague": data.get("colleague"),
                    "reason": data.get("reason"),
                    "fields": data.get("fields_", []),
                    "text": data.get("text", ""),
                }
                desk_bulk_acts.answer(chosen, {name: value for name, value in options.items() if value})
                return redirect("desk:bulk_act", pk=chosen.pk)
            failed = True
        elif request.POST.get("etape") == "confirmer" and desk_bulk_acts.ready(chosen):
            try:
                desk_bulk_acts.start(chosen)
            except GuardFailed as refusal:
                messages.error(request, str(refusal))
            return redirect("desk:bulk_act", pk=chosen.pk)
    told = [item for item in chosen.items if item["skip"] == ""]
    left = [item for item in told if not item["done"] and not item["said"]]
    waiting = sum(item["skip"] is None for item in chosen.items) if chosen.started_at is None else len(left)
    context = {
        "bulk": chosen,
        "act": ACTS[chosen.act],
        "form": form,
        "loose": [],
        "ready": desk_bulk_acts.ready(chosen),
        "colleague": desk_bulk_acts.colleague_of(chosen),
        "reason": CHANGES[chosen.options["reason"]].label if chosen.options.get("reason") else "",
        "todo": told,
        "at_once": desk_bulk_acts.AT_ONCE,
        "skipped": [item for item in chosen.items if item["skip"]],
        "done": [item for item in told if item["done"]],
        "failed": [item for item in told if item["said"]],
        "cut": left if chosen.started_at else [],
        "pending": chosen.pending_at is not None,
        "treated": len(chosen.items) - waiting,
        "total": len(chosen.items),
    }
    response = render(request, "intake/desk_bulk/bulk_act.html", context, status=422 if failed else 200)
    if chosen.pending_at is None and getattr(request, "htmx", False):  # the page that asked how far it is
        response["HX-Refresh"] = "true"
    return response


@require_POST
def bulk_export(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Send what happened to each as a file; the journal says who took it."""
    user = instructor_of(request)
    chosen = get_object_or_404(BulkAct.objects.filter(user=user, finished_at__isnull=False), pk=pk)
    if answer := stepup.missing(request):
        return answer
    record("desk", user.pk, "desk.exported", by=user, payload={"bulk": str(chosen.pk)})
    rows = (
        [
            item["reference"],
            item["name"],
            "faite" if item["done"] else "laissée",
            item["skip"] or item["said"],
        ]
        for item in chosen.items
    )
    response = StreamingHttpResponse(
        export.lines(("Demande", "Collectivité", "Résultat", "Pourquoi"), rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="resultat-{chosen.created_at:%Y-%m-%d}.csv"'
    response["Cache-Control"] = "no-store"
    return response
