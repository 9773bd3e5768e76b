"""The queue as a CSV file, line by line, that no spreadsheet takes for formulas."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from onboarding.intake.models import Dossier, NameChoice

HEADER = (
    "Demande", "Collectivité", "Code", "Département", "EPCI", "Population", "État", "Nom de domaine", "Famille",
    "Transmise le", "Échéance", "Décidée le", "Instruction", "Opérateur",
)  # fmt: skip
CHUNK = 1000
FORMULA = "=+-@\t\r\n"


class _Echo:
    """A file that gives back what is written to it: the `csv` module formats, we send."""

    def write(self, line: str) -> str:
        return line


def neutral(cells: Iterable[str | None]) -> list[str]:
    """Put an apostrophe before what a spreadsheet would compute (OWASP, « CSV injection »)."""
    return [f"'{cell}" if cell and cell[0] in FORMULA else cell or "" for cell in cells]


def lines(header: Iterable[str], rows: Iterable[Iterable[str | None]]) -> Iterator[str]:
    """Yield a file line by line: a BOM and semicolons, as French spreadsheets expect."""
    writer = csv.writer(_Echo(), delimiter=";")
    yield "\ufeff" + writer.writerow(neutral(header))
    for row in rows:
        yield writer.writerow(neutral(row))


def queue(dossiers: QuerySet[Dossier]) -> Iterator[str]:
    """Yield the dossiers as a file, read through a cursor of the server: a thousand rows in memory at a time."""
    wish = NameChoice.objects.filter(dossier=OuterRef("pk"), rank=0).values("fqdn")[:1]
    found = dossiers.annotate(wish=Subquery(wish)).values_list(
        "reference",
        "organization__name",
        "organization__code",
        "organization__department",
        "organization__epci__name",
        "organization__population",
        "status",
        "wish",
        "family",
        "submitted_at",
        "due_at",
        "decided_at",
        "assignee__given_name",
        "assignee__usual_name",
        "operator__name",
    )
    return lines(HEADER, map(_row, found.iterator(chunk_size=CHUNK)))


def _row(values: tuple[Any, ...]) -> list[str | None]:
    reference, name, code, department, epci, population, status, wish, family, *rest = values
    sent, due, decided, given, usual, operator = rest
    return [
        reference,
        name,
        code,
        department,
        epci,
        "" if population is None else str(population),
        str(Dossier.Status(status).label),
        wish,
        str(Dossier.Family(family).label) if family else "",
        *("" if day is None else timezone.localdate(day).isoformat() for day in (sent, due, decided)),
        f"{given or ''} {usual or ''}".strip(),
        operator,
    ]
