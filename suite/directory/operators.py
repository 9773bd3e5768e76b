"""The card of an operator as a setting of the trade: what its row says, versioned each time somebody changes it."""

import re
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email

from suite.directory.identifiers import is_siret
from suite.directory.models import Department, Operator
from suite.trade import fields
from suite.trade.registry import Problem, Schema, register

INACTIVE = ""
# ProConnect's own shape of an identifier: nothing of it can leave the path it is put in (services.md, 4.2).
PROVIDER = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Card(NamedTuple):
    """What is known of an operator. `status` is an `Operator.Status`, "" for one that is offered to nobody."""

    name: str
    name_with_article: str
    url: str
    email: str
    siret: str
    status: str
    departments: tuple[str, ...]
    national: bool
    identity_provider: str = ""


def load(value: object) -> Card:
    """Read a card; its départements exist. One query."""
    problems: list[Problem] = []
    row = fields.Row(value, None, problems)
    known = set(Department.objects.values_list("code", flat=True))
    card = Card(
        name=row.text("name", longest=100, missing="Indiquez le nom de l’opérateur."),
        name_with_article=row.text(
            "name_with_article", longest=110, missing="Indiquez le nom avec son article : « le Syndicat mixte… »."
        ),
        url=row.text("url", longest=200),
        email=row.text("email", longest=254, missing="Indiquez l’adresse électronique de contact."),
        siret=re.sub(r"\s", "", row.text("siret", longest=20)),
        status=row.one_of("status", {INACTIVE, *Operator.Status.values}, "Choisissez une situation dans la liste."),
        departments=tuple(
            sorted(row.several_of("departments", known, "Choisissez des départements du code géographique."))
        ),
        national=row.flag("national"),
        identity_provider=row.text("identity_provider", longest=100),
    )
    if card.siret and not is_siret(card.siret):
        row.wrong("siret", "Ce SIRET n’est pas valable : relisez ses 14 chiffres, ou laissez vide.")
    if card.email and not _passes(validate_email, card.email):
        row.wrong("email", "Cette adresse n’est pas valable : par exemple « contact@operateur.fr ».")
    if card.url and not _passes(URLValidator(["http", "https"]), card.url):
        row.wrong("url", "Cette adresse de site n’est pas valable : par exemple « https://operateur.fr ».")
    if card.identity_provider and not PROVIDER.fullmatch(card.identity_provider):
        row.wrong("identity_provider", "Cet identifiant n’est pas valable : lettres, chiffres, points et tirets.")
    if not card.national and not card.departments:
        row.wrong("departments", "Choisissez au moins un département : un opérateur local a un territoire.")
    fields.settle(problems)
    return card


def _passes(validator: Any, text: str) -> bool:  # noqa: ANN401 - Django types validators so
    try:
        validator(text)
    except ValidationError:
        return False
    return True


def dump(card: Card) -> dict[str, Any]:
    """Write a card as JSON."""
    return {**card._asdict(), "departments": list(card.departments)}


def card_of(operator: Operator) -> Card:
    """Return what the row says."""
    return Card(
        operator.name,
        operator.name_with_article,
        operator.url,
        operator.email,
        operator.siret,
        operator.status,
        tuple(sorted(operator.departments)),
        operator.national,
        operator.identity_provider,
    )


OPERATOR: Schema[Card] = register(
    Schema(
        key="operator",
        title="Opérateur",
        purpose="Le nom, le contact et le territoire d’un opérateur.",
        load=load,
        dump=dump,
        default=lambda: Card("", "", "", "", "", INACTIVE, (), national=False),
        labels={
            "name": "Nom",
            "name_with_article": "Nom avec son article",
            "url": "Site",
            "email": "Adresse électronique de contact",
            "siret": "SIRET",
            "status": "Situation",
            "departments": "Départements",
            "national": "Opérateur national",
            "identity_provider": "Fournisseur d’identité",
        },
    )
)
