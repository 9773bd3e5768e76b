"""From what somebody typed to a collectivité, and from a collectivité to its verdict: the edge around the pure rule."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from suite.directory import eligibility
from suite.directory.eligibility import NBSP, Covering, Rule, Subject, Verdict
from suite.directory.folding import fold, fold_epci, nature_named
from suite.directory.identifiers import is_insee, is_siren, is_siret
from suite.directory.models import Name, Operator, Organization
from suite.directory.thresholds import THRESHOLDS

LONGEST = 200
_RELATED = ("organization__department", "organization__epci", "organization__successor")


@dataclass(frozen=True, slots=True)
class Match:
    """What a text designates: an organization, or (`past`) a name of the past that `organization` answers for."""

    organization: Organization
    past: Name | None = None
    note: str = ""

    @property
    def code(self) -> str:
        return self.past.code if self.past else self.organization.code

    @property
    def name(self) -> str:
        if self.past is None:
            return self.organization.name
        return self.past.name or f"Ancienne commune {self.past.code}"


def compact(text: str) -> str:
    """Return a code without the blanks people put in it (« 217 500 016 »), in upper case."""
    return "".join(text.split()).upper()


def looks_like_a_number(text: str) -> bool:
    """Tell whether the text can only be meant as a SIREN, a SIRET or an INSEE code, right or wrong."""
    code = compact(text)
    return is_insee(code) or (code.isascii() and code.isdigit())


def find(text: str) -> list[Match]:
    """Resolve an INSEE code, a SIREN, a SIRET or an exact name: none, one, or several homonyms. At most two queries."""
    if len(text) > LONGEST or "\x00" in text:
        return []
    code = compact(text)
    if looks_like_a_number(text):
        return by_code(code)
    return _by_name(text)


def by_code(code: str) -> list[Match]:
    """Resolve a code without blanks; today's collectivité before the one of the past that bears the same code."""
    if is_siret(code):
        return [Match(match.organization, match.past, _establishment(code)) for match in by_code(code[:9])]
    if is_siren(code):
        found = _organizations().filter(Q(siren=code) | Q(kind=Organization.Kind.EPCI, code=code))[:1]
        return [Match(organization) for organization in found]
    if not is_insee(code):
        return []
    commune = _organizations().filter(kind=Organization.Kind.COMMUNE, code=code).first()
    if commune is not None and commune.closed_on is None:
        return [Match(commune)]
    past = Name.objects.filter(code=code).exclude(kind=Name.Kind.CURRENT).select_related(*_RELATED).first()
    if past is not None:
        return [Match(past.organization, past)]
    return [Match(commune)] if commune is not None else []


def _establishment(siret: str) -> str:
    """Say, from its number alone, when a SIRET is not that of the first establishment (usually the seat)."""
    if siret[9:13] == "0001":
        return ""
    return (
        f"Ce SIRET est celui d’un établissement secondaire{NBSP}: "
        "la demande se fait au nom de la collectivité dont il dépend."
    )


def _organizations() -> QuerySet[Organization]:
    return Organization.objects.select_related("department", "epci", "successor")


def _by_name(text: str) -> list[Match]:
    folded = fold(text)
    if not folded:
        return []
    nature = nature_named(text)
    wanted = [fold_epci(text)] if nature else [folded]
    names = list(
        Name.objects.filter(folded__in=wanted)
        .select_related(*_RELATED)
        .order_by("organization__department_id", "organization__code", "code")
    )
    if nature:
        names = [name for name in names if name.organization.nature == nature]
    # The first sort that has any answers: today's communes, today's EPCI, then what is past.
    for sort in range(3):
        level = [name for name in names if _sort(name) == sort]
        if level:
            exact = [name for name in level if _plain(name.name) == _plain(text)]
            return [_match(name) for name in (exact or level)]
    return []


def _sort(name: Name) -> int:
    if name.kind != Name.Kind.CURRENT or name.organization.closed_on is not None:
        return 2
    return 0 if name.organization.kind == Organization.Kind.COMMUNE else 1


def _match(name: Name) -> Match:
    return Match(name.organization, None if name.kind == Name.Kind.CURRENT else name)


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).casefold()


# --- Verdicts ---------------------------------------------------------------------------------------------------------


def covering(organization: Organization) -> list[Operator]:
    """Return the operators that serve a département of the organization, the best first; never the national one."""
    operators = {str(operator.pk): operator for operator in _covering(organization)}
    return [operators[it.id] for it in eligibility.in_order(_seen(operators.values()))]


def verdict_of(organization: Organization, *, on: dt.date | None = None) -> Verdict:
    """Judge an organization by the rule in force (today's, or that of the day `on`). One query, for the operators."""
    return eligibility.judge(_subject(organization, _seen(_covering(organization))), current_rule(on))


def verdict_of_match(match: Match, *, on: dt.date | None = None) -> Verdict:
    """Judge what a text designates: a name of the past is sent to the commune that answers for it."""
    if match.past is None:
        return verdict_of(match.organization, on=on)
    subject = Subject(name=match.name, past=match.past.kind, parent=match.organization.name)
    return eligibility.judge(subject, current_rule(on))


def current_rule(on: dt.date | None = None) -> Rule:
    """Return the rule in force: the thresholds that the lead operators keep."""
    return eligibility.rule_on(on or timezone.localdate(), THRESHOLDS.current())


def _subject(organization: Organization, operators: Iterable[Covering]) -> Subject:
    return Subject(
        name=organization.name,
        kind=organization.kind,
        nature=organization.nature,
        zone=organization.zone,
        siren=organization.siren,
        population=organization.population,
        population_year=organization.population_year,
        successor=organization.successor.name if organization.successor else "",
        closed_on=organization.closed_on,
        operators=tuple(operators),
    )


def _covering(organization: Organization) -> Iterable[Operator]:
    """Read once for one loaded organization: a page judges it, then says who would serve it."""
    known: dict[str, list[Operator]] = organization.__dict__.setdefault("_read", {})
    if "covering" not in known:
        known["covering"] = list(_read_covering(organization))
    return known["covering"]


def _read_covering(organization: Organization) -> Iterable[Operator]:
    member = Operator.organizations.through.objects.filter(organization_id=organization.pk).values("operator_id")
    return (
        Operator.objects.filter(national=False, departments__overlap=organization.departments)
        .exclude(status="")
        .annotate(member=Q(pk__in=member))
    )


def _seen(operators: Iterable[Operator]) -> list[Covering]:
    return [
        Covering(
            id=str(operator.pk),
            name=operator.name,
            name_with_article=operator.name_with_article,
            status=operator.status,
            departments=len(operator.departments),
            member=bool(getattr(operator, "member", False)),
        )
        for operator in operators
    ]
