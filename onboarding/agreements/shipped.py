"""The model texts that come with the product, so that nothing is asked of anybody before the first demonstration.

They say that a lawyer has still to read them. Publishing version 2 on the operators' own pages replaces them.
"""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from django.utils import timezone

from onboarding.agreements.digests import digest

FOLDER = Path(__file__).parent / "texts"
TITLES = {
    "prices": "Ce que coûtent les services",
    "convention": "Convention de mise à disposition de services numériques",
    "processing": "Traitement des données personnelles pour le compte de la collectivité",
}
EFFECTIVE_ON = dt.date(2026, 11, 1)


class Price(NamedTuple):
    """A line of the national price sheet."""

    payer: str
    label: str
    amount: Decimal
    unit: str
    note: str


FREE = Decimal("0.00")
PRICES = (
    Price("state", "Nom de domaine sous collectivite.fr", FREE, "year", ""),
    Price("state", "Boîte aux lettres, dans la dotation", FREE, "mailbox_year", "20 boîtes"),
    Price("state", "Stockage, dans la dotation", FREE, "year", "10 Go"),
    Price("operator", "Mise en service et assistance de premier niveau", FREE, "year", "Aucun opérateur facturant"),
)


def load(text_model: Any, price_model: Any) -> None:  # noqa: ANN401 - the models of a migration, or today's
    """Publish version 1 of the national texts where there is none."""
    for kind, title in TITLES.items():
        if text_model.objects.filter(operator__isnull=True, kind=kind, number__isnull=False).exists():
            continue
        body = (FOLDER / f"{kind}.md").read_text(encoding="utf-8").strip()
        prices = PRICES if kind == "prices" else ()
        text = text_model.objects.create(kind=kind, title=title, body=body, model_text=True)
        price_model.objects.bulk_create(
            price_model(text=text, position=position, **line._asdict()) for position, line in enumerate(prices)
        )
        # Last: once published, neither the text nor its prices take a change.
        text_model.objects.filter(pk=text.pk).update(
            number=1,
            effective_on=EFFECTIVE_ON,
            published_at=timezone.now(),
            digest=digest(kind, title, body, prices),
        )
