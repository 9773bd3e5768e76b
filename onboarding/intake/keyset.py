"""Pages of a long list by where the last one ended: as quick at the end as at the start, and stable under inserts."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.core import signing
from django.db.models import F, Model, Q, QuerySet

M = TypeVar("M", bound=Model)
SALT = "onboarding.intake.keyset"
LONGEST = 400


@dataclass(frozen=True)
class Order:
    """A column to sort on, the key of the row settling ties; rows without a value come last either way."""

    key: str
    column: str
    descending: bool = False
    nullable: bool = False


class Cursor(NamedTuple):
    """Where a page starts: the value and the key of the row beside it, and on which side of it the page lies."""

    value: Any
    pk: UUID
    backward: bool


@dataclass(frozen=True)
class Page(Generic[M]):
    """The rows of one page, and the cursors of its neighbours ("" when there is none)."""

    rows: list[M]
    previous: str = ""
    following: str = ""
    first: bool = field(default=True)


def read(typed: str, order: Order) -> Cursor | None:
    """Return the cursor that the address carries; None when it is not one of ours, or of another order."""
    if not typed or len(typed) > LONGEST:
        return None
    try:
        key, value, pk, backward = signing.loads(typed, salt=SALT)
        if key != order.key:
            return None
        moment = value is not None and order.column.endswith("_at")
        return Cursor(dt.datetime.fromisoformat(value) if moment else value, UUID(pk), bool(backward))
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None


def write(row: Model, order: Order, *, backward: bool) -> str:
    """Return the cursor of the page on one side of this row."""
    value: Any = row
    for part in order.column.split("__"):
        value = getattr(value, part)
    told = value.isoformat() if isinstance(value, dt.datetime) else value
    return signing.dumps([order.key, told, str(row.pk), backward], salt=SALT, compress=True)


def page(found: QuerySet[M], order: Order, typed: str, *, size: int) -> Page[M]:
    """Return one page of `found`: the keys and the sorted column of its rows, for `fill` to read the rest.

    One query, two where the page meets the rows without a value. What is sorted is thus narrow, and joins nothing.
    """
    found = found.only("pk", order.column)
    if "__" in order.column:
        found = found.select_related(order.column.rpartition("__")[0])
    cursor = read(typed, order)
    backward = bool(cursor and cursor.backward)
    rows: list[M] = []
    for segment in _segments(found, order, cursor):
        rows += segment[: size + 1 - len(rows)]
        if len(rows) > size:
            break
    more = len(rows) > size
    rows = rows[:size]
    if backward:
        rows.reverse()
    if not rows:
        return Page([], first=cursor is None)
    before, after = (more, True) if backward else (cursor is not None, more)
    return Page(
        rows,
        previous=write(rows[0], order, backward=True) if before else "",
        following=write(rows[-1], order, backward=False) if after else "",
        first=not before,
    )


def fill(page: Page[M], shown: QuerySet[M]) -> list[M]:
    """Return the rows of the page as `shown` reads them, in order; who left meanwhile is left out. One query."""
    rows = shown.in_bulk([row.pk for row in page.rows])
    return [rows[row.pk] for row in page.rows if row.pk in rows]


def _segments(found: QuerySet[M], order: Order, cursor: Cursor | None) -> Iterator[QuerySet[M]]:
    """Yield the rows in the direction of the cursor, in at most two lists: those with a value, those without."""
    backward = bool(cursor and cursor.backward)
    valued = _valued(found, order, cursor, backward=backward)
    empty = _empty(found, order, cursor, backward=backward)
    for segment in (empty, valued) if backward else (valued, empty):
        if segment is not None:
            yield segment


def _valued(found: QuerySet[M], order: Order, cursor: Cursor | None, *, backward: bool) -> QuerySet[M] | None:
    rising = order.descending == backward
    if cursor is not None and cursor.value is None and not backward:
        return None  # past the last value already
    kept = found.filter(**{f"{order.column}__isnull": False}) if order.nullable else found
    if cursor is not None and cursor.value is not None:
        side = "gt" if rising else "lt"
        # The first condition is one that an index can start from; the second settles the ties.
        kept = kept.filter(**{f"{order.column}__{side}e": cursor.value}).filter(
            Q(**{f"{order.column}__{side}": cursor.value}) | Q(**{f"pk__{side}": cursor.pk})
        )
    column = F(order.column)
    return kept.order_by(column.asc() if rising else column.desc(), "pk" if rising else "-pk")


def _empty(found: QuerySet[M], order: Order, cursor: Cursor | None, *, backward: bool) -> QuerySet[M] | None:
    if not order.nullable or (cursor is not None and cursor.value is not None and backward):
        return None
    kept = found.filter(**{f"{order.column}__isnull": True})
    if cursor is not None and cursor.value is None:
        kept = kept.filter(**{f"pk__{'lt' if backward else 'gt'}": cursor.pk})
    return kept.order_by("-pk" if backward else "pk")
