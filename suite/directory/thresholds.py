"""The thresholds of eligibility as a setting of the trade: dated, each with what it rests on."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from suite.directory.eligibility import Rule, rules_from
from suite.trade import fields
from suite.trade.registry import Problem, Schema, register

MOST_INHABITANTS = 1_000_000
NATURES = {
    "CC": "Communauté de communes",
    "CA": "Communauté d’agglomération",
    "CU": "Communauté urbaine",
    "METRO": "Métropole",
    "MET69": "Métropole de Lyon",
}


def load(value: object) -> tuple[Rule, ...]:
    """Read the rules; each has its own date, and ends where it says or where the next one starts."""
    problems: list[Problem] = []
    rules = []
    for row in fields.rows(value, problems):
        since = row.day("effective_from", missing="Indiquez la date à partir de laquelle ces seuils s’appliquent.")
        until = row.day("effective_to")
        if since and until and until < since:
            row.wrong("effective_to", "La fin vient avant le début : corrigez l’une des deux dates.")
        commune = row.whole("commune_below", least=1, most=MOST_INHABITANTS)
        epci = row.whole("epci_below", least=1, most=MOST_INHABITANTS)
        natures = row.several_of("epci_natures", NATURES, "Choisissez des natures d’intercommunalité de la liste.")
        basis = row.text("basis", longest=200, missing="Dites sur quoi reposent ces seuils : texte, décision, page.")
        if since:
            name = row.text("id", longest=60) or f"seuils-{since.isoformat()}"
            rules.append(Rule(name, since, commune, epci, frozenset(natures), basis, until))
    if not problems:
        fields.once(
            [(rule.effective_from.isoformat(),) for rule in rules],
            "effective_from",
            "Deux lignes commencent le même jour : gardez-en une.",
            problems,
        )
    if not rules and not problems:
        problems.append(Problem(None, "", "Gardez au moins une ligne de seuils."))
    fields.settle(problems)
    return tuple(rules)


def dump(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Write the rules as JSON."""
    return [
        {
            "id": rule.id,
            "effective_from": rule.effective_from.isoformat(),
            "effective_to": rule.effective_to.isoformat() if rule.effective_to else None,
            "commune_below": rule.commune_below,
            "epci_below": rule.epci_below,
            "epci_natures": sorted(rule.epci_natures),
            "basis": rule.basis,
        }
        for rule in rules
    ]


THRESHOLDS: Schema[tuple[Rule, ...]] = register(
    Schema(
        key="eligibility",
        title="Seuils d’éligibilité",
        purpose="Sous combien d’habitants une commune ou une intercommunalité est servie par l’ANCT, et depuis quand.",
        load=load,
        dump=dump,
        default=lambda: rules_from(settings.ELIGIBILITY_RULES),
        identity="effective_from",
        labels={
            "id": "Référence",
            "effective_from": "À partir du",
            "effective_to": "Jusqu’au",
            "commune_below": "Communes : moins de (habitants)",
            "epci_below": "Intercommunalités : moins de (habitants)",
            "epci_natures": "Natures d’intercommunalité",
            "basis": "Source",
        },
    )
)
