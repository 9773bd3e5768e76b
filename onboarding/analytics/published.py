"""What was published, read for a page: tables, their charts, and what a public page hides. No figure is made here."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from onboarding.analytics import months
from onboarding.analytics.chart import Chart, Series, draw, month_label
from onboarding.analytics.definitions import GROUPS, METRICS, REASON, VERSION, Group, Unit, reason_label
from onboarding.analytics.figure_models import DEPARTMENT, NATIONAL, OPERATOR, PublishedFigure
from suite.accounts.rights import OperatorScope
from suite.directory.models import Department, Operator
from suite.templatetags.suite import NBSP, thousands

# A public figure about fewer dossiers than this could say something of one of them.
FEWEST = 5
HIDDEN = f"moins de{NBSP}{FEWEST}"
NOTHING = "–"
UNITS = {Unit.DAYS: "jour", Unit.HOURS: "heure"}


class Cell(NamedTuple):
    """One published value. `share` says that it is one, between 0 and 1."""

    value: Decimal | None
    n: int
    unit: Unit = Unit.COUNT

    @property
    def text(self) -> str:
        """The value as the page writes it."""
        if self.value is None:
            return NOTHING
        if self.unit is Unit.SHARE:
            return f"{self.percent}{NBSP}% de{NBSP}{thousands(self.n)}"
        written = thousands(int(self.value))
        if self.unit in UNITS:
            return f"{written}{NBSP}{UNITS[self.unit]}{'s' if self.value > 1 else ''}"
        return written

    @property
    def percent(self) -> int:
        """A share in whole per cent, halves up."""
        return int((self.value or Decimal()) * 100 + Decimal("0.5"))

    @property
    def drawn(self) -> int | None:
        """Its height on a chart: whole, per cent for a share."""
        if self.value is None:
            return None
        return self.percent if self.unit is Unit.SHARE else int(self.value)

    @property
    def small(self) -> bool:
        """Whether it is about too few to be public; nobody at all is no secret."""
        if self.value is None:
            return False
        of = int(self.value * self.n + Decimal("0.5")) if self.unit is Unit.SHARE else self.n
        # Of a share, those who are in it, and those who are not.
        return any(0 < count < FEWEST for count in (self.n, of, self.n - of))


class Pair(NamedTuple):
    """What was published of one metric and month, and what replaced it since; None: nothing did."""

    published: Cell
    revised: Cell | None = None
    revised_as_of: dt.datetime | None = None


NONE = Pair(Cell(None, 0))


class Row(NamedTuple):
    """A line of a table: its heading, then a text per column."""

    heading: str
    cells: list[str]


@dataclass(frozen=True)
class Section:
    """A group of figures, drawn and tabulated: the same numbers twice."""

    group: Group
    chart: Chart
    columns: list[str]
    rows: list[Row]


class Place(NamedTuple):
    """A scope, by the name that people give it."""

    scope: str
    label: str


def published_months() -> list[dt.date]:
    """Return the months published, latest first. One query."""
    rows = PublishedFigure.objects.filter(definition_version=VERSION, scope=NATIONAL, metric="requests")
    return list(rows.order_by("-period").values_list("period", flat=True).distinct())


def figures(scopes: Iterable[str], shown: Sequence[dt.date]) -> QuerySet[PublishedFigure]:
    """Return the rows of these scopes and months, a month's first published before its revisions."""
    return PublishedFigure.objects.filter(definition_version=VERSION, scope__in=scopes, period__in=shown).order_by(
        "scope", "period", "metric", "as_of"
    )


def figures_of_departments(month: dt.date) -> QuerySet[PublishedFigure]:
    """Return the rows of every département for one month, in the same order."""
    rows = PublishedFigure.objects.filter(definition_version=VERSION, scope__startswith=DEPARTMENT, period=month)
    return rows.order_by("scope", "period", "metric", "as_of")


def pairs(rows: Iterable[PublishedFigure]) -> dict[tuple[str, str, dt.date], Pair]:
    """Return what is known by (scope, metric, month): the first published, and the last revision."""
    found: dict[tuple[str, str, dt.date], Pair] = {}
    for row in rows:
        key = (row.scope, row.metric, row.period)
        unit = METRICS[row.metric].unit if row.metric in METRICS else Unit.COUNT
        cell = Cell(row.value, row.n, unit)
        if row.as_of == months.closing(row.period):
            found[key] = Pair(cell)
        else:
            found[key] = Pair(found.get(key, NONE).published, cell, row.as_of)
    return found


def section(group: Group, known: Mapping[tuple[str, str, dt.date], Pair], scope: str, shown: list[dt.date]) -> Section:
    """Draw and tabulate a group over the months given, oldest first; what was revised has a column of its own."""
    of = {metric.code: [known.get((scope, metric.code, month), NONE) for month in shown] for metric in group.metrics}
    series = [Series(metric.label, [pair.published.drawn for pair in of[metric.code]]) for metric in group.metrics]
    columns: list[str] = []
    lines: list[list[str]] = [[] for _ in shown]
    for metric in group.metrics:
        told = of[metric.code]
        columns.append(metric.label)
        for line, pair in zip(lines, told, strict=True):
            line.append(pair.published.text)
        if any(pair.revised for pair in told):
            columns.append(f"{metric.label}, révisé")
            for line, pair in zip(lines, told, strict=True):
                line.append(pair.revised.text if pair.revised else NOTHING)
    rows = [Row(month_label(month), line) for month, line in zip(shown, lines, strict=True)]
    return Section(group, draw(shown, series, label=month_label), columns, rows[::-1])


def reason_rows(known: Mapping[tuple[str, str, dt.date], Pair], scope: str, month: dt.date) -> list[Row]:
    """Return how often each reason was given in a month, published and revised, the most frequent first."""
    given = [
        (metric, pair)
        for (where, metric, when), pair in known.items()
        if where == scope and when == month and metric.startswith(REASON)
    ]
    given.sort(key=lambda one: (-(one[1].published.value or 0), one[0]))
    return [
        Row(reason_label(metric), [pair.published.text, pair.revised.text if pair.revised else NOTHING])
        for metric, pair in given
    ]


def places(scope: OperatorScope) -> list[Place]:
    """Return the scopes that an operator's staff may choose: names are today's. Three queries."""
    known = set(
        PublishedFigure.objects.filter(definition_version=VERSION, metric="requests")
        .order_by()
        .values_list("scope", flat=True)
        .distinct()
    )
    own = {
        place
        for place in known
        if scope.national
        or place == NATIONAL
        or (place.startswith(DEPARTMENT) and place.removeprefix(DEPARTMENT) in scope.departments)
        or (place.startswith(OPERATOR) and place.removeprefix(OPERATOR) in {str(pk) for pk in scope.operators})
    }
    departments = [Place(place, label) for place, label in _departments() if place in own]
    operators = [
        Place(f"{OPERATOR}{pk}", name)
        for pk, name in Operator.objects.order_by("name").values_list("pk", "name")
        if f"{OPERATOR}{pk}" in own
    ]
    named = {NATIONAL, *(one.scope for one in (*departments, *operators))}
    others = [Place(place, "Territoire ou opérateur inconnu") for place in sorted(own - named)]
    return [Place(NATIONAL, "France entière"), *departments, *operators, *others]


def _departments() -> list[Place]:
    return [
        Place(f"{DEPARTMENT}{code}", f"{code} – {name}")
        for code, name in Department.objects.order_by("code").values_list("code", "name")
    ]


def territory_rows(
    known: Mapping[tuple[str, str, dt.date], Pair], where: Iterable[Place], month: dt.date, codes: Sequence[str]
) -> list[Row]:
    """Return a line per place, with these metrics of the month as published."""
    return [
        Row(place.label, [known.get((place.scope, code, month), NONE).published.text for code in codes])
        for place in where
    ]


def hide(known: dict[tuple[str, str, dt.date], Pair]) -> dict[tuple[str, str, dt.date], Cell | None]:
    """Return what may be public of figures as published: None where a cell is hidden.

    A cell about fewer than five is hidden. Where one could find it again by taking the other départements from the
    national figure, the next smallest is hidden with it, until what is hidden holds at least two and counts five.
    """
    shown: dict[tuple[str, str, dt.date], Cell | None] = {
        key: None if pair.published.small else pair.published for key, pair in known.items()
    }
    columns: dict[tuple[str, dt.date], list[tuple[str, str, dt.date]]] = {}
    for key in known:
        if key[0].startswith(DEPARTMENT):
            columns.setdefault(key[1:], []).append(key)
    for (metric, month), keys in columns.items():
        if shown.get((NATIONAL, metric, month)) is None:
            continue  # without the total nothing can be taken from it
        counts = {key: known[key].published.n for key in keys}
        hidden = [key for key in keys if shown[key] is None]
        left = sorted((key for key in keys if shown[key] is not None and counts[key]), key=lambda key: counts[key])
        while hidden and left and (len(hidden) == 1 or sum(counts[key] for key in hidden) < FEWEST):
            hidden.append(left.pop(0))
            shown[hidden[-1]] = None
    return shown


def public_rows(
    shown: Mapping[tuple[str, str, dt.date], Cell | None], month: dt.date, codes: Sequence[str]
) -> list[Row]:
    """Return the public line of each département that has figures that month, hidden cells said to be so."""
    rows = []
    for place in _departments():
        if (place.scope, codes[0], month) in shown:
            cells = [shown.get((place.scope, code, month), NONE.published) for code in codes]
            rows.append(Row(place.label, [HIDDEN if cell is None else cell.text for cell in cells]))
    return rows


def public_section(group: Group, shown: Mapping[tuple[str, str, dt.date], Cell | None], span: list[dt.date]) -> Section:
    """Draw and tabulate the national figures that may be public; what is hidden is a gap of the drawing."""
    of = [[shown.get((NATIONAL, metric.code, month), NONE.published) for month in span] for metric in group.metrics]
    series = [
        Series(metric.label, [cell.drawn if cell else None for cell in cells])
        for metric, cells in zip(group.metrics, of, strict=True)
    ]
    rows = [
        Row(month_label(month), [HIDDEN if cells[index] is None else cells[index].text for cells in of])  # type: ignore[union-attr]  # None was just set apart
        for index, month in enumerate(span)
    ]
    columns = [metric.label for metric in group.metrics]
    return Section(group, draw(span, series, label=month_label), columns, rows[::-1])


def all_sections(known: Mapping[tuple[str, str, dt.date], Pair], scope: str, shown: list[dt.date]) -> list[Section]:
    """Return every group of figures of a scope."""
    return [section(group, known, scope, shown) for group in GROUPS]
