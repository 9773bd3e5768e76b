"""May this collectivité be served by the ANCT? The dated rule and its judgement: no database, no framework, no clock.

A rule of the programme, not of the law: no statute is known to set its thresholds, and no sentence here says so.
"""

import datetime as dt
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

NBSP = "\u00a0"
NARROW = "\u202f"


class Outcome(StrEnum):
    """What becomes of a collectivité that asks. Values are stable: they are stored and printed."""

    UNKNOWN_CODE = "unknown_code"
    REDIRECT_PARENT = "redirect_parent"
    CLOSED_SUCCESSOR = "closed_successor"
    NOT_COVERED_TYPE = "not_covered_type"
    NOT_COVERED_NATURE = "not_covered_nature"
    NEEDS_REVIEW = "needs_review"
    POPULATION_UNKNOWN = "population_unknown"
    ELIGIBLE_OPERATOR = "eligible_operator"
    ELIGIBLE_OPERATOR_SOON = "eligible_operator_soon"
    ELIGIBLE_ANCT = "eligible_anct"
    ABOVE_OPERATOR = "above_operator"
    ABOVE_SELF_HOSTING = "above_self_hosting"


ELIGIBLE = frozenset({Outcome.ELIGIBLE_OPERATOR, Outcome.ELIGIBLE_OPERATOR_SOON, Outcome.ELIGIBLE_ANCT})
ABOVE = frozenset({Outcome.ABOVE_OPERATOR, Outcome.ABOVE_SELF_HOSTING})
# Who may open and submit a request; of these, only the eligible may be approved without a dérogation.
MAY_REQUEST = ELIGIBLE | {Outcome.NEEDS_REVIEW, Outcome.POPULATION_UNKNOWN}
MAY_BE_APPROVED = ELIGIBLE


@dataclass(frozen=True, slots=True)
class Rule:
    """The thresholds in force from a date, and what they rest on. "Below" is strict."""

    id: str
    effective_from: dt.date
    commune_below: int
    epci_below: int
    epci_natures: frozenset[str]
    basis: str
    effective_to: dt.date | None = None


# `effective_from` is the earliest dated publication known.
RULES = (
    Rule(
        id="anct-3500-15000",
        effective_from=dt.date(2025, 3, 21),
        commune_below=3500,
        epci_below=15000,
        epci_natures=frozenset({"CC"}),
        basis="Règle du programme de l’ANCT",
    ),
)


def rules_from(data: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Read rules written as in a setting (see `docs/configuration.md`). Raises ValueError naming what is wrong."""
    try:
        rules = tuple(
            Rule(
                id=str(one["id"]),
                effective_from=dt.date.fromisoformat(one["effective_from"]),
                effective_to=dt.date.fromisoformat(one["effective_to"]) if one.get("effective_to") else None,
                commune_below=int(one["commune_below"]),
                epci_below=int(one["epci"]["below"]),
                epci_natures=frozenset(one["epci"]["natures"]),
                basis=str(one["basis"]["label"]),
            )
            for one in data
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"ELIGIBILITY_RULES: {error!r}") from error
    return rules or RULES


def rule_on(day: dt.date, rules: tuple[Rule, ...] = RULES) -> Rule:
    """Return the rule in force that day; before the first one, the first. Of two, the latest wins."""
    running = [rule for rule in rules if rule.effective_from <= day and (not rule.effective_to or day <= rule.effective_to)]
    if not running:
        return min(rules, key=lambda rule: rule.effective_from)
    return max(running, key=lambda rule: rule.effective_from)


@dataclass(frozen=True, slots=True)
class Covering:
    """An operator as the judgement sees it. `departments` is how many it serves; `member`, whether the subject adheres."""

    id: str
    name: str
    name_with_article: str
    status: str
    departments: int
    member: bool = False


_STATUSES = ("partenaire_avec_services", "partenaire", "intention")


def in_order(operators: Iterable[Covering]) -> tuple[Covering, ...]:
    """Sort operators, the best first: one's own, the most local, the readiest. Those without a status are left out."""
    shown = [operator for operator in operators if operator.status in _STATUSES]
    return tuple(
        sorted(shown, key=lambda it: (not it.member, it.departments, it.status != "partenaire_avec_services", it.id))
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything the rule looks at. `kind` is commune or epci, anything else is another sort of body.

    `past` is the sort of commune of the past the code designates (déléguée, associée, arrondissement, ancienne) and
    `parent` the commune that answers for it. `successor` and `closed_on` say what replaced a dissolved body.
    """

    name: str
    kind: str = "commune"
    nature: str = "COM"
    zone: str = "metro"
    siren: str | None = None
    population: int | None = None
    population_year: int | None = None
    past: str = ""
    parent: str = ""
    successor: str = ""
    closed_on: dt.date | None = None
    operators: tuple[Covering, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer and everything that justifies it; `threshold` is None where no figure was compared."""

    outcome: Outcome
    reason: str
    population: int | None = None
    population_year: int | None = None
    threshold: int | None = None
    source: str = ""
    rule_id: str = ""
    rule_date: dt.date | None = None
    operators: tuple[Covering, ...] = ()

    @property
    def eligible(self) -> bool:
        return self.outcome in ELIGIBLE

    @property
    def may_request(self) -> bool:
        return self.outcome in MAY_REQUEST

    @property
    def above(self) -> bool:
        return self.outcome in ABOVE

    @property
    def operator(self) -> Covering | None:
        """The best operator, None when none covers."""
        return self.operators[0] if self.operators else None


UNKNOWN = Verdict(Outcome.UNKNOWN_CODE, "Aucune collectivité ne correspond à ce code ou à ce nom.")

_COG = "Code officiel géographique (INSEE)"
_SOURCES = {
    "commune": "Population municipale, INSEE",
    "epci": "Population municipale, liste des EPCI à fiscalité propre (DGCL)",
}
_PAST = {"deleguee": "une commune déléguée", "associee": "une commune associée"}


def judge(subject: Subject, rule: Rule) -> Verdict:
    """Judge a subject: the cases from top to bottom, the first that matches wins."""
    redirected = _redirected(subject)
    if redirected:
        return redirected
    operators = in_order(subject.operators)

    def verdict(outcome: Outcome, reason: str, threshold: int | None = None) -> Verdict:
        return Verdict(
            outcome=outcome,
            reason=reason,
            population=subject.population,
            population_year=subject.population_year,
            threshold=threshold,
            source=_source(subject),
            rule_id=rule.id,
            rule_date=rule.effective_from,
            operators=operators,
        )

    if subject.kind not in {"commune", "epci"}:
        return verdict(
            Outcome.NOT_COVERED_TYPE,
            f"Non couvert par la règle nationale{NBSP}: elle vise les communes et les communautés de communes.",
        )
    if subject.kind == "epci" and subject.nature not in rule.epci_natures:
        return verdict(
            Outcome.NOT_COVERED_NATURE,
            f"Non couvert{NBSP}: la règle vise les communautés de communes, et {subject.name} est "
            f"{_NATURES.get(subject.nature, 'd’une autre nature')}.",
        )
    doubt = _doubt(subject)
    if doubt:
        return verdict(Outcome.NEEDS_REVIEW, f"Situation particulière, à instruire{NBSP}: {doubt}.")
    threshold = rule.commune_below if subject.kind == "commune" else rule.epci_below
    if subject.population is None:
        return verdict(
            Outcome.POPULATION_UNKNOWN,
            f"Population inconnue{NBSP}: nous vérifions. La limite est de {thousands(threshold)} habitants "
            f"({_basis(rule)}).",
            threshold,
        )
    return verdict(*_compare(subject, rule, threshold, operators), threshold)


def _redirected(subject: Subject) -> Verdict | None:
    if subject.past == "arrondissement":
        reason = (
            f"{subject.name} est un arrondissement municipal{NBSP}: la demande se fait au niveau de la ville "
            f"{of(subject.parent)}."
        )
        return Verdict(Outcome.REDIRECT_PARENT, reason, source=_COG)
    if subject.past in _PAST:
        reason = f"{subject.name} est {_PAST[subject.past]} {of(subject.parent)}{NBSP}: c’est {subject.parent} qui fait la demande."
        return Verdict(Outcome.REDIRECT_PARENT, reason, source=_COG)
    if subject.past:
        reason = f"Ce code est celui d’une ancienne commune, remplacée par {subject.parent}."
        return Verdict(Outcome.CLOSED_SUCCESSOR, reason, source=_COG)
    if subject.successor:
        when = f" le {day(subject.closed_on)}" if subject.closed_on else ""
        reason = f"{subject.name} a été remplacée par {subject.successor}{when}."
        return Verdict(Outcome.CLOSED_SUCCESSOR, reason, source=_COG)
    return None


_NATURES = {
    "CA": "une communauté d’agglomération",
    "CU": "une communauté urbaine",
    "METRO": "une métropole",
    "MET69": "une collectivité à statut particulier",
}


def _doubt(subject: Subject) -> str:
    """Say why somebody must look at the case, "" when nobody need to."""
    if subject.zone == "com":
        return f"{subject.name} est dans une collectivité d’outre-mer"
    if subject.population == 0:
        return f"{subject.name} n’a aucun habitant au recensement"
    if not subject.siren:
        return f"le numéro SIREN {of(subject.name)} n’est pas connu"
    return ""


def _compare(
    subject: Subject, rule: Rule, threshold: int, operators: tuple[Covering, ...]
) -> tuple[Outcome, str]:
    """Set the population beside the threshold, strictly, and name who serves."""
    year = f" {subject.population_year}" if subject.population_year else ""
    population = subject.population or 0
    counted = (
        f"{subject.name} compte {thousands(population)}{NBSP}habitant{'s' if population > 1 else ''} "
        f"(population municipale{year})"
    )
    limit = f"{thousands(threshold)}{NBSP}habitants ({_basis(rule)})"
    best = operators[0] if operators else None
    if population < threshold:
        fact = f"{counted}, soit moins que la limite de {limit}."
        if best is None:
            return Outcome.ELIGIBLE_ANCT, f"{fact} L’ANCT accompagne les collectivités de ce territoire."
        if best.status == "partenaire_avec_services":
            return Outcome.ELIGIBLE_OPERATOR, f"{fact} Les services sont proposés par {best.name_with_article}."
        return Outcome.ELIGIBLE_OPERATOR_SOON, f"{fact} Les services seront bientôt proposés par {best.name_with_article}."
    exactly = ", exactement la limite" if population == threshold else ""
    fact = f"{counted}{exactly}{NBSP}: il en faut strictement moins de {limit}."
    if best is None:
        return Outcome.ABOVE_SELF_HOSTING, fact
    return Outcome.ABOVE_OPERATOR, f"{fact} {_capital(best.name_with_article)} couvre toutefois ce territoire."


def _source(subject: Subject) -> str:
    source = _SOURCES.get(subject.kind, _COG)
    if subject.kind in _SOURCES and subject.population_year:
        return f"{source}, {subject.population_year}"
    return source


def _basis(rule: Rule) -> str:
    return f"{rule.basis[:1].lower()}{rule.basis[1:]}, publiée le {day(rule.effective_from)}"


def of(name: str) -> str:
    """Put « de » before a name, with what the article or the first letter makes of it (« du Mans », « d’Arles »)."""
    for article, contracted in (("Le ", "du "), ("Les ", "des ")):
        if name.startswith(article):
            return contracted + name.removeprefix(article)
    first = unicodedata.normalize("NFKD", name[:1].casefold())[:1]
    elided = first in "aeiouœæ" or (first == "y" and name[1:2] not in "aeiouéè")
    return f"d’{name}" if elided and name else f"de {name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_MONTHS = (
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()  # noqa: SIM905 - easier to read
)


def day(date: dt.date) -> str:
    """Write a date the French way (« 1er janvier 2026 »)."""
    number = "1er" if date.day == 1 else str(date.day)
    return f"{number}{NBSP}{_MONTHS[date.month - 1]} {date.year}"


def thousands(value: int) -> str:
    """Write a whole number the French way."""
    return f"{value:,}".replace(",", NARROW)
