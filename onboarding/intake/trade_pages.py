"""What the pages of the settings share: trying a change, showing it again, and putting values into words."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onboarding.intake.reasons import FIELDS
from onboarding.intake.trade_forms import Rows, VersionForm, Whole
from suite.accounts.models import User
from suite.trade import differences, workflow
from suite.trade.models import Setting
from suite.trade.registry import Invalid, Schema

CONFLICT, REFUSED = 409, 422
NOTHING = "Rien n’est différent de ce qui est déjà enregistré : il n’y a rien à changer."


@dataclass(frozen=True)
class Editing:
    """A change under way: of what, from which version and value, how it is saved and what it would do."""

    template: str
    schema: Schema[Any]
    scope: UUID | None
    version: int
    before: Any
    save: Callable[[], HttpResponse]
    effects: Callable[[Any], list[str]]


SETTING, CARD = "intake/trade/edit.html", "intake/trade/operator.html"


def tried(
    request: HttpRequest, editing: Editing, rows: Rows | Whole, form: VersionForm, context: dict[str, Any]
) -> HttpResponse:
    """Show the form, the effect of what was typed, or why it was not saved; or save it."""
    schema = editing.schema
    context = {**context, "form": form, "version": editing.version}
    if request.method != "POST":
        return shown(request, editing.template, rows, context)
    base_version = context["version"] = expected(request.POST)
    if rows.is_valid() & form.is_valid():
        try:
            if request.POST.get("action") != "preview":
                return editing.save()
            after = schema.dump(schema.load(rows.value()))
            lines = differences.between(schema, editing.before, after)
            context |= {"preview": True, "lines": lines, "effects": editing.effects(after)}
            return shown(request, editing.template, rows, context)
        except Invalid as refusal:
            for problem in refusal.problems:
                if problem.row is None and problem.field == "reason":
                    form.add_error("reason", problem.message)
            rows.show(problem for problem in refusal.problems if problem.row is not None or problem.field != "reason")
        except workflow.Unchanged:
            rows.loose.append(NOTHING)
        except workflow.Stale as stale:
            base = value_at(schema, base_version, editing.scope)
            theirs = differences.between(schema, base, editing.before) if base is not None else []
            context |= {"version": stale.latest, "theirs": theirs}
            return shown(request, editing.template, rows, context, CONFLICT)
    return shown(request, editing.template, rows, context, REFUSED)


def shown(
    request: HttpRequest, template: str, rows: Rows | Whole, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Show the form with what was typed; `status` says whether it was refused."""
    return render(request, template, {**context, "rows": rows, "failed": status == REFUSED}, status=status)


def expected(data: Mapping[str, Any]) -> int:
    """Return the version the form was opened on; what is not one is older than all."""
    text = str(data.get("version", ""))
    return int(text) if text.isdecimal() and len(text) < 9 else -1  # noqa: PLR2004 - no huge number


def value_at(schema: Schema[Any], number: int, scope: UUID | None) -> Any:  # noqa: ANN401 - JSON
    """Return what a version said; the code's own value is version 0 of a setting of the whole site."""
    if number == 0 and scope is None:
        return schema.dump(schema.default())
    row = Setting.objects.about(schema.key, scope).filter(version=number).first()
    return row.value if row else None


def names_of(rows: Iterable[Setting]) -> dict[UUID, str]:
    """Return the names of the authors. One query, none when nobody signed."""
    authors = {row.author for row in rows if row.author}
    return {user.pk: user.get_full_name() for user in User.objects.filter(pk__in=authors)} if authors else {}


_WORDS = {
    "block": "Jamais attribué",
    "review": "Deux personnes décident",
    "change": "Correction",
    "rejection": "Refus",
    **{code: field.label for code, field in FIELDS.items()},
}


def table(schema: Schema[Any], value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a value as pairs, or as headings and rows, of words."""
    if not isinstance(value, list):
        return {"pairs": [(schema.labels.get(key, key), differences.shown(cell)) for key, cell in value.items()]}
    return {
        "headings": list(schema.labels.values()),
        "rows": [[_told(row.get(key)) for key in schema.labels] for row in value],
    }


def _told(cell: object) -> str:
    if isinstance(cell, list):
        return differences.shown([_WORDS.get(one, one) for one in cell])
    return differences.shown(_WORDS.get(cell, cell) if isinstance(cell, str) else cell)
