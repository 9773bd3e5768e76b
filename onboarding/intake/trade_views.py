"""The settings of the trade on the lead operators' own pages: what applies, who changed it and why, and changing it."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.intake import deadlines, trade_effects, trade_forms
from onboarding.intake.trade import PAGES
from onboarding.intake.trade_forms import Rows, VersionForm, Whole
from onboarding.intake.trade_pages import (
    CARD,
    CONFLICT,
    NOTHING,
    REFUSED,
    SETTING,
    Editing,
    expected,
    names_of,
    shown,
    table,
    tried,
    value_at,
)
from suite.accounts import stepup
from suite.accounts.permissions import (
    EDIT_OPERATOR,
    EDIT_TRADE,
    SEE_TRADE,
    Role,
    allows,
    check,
    operator_roles,
    site_roles,
    staff_roles,
)
from suite.accounts.views import person
from suite.directory import workflow as directory
from suite.directory.models import Operator
from suite.directory.operators import OPERATOR, card_of, dump
from suite.trade import differences, workflow
from suite.trade.models import Setting
from suite.trade.registry import SCHEMAS, Invalid, Schema

HISTORY = 30
ROWS = {
    "reasons": trade_forms.ReasonRow,
    "reserved_names": trade_forms.ReservedRow,
    "eligibility": trade_forms.RuleRow,
    "closed_days": trade_forms.ClosedDayRow,
}
# The rows of these are those of the code: none is added or taken away.
FIXED = {"reasons"}


class Entry(NamedTuple):
    """A setting in the list: what applies, and what comes."""

    schema: Schema[Any]
    row: Setting | None
    author: str


def national_roles(request: HttpRequest) -> frozenset[Role]:
    """Return the roles before what is the whole country's: at home for the national operator's staff alone."""
    return staff_roles(request.user, ()) or site_roles(request.user)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the settings, each with its last version."""
    check(SEE_TRADE, national_roles(request))
    latest = Setting.objects.filter(scope__isnull=True).order_by("key", "-version").distinct("key")
    rows = {row.key: row for row in latest}
    names = names_of(rows.values())
    keys = [*PAGES, *sorted(set(SCHEMAS) - {*PAGES, OPERATOR.key})]
    entries = [
        Entry(SCHEMAS[key], row := rows.get(key), names.get(row.author, "") if row and row.author else "")
        for key in keys
    ]
    return render(request, "intake/trade/index.html", {"entries": entries, "now": timezone.now()})


@require_safe
def detail(request: HttpRequest, key: str) -> HttpResponse:
    """Show what applies, what comes, and every version there was."""
    roles = national_roles(request)
    check(SEE_TRADE, roles)
    schema, now = _schema(key), timezone.now()
    versions = Setting.objects.about(key)
    page = Paginator(versions, HISTORY).get_page(request.GET.get("page"))
    applies = versions.filter(valid_from__lte=now).first()
    value = applies.value if applies else schema.dump(schema.default())
    context = {
        "schema": schema,
        "applies": applies,
        "table": table(schema, value),
        "page": page,
        "names": names_of(page),
        "coming": [row for row in page if row.valid_from > now and (applies is None or row.version > applies.version)][
            :1
        ],
        "may_edit": allows(EDIT_TRADE, roles) and key in EDITABLE,
    }
    return render(request, "intake/trade/detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: str) -> HttpResponse:
    """Change a setting: see the effect first, or save."""
    check(EDIT_TRADE, national_roles(request))
    schema = _schema(key)
    if key not in EDITABLE:
        raise PermissionDenied("Ce réglage ne se change pas ici.")
    if asked := stepup.before_sending(request):
        return asked
    data = request.POST if request.method == "POST" else None
    state = workflow.latest(schema)
    rows, form = _rows(schema, data, state.value), VersionForm(data)
    context = {"schema": schema, "extendable": key in ROWS and key not in FIXED}
    if data is not None and rows.change(data.get("action", ""), data):
        # A row was added or taken away, nothing was sent yet: what was typed is shown again, not judged.
        form = VersionForm(initial={name: data.get(name, "") for name in form.fields})
        return shown(request, SETTING, rows, {**context, "form": form, "version": expected(data)})

    def save() -> HttpResponse:
        row = workflow.save(
            key,
            rows.value(),
            expected=expected(request.POST),
            by=person(request),
            reason=form.cleaned_data["reason"],
            valid_from=form.moment,
        )
        messages.success(request, _saved(row))
        return redirect("trade:detail", key)

    def effects(after: Any) -> list[str]:  # noqa: ANN401 - JSON
        return trade_effects.of(schema, state.value, after)

    editing = Editing(SETTING, schema, None, state.version, state.value, save, effects)
    return tried(request, editing, rows, form, context)


@require_http_methods(["GET", "HEAD", "POST"])
def version(request: HttpRequest, key: str, number: int) -> HttpResponse:
    """Show what a version changed, and go back to it."""
    roles = national_roles(request)
    check(EDIT_TRADE if request.method == "POST" else SEE_TRADE, roles)
    schema = _schema(key)
    if asked := stepup.before_sending(request):
        return asked
    return _version_page(request, schema, number, None, may_edit=allows(EDIT_TRADE, roles) and key in EDITABLE)


# --- Operators --------------------------------------------------------------------------------------------------------


@require_safe
def operators(request: HttpRequest) -> HttpResponse:
    """List the operators: their territory, their contact, their team."""
    roles = national_roles(request)
    check(SEE_TRADE, roles)
    page = Paginator(Operator.objects.order_by("-national", "name"), HISTORY).get_page(request.GET.get("page"))
    context = {"page": page, "may_add": allows(EDIT_TRADE, roles)}
    return render(request, "intake/trade/operators.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def operator(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change the card of an operator; its own lead changes how it is reached, the national lead all of it."""
    found = get_object_or_404(Operator, pk=pk)
    check(EDIT_OPERATOR, operator_roles(request.user, found))
    if asked := stepup.before_sending(request):
        return asked
    data = request.POST if request.method == "POST" else None
    whole = allows(EDIT_TRADE, national_roles(request))
    before = dump(card_of(found))
    card, form = Whole(trade_forms.OperatorForm(data, initial=before, whole=whole)), VersionForm(data, dated=False)
    versions = Setting.objects.about(OPERATOR.key, pk)
    page = Paginator(versions, HISTORY).get_page(request.GET.get("page"))
    context = {"operator": found, "page": page, "names": names_of(page), "whole": whole}

    def save() -> HttpResponse:
        directory.change_operator(
            found,
            card.value(),
            expected=expected(request.POST),
            by=person(request),
            reason=form.cleaned_data["reason"],
        )
        messages.success(request, f"La fiche de {found.name} est changée.")
        return redirect("trade:operator", pk)

    def effects(after: Any) -> list[str]:  # noqa: ANN401 - JSON
        return trade_effects.of_card(found, card_of(found), OPERATOR.load(after))

    latest = versions.first()
    editing = Editing(CARD, OPERATOR, pk, latest.version if latest else 0, before, save, effects)
    return tried(request, editing, card, form, context)


@require_http_methods(["GET", "HEAD", "POST"])
def operator_version(request: HttpRequest, pk: UUID, number: int) -> HttpResponse:
    """Show what a version of a card changed, and go back to it."""
    found = get_object_or_404(Operator, pk=pk)
    roles = national_roles(request)
    check(EDIT_TRADE if request.method == "POST" else SEE_TRADE, roles)
    if asked := stepup.before_sending(request):
        return asked
    return _version_page(request, OPERATOR, number, found, may_edit=allows(EDIT_TRADE, roles))


@require_http_methods(["GET", "HEAD", "POST"])
def add_operator(request: HttpRequest) -> HttpResponse:
    """Add an operator; its team is invited afterwards."""
    check(EDIT_TRADE, national_roles(request))
    if asked := stepup.before_sending(request):
        return asked
    data = request.POST if request.method == "POST" else None
    first = not Operator.objects.filter(national=True).exists()
    card = Whole(trade_forms.OperatorForm(data, whole=True, first_national=first))
    form = VersionForm(data, dated=False)
    failed = data is not None
    if data is not None and card.is_valid() & form.is_valid():
        try:
            made = directory.add_operator(card.value(), by=person(request), reason=form.cleaned_data["reason"])
        except Invalid as refusal:
            card.show(refusal.problems)
        else:
            messages.success(request, f"{made.name} est ajouté. Invitez maintenant son équipe.")
            return redirect("trade:operator", made.pk)
    context = {"form": form, "rows": card, "failed": failed}
    return render(request, "intake/trade/add_operator.html", context, status=REFUSED if failed else 200)


# --- What the pages share ---------------------------------------------------------------------------------------------

EDITABLE = frozenset({*ROWS, "allocation", "delays"})


def _schema(key: str) -> Schema[Any]:
    if key not in SCHEMAS or key == OPERATOR.key:
        raise Http404
    return SCHEMAS[key]


def _rows(schema: Schema[Any], data: Mapping[str, Any] | None, value: Any) -> Rows | Whole:  # noqa: ANN401 - JSON
    if schema.key == "allocation":
        return Whole(trade_forms.AllocationForm(data, initial=value))
    if schema.key == "delays":
        return Whole(trade_forms.DelaysForm(data, initial=value, labels=schema.labels))
    options = {"departments": trade_forms.departments()} if schema.key == "closed_days" else {}
    return Rows(ROWS[schema.key], data, value, **options)


def _version_page(
    request: HttpRequest, schema: Schema[Any], number: int, about: Operator | None, *, may_edit: bool
) -> HttpResponse:
    scope = about.pk if about else None
    value, before = value_at(schema, number, scope), value_at(schema, number - 1, scope)
    row = Setting.objects.about(schema.key, scope).filter(version=number).first()
    if value is None:
        raise Http404
    state = workflow.latest(schema, scope)
    current = dump(card_of(about)) if about else state.value
    form = VersionForm(request.POST if request.method == "POST" else None, dated=False)
    refusal, status = "", 200
    if request.method == "POST":
        status = REFUSED
        if form.is_valid():
            try:
                return _restored(request, schema, value, about, form.cleaned_data["reason"])
            except Invalid as invalid:
                refusal = " ".join(problem.message for problem in invalid.problems)
            except workflow.Unchanged:
                refusal = NOTHING
            except workflow.Stale:
                refusal, status = (
                    "Quelqu’un vient de changer ce réglage : relisez la différence, puis recommencez.",
                    CONFLICT,
                )
    context = {
        "schema": schema,
        "operator": about,
        "number": number,
        "row": row,
        "names": names_of([row] if row else []),
        "lines": differences.between(schema, before, value) if before is not None else [],
        "undo": differences.between(schema, current, value),
        "latest": state.version,
        "form": form,
        "refusal": refusal,
        "failed": status == REFUSED,
        "may_edit": may_edit,
    }
    return render(request, "intake/trade/version.html", context, status=status)


def _restored(
    request: HttpRequest,
    schema: Schema[Any],
    value: Any,  # noqa: ANN401 - JSON
    about: Operator | None,
    reason: str,
) -> HttpResponse:
    since = expected(request.POST)
    if about is not None:
        directory.change_operator(about, value, expected=since, by=person(request), reason=reason)
        messages.success(request, f"La fiche de {about.name} est revenue à cette version.")
        return redirect("trade:operator", about.pk)
    row = workflow.save(schema.key, value, expected=since, by=person(request), reason=reason)
    messages.success(request, _saved(row))
    return redirect("trade:detail", schema.key)


def _saved(row: Setting) -> str:
    transaction.on_commit(deadlines.wake, robust=True)
    if row.valid_from > timezone.now():
        day = timezone.localdate(row.valid_from)
        return f"La version {row.version} est enregistrée ; elle s’appliquera le {day:%d/%m/%Y}."
    return f"La version {row.version} est enregistrée et s’applique."
