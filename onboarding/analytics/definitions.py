"""What is measured of a month, and how: each figure is a pure function of the stories of one scope.

A change of meaning is a new `VERSION`: months are then published anew under it, beside what was published before.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import ceil
from typing import NamedTuple

from onboarding.analytics.months import bounds
from onboarding.analytics.stories import Service, Story, Told, by_scope
from onboarding.intake import reasons

VERSION = 1
REASON = "reason."
FOUR_PLACES = Decimal("0.0001")


class Unit(StrEnum):
    """What a value counts."""

    COUNT = "count"
    DAYS = "days"
    HOURS = "hours"
    ROUNDS = "rounds"
    SHARE = "share"


class Measure(NamedTuple):
    """One value; `n` is how many dossiers, decisions or services it is about. None: nothing to measure."""

    value: Decimal | None
    n: int


@dataclass(frozen=True)
class Metric:
    """A figure, as it is named and defined on the page."""

    code: str
    label: str
    unit: Unit


@dataclass(frozen=True)
class Group:
    """What is drawn and tabulated together, under the sentences that define it."""

    code: str
    label: str
    unit: str
    metrics: tuple[Metric, ...]
    says: tuple[str, ...]


GROUPS = (
    Group(
        "volumes",
        "Demandes et décisions",
        "par mois",
        (
            Metric("requests", "Demandes reçues", Unit.COUNT),
            Metric("decisions", "Décisions", Unit.COUNT),
            Metric("approvals", "Acceptations", Unit.COUNT),
            Metric("backlog", "Encore en cours", Unit.COUNT),
            Metric("services", "Services ouverts", Unit.COUNT),
        ),
        (
            (
                "Une demande compte une fois, au mois de sa première transmission : ni les brouillons, ni les "
                "corrections transmises ensuite ne comptent."
            ),
            "Une décision est la première acceptation ou le premier refus d’une demande.",
            (
                "Est encore en cours, à la fin du mois, une demande transmise ou rouverte qui n’est ni acceptée, ni "
                "refusée, ni retirée, ni expirée."
            ),
            (
                "Un service est ouvert quand tout ce qui était demandé a été vu en état de marche, pour la première "
                "fois ; un service ouvert sans l’un de ses éléments n’est pas compté."
            ),
        ),
    ),
    Group(
        "delays",
        "Délai jusqu’à la décision",
        "jours ouvrés",
        (
            Metric("decision_gross_median", "Brut, médiane", Unit.DAYS),
            Metric("decision_gross_p90", "Brut, neuf sur dix", Unit.DAYS),
            Metric("decision_net_median", "Net, médiane", Unit.DAYS),
            Metric("decision_net_p90", "Net, neuf sur dix", Unit.DAYS),
        ),
        (
            "Jours ouvrés du département, de la première transmission à la première décision, au mois de la décision.",
            "Le délai net ne compte pas le temps passé à attendre les corrections de la commune.",
            "Médiane : une décision sur deux a pris ce temps ou moins ; neuf sur dix : 90 % d’entre elles.",
        ),
    ),
    Group(
        "quality",
        "Qualité de l’instruction",
        "pour cent",
        (
            Metric("first_time_right", "Sans correction", Unit.SHARE),
            Metric("late", "En retard", Unit.SHARE),
            Metric("override", "Par dérogation", Unit.SHARE),
        ),
        (
            ("Sans correction : part des acceptations du mois avant lesquelles rien n’a été demandé à la commune."),
            (
                "En retard : part des décisions du mois prises après l’échéance de cinq jours ouvrés, le temps de la "
                "commune n’étant pas compté."
            ),
            (
                "Par dérogation : part des acceptations du mois décidées à deux malgré une éligibilité ou une "
                "habilitation non établie."
            ),
        ),
    ),
    Group(
        "rounds",
        "Corrections demandées avant la décision",
        "demandes de corrections",
        (
            Metric("rounds_median", "Médiane", Unit.ROUNDS),
            Metric("rounds_p90", "Neuf sur dix", Unit.ROUNDS),
        ),
        ("Combien de fois la commune a dû corriger sa demande avant la décision, au mois de la décision.",),
    ),
    Group(
        "service",
        "De l’acceptation au service",
        "heures",
        (
            Metric("service_median", "Délai, médiane", Unit.HOURS),
            Metric("service_p90", "Délai, neuf sur dix", Unit.HOURS),
        ),
        ("Heures entamées de l’acceptation à l’ouverture du service, au mois de l’ouverture.",),
    ),
)
METRICS = {metric.code: metric for group in GROUPS for metric in group.metrics}
# Their sum over the territories, or over the operators, is the national figure.
ADDED_UP = frozenset({"requests", "decisions", "approvals", "backlog", "services"})


def compute(told: Told, month: dt.date) -> dict[tuple[str, str], Measure]:
    """Return every figure of the month by (scope, metric); a scope is there from its first request on."""
    start, end = bounds(month)
    found = {}
    for scope, (stories, services) in by_scope(told).items():
        there = [story for story in stories if story.sent < end]
        open_ = [service for service in services if start <= service.completed < end]
        if not there and not open_ and scope != "national":
            continue
        for code, measure in _measure(there, open_, start, end):
            found[scope, code] = measure
    return found


def _measure(
    stories: Collection[Story], services: Collection[Service], start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[str, Measure]]:
    decided = [story for story in stories if story.decided and start <= story.decided < end]
    accepted = [story for story in decided if story.accepted]
    yield "requests", _count(story.sent >= start for story in stories)
    yield "decisions", _count(True for _ in decided)
    yield "approvals", _count(True for _ in accepted)
    backlog = sum(step for story in stories for at, step in story.flow if at < end)
    yield "backlog", Measure(Decimal(backlog), max(0, backlog))
    yield from _half_and_most("decision_gross", [story.gross for story in decided])
    yield from _half_and_most("decision_net", [story.net for story in decided])
    yield from _half_and_most("rounds", [story.rounds for story in decided])
    yield "first_time_right", _share(story.rounds == 0 for story in accepted)
    yield "late", _share(story.late for story in decided)
    yield "override", _share(story.overridden for story in accepted)
    yield "services", _count(True for _ in services)
    yield from _half_and_most("service", [_hours(service.completed - service.started) for service in services])
    given = Counter(
        f"{REASON}{one.kind}.{code}"
        for story in stories
        for one in story.given
        if start <= one.at < end
        for code in one.codes
    )
    for code, count in sorted(given.items()):
        yield code, Measure(Decimal(count), count)


def _count(which: Iterable[bool]) -> Measure:
    count = sum(which)
    return Measure(Decimal(count), count)


def _share(which: Iterable[bool]) -> Measure:
    said = list(which)
    return Measure((Decimal(sum(said)) / len(said)).quantize(FOUR_PLACES) if said else None, len(said))


def _half_and_most(code: str, values: Collection[int]) -> Iterator[tuple[str, Measure]]:
    """Yield the median and the ninth decile, each a value that occurred: that of the nearest rank."""
    ordered = sorted(values)
    for name, share in (("median", 5), ("p90", 9)):
        # Whole tenths: 0.9 times ten is not nine in floating point.
        value = Decimal(ordered[ceil(share * len(ordered) / 10) - 1]) if ordered else None
        yield f"{code}_{name}", Measure(value, len(ordered))


def _hours(time: dt.timedelta) -> int:
    return max(0, ceil(time / dt.timedelta(hours=1)))


def reason_label(code: str) -> str:
    """Return the words of a reason's figure, and at which decision it was given."""
    kind, _, reason = code.removeprefix(REASON).partition(".")
    if kind == "reject":
        return f"Refus : {reasons.REJECTIONS.get(reason, reason)}"
    return f"Corrections : {reasons.label(reason)}"
