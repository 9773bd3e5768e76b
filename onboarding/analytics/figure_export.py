"""Published figures as a CSV file, line by line, that no spreadsheet takes for formulas."""

from collections.abc import Iterator
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from onboarding.analytics import months
from onboarding.analytics.definitions import METRICS, reason_label
from onboarding.analytics.figure_models import PublishedFigure
from onboarding.intake import export

HEADER = (
    "Indicateur", "Code", "Définition", "Périmètre", "Mois", "Nature", "Événements connus avant le", "Valeur",
    "Effectif", "Dernier événement",
)  # fmt: skip
CHUNK = 1000


def lines(rows: QuerySet[PublishedFigure], place: str) -> Iterator[str]:
    """Yield the file: what was published, and each revision beside it, as they are stored."""
    return export.lines(HEADER, (_cells(row, place) for row in rows.iterator(chunk_size=CHUNK)))


def _cells(row: PublishedFigure, place: str) -> list[str]:
    return [
        METRICS[row.metric].label if row.metric in METRICS else reason_label(row.metric),
        row.metric,
        f"v{row.definition_version}",
        place,
        f"{row.period:%Y-%m}",
        "publié" if row.as_of == months.closing(row.period) else "révisé",
        timezone.localtime(row.as_of).date().isoformat(),
        _number(row.value),
        str(row.n),
        str(row.event_high_water),
    ]


def _number(value: Decimal | None) -> str:
    """Write a number the French way, without useless zeros; "" for nothing."""
    if value is None:
        return ""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", ",")
