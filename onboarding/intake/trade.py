"""The settings of the requests: what each is, how it is checked, and what it is before anybody changes it."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from django.conf import settings

from onboarding.intake import reasons
from suite.trade import fields
from suite.trade.registry import Problem, Schema, register

# --- Reasons ----------------------------------------------------------------------------------------------------------

CHANGE, REJECTION = "change", "rejection"


class Reason(NamedTuple):
    """Why a dossier goes back (`kind` is "change") or is refused ("rejection"). The code is for ever."""

    code: str
    kind: str
    label: str
    text: str
    unlocks: tuple[str, ...]
    offered: bool


@cache
def default_reasons() -> tuple[Reason, ...]:
    """Return the reasons of `requests.md`, 2.2."""
    changes = [
        Reason(code, CHANGE, change.label, change.text, change.unlocks, offered=True)
        for code, change in reasons.DEFAULT_CHANGES.items()
    ]
    refusals = reasons.DEFAULT_REJECTIONS.items()
    return (*changes, *(Reason(code, REJECTION, label, "", (), offered=True) for code, label in refusals))


def load_reasons(value: object) -> tuple[Reason, ...]:
    """Read the reasons: the codes are those of the code, all of them, in its order."""
    problems: list[Problem] = []
    known = {(reason.kind, reason.code): reason for reason in default_reasons()}
    found: dict[tuple[str, str], Reason] = {}
    for row in fields.rows(value, problems):
        key = (str(row.data.get("kind")), str(row.data.get("code")))
        if key not in known or key in found:
            row.wrong("code", "Ce motif n’est pas de ceux de la liste : les codes ne changent pas.")
            continue
        unlocks = row.several_of("unlocks", reasons.FIELDS, "Choisissez des points de la demande dans la liste.")
        offered = row.flag("offered")
        if key == (CHANGE, "other"):
            unlocks, offered = (), True
        elif key[0] == REJECTION:
            unlocks = ()
        elif not unlocks:
            row.wrong("unlocks", "Choisissez au moins un point de la demande que ce motif ouvre à la correction.")
        if key == (REJECTION, "other"):
            offered = True
        label = row.text("label", longest=120, missing="Écrivez le motif, tel que la commune le lira.")
        found[key] = Reason(key[1], key[0], label, row.text("text", longest=1000), unlocks, offered)
    fields.settle(problems)
    # A reason that a later version of the code adds comes with its default.
    return tuple(found.get(key, default) for key, default in known.items())


REASONS: Schema[tuple[Reason, ...]] = register(
    Schema(
        key="reasons",
        title="Motifs de correction et de refus",
        purpose="Les mots que la commune lit quand sa demande est renvoyée ou refusée, et ce qu’elle peut corriger.",
        load=load_reasons,
        dump=lambda found: [{**reason._asdict(), "unlocks": list(reason.unlocks)} for reason in found],
        default=default_reasons,
        identity="kind code",
        labels={
            "code": "Code",
            "kind": "Usage",
            "label": "Motif",
            "text": "Explication",
            "unlocks": "Points ouverts à la correction",
            "offered": "Proposé aux instructeurs",
        },
    )
)


# --- Allocations ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Allocation:
    """What a dossier may ask without a reason: mailboxes, and storage in decimal gigabytes."""

    mailboxes: int
    storage_gb: int


def load_allocation(value: object) -> Allocation:
    """Read the standard allocation."""
    problems: list[Problem] = []
    row = fields.Row(value, None, problems)
    allocation = Allocation(row.whole("mailboxes", least=1, most=200), row.whole("storage_gb", least=1, most=10_000))
    fields.settle(problems)
    return allocation


ALLOCATION: Schema[Allocation] = register(
    Schema(
        key="allocation",
        title="Dotations",
        purpose="Ce qu’une demande obtient sans explication ; au-delà du double, deux personnes décident.",
        load=load_allocation,
        dump=asdict,
        default=lambda: Allocation(settings.INTAKE_STANDARD_MAILBOXES, settings.INTAKE_STANDARD_STORAGE_GB),
        labels={"mailboxes": "Boîtes aux lettres", "storage_gb": "Stockage (Go)"},
    )
)


# --- Delays -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delays:
    """Targets in working days, then windows in days since the last act of whoever must act."""

    take: int = 2
    decide: int = 5
    proposal: int = 5
    changes_first_reminder: int = 7
    changes_second_reminder: int = 21
    changes_expiry: int = 45
    draft_first_reminder: int = 15
    draft_second_reminder: int = 45
    draft_expiry: int = 60
    draft_purge: int = 90


_IN_ORDER = (
    ("take", "decide"),
    ("changes_first_reminder", "changes_second_reminder", "changes_expiry"),
    ("draft_first_reminder", "draft_second_reminder", "draft_expiry", "draft_purge"),
)


def load_delays(value: object) -> Delays:
    """Read the delays: a reminder comes before the end it announces."""
    problems: list[Problem] = []
    row = fields.Row(value, None, problems)
    delays = Delays(**{each.name: row.whole(each.name, least=1, most=365) for each in fields_of(Delays)})
    if not problems:
        for series in _IN_ORDER:
            for sooner, later in pairwise(series):
                if getattr(delays, sooner) >= getattr(delays, later):
                    row.wrong(later, f"Ce délai doit dépasser le précédent, de {getattr(delays, sooner)} jours.")
    fields.settle(problems)
    return delays


DELAYS: Schema[Delays] = register(
    Schema(
        key="delays",
        title="Délais",
        purpose="Les délais que nous visons, les rappels, et quand une demande sans réponse expire.",
        load=load_delays,
        dump=asdict,
        default=Delays,
        labels={
            "take": "Prise en charge (jours ouvrés)",
            "decide": "Décision (jours ouvrés)",
            "proposal": "Validité d’une proposition d’accord (jours ouvrés)",
            "changes_first_reminder": "Correction attendue : premier rappel (jours)",
            "changes_second_reminder": "Correction attendue : second rappel (jours)",
            "changes_expiry": "Correction attendue : expiration (jours)",
            "draft_first_reminder": "Brouillon : premier rappel (jours)",
            "draft_second_reminder": "Brouillon : second rappel (jours)",
            "draft_expiry": "Brouillon : expiration (jours)",
            "draft_purge": "Brouillon : effacement du contenu (jours)",
        },
    )
)


# --- Working days -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClosedDay:
    """A day that is not worked, besides week-ends and public holidays; `department` is "" everywhere in France."""

    day: dt.date
    department: str
    label: str


class ClosedDays(tuple[ClosedDay, ...]):
    """The list, and its one question."""

    __slots__ = ()

    def within(self, department: str) -> frozenset[dt.date]:
        """Return the extra closed days of a département (an INSEE code), those of the whole country included."""
        return frozenset(one.day for one in self if one.department in {"", department})


def load_closed_days(value: object) -> ClosedDays:
    """Read the list; a département is named by its INSEE code."""
    problems: list[Problem] = []
    days = []
    for row in fields.rows(value, problems):
        day = row.day("day", missing="Indiquez le jour.")
        department = row.text("department", longest=3).upper()
        if department and not re.fullmatch(r"[0-9]{2,3}|2[AB]", department):
            row.wrong("department", "Choisissez un département de la liste, ou toute la France.")
        label = row.text("label", longest=100, missing="Dites pourquoi ce jour n’est pas travaillé.")
        days.append(ClosedDay(day or dt.date.min, department, label))
    if not problems:
        fields.once(
            [(one.day.isoformat(), one.department or "*") for one in days],
            "day",
            "Ce jour est déjà dans la liste pour ce territoire.",
            problems,
        )
    fields.settle(problems)
    return ClosedDays(sorted(days, key=lambda one: (one.day, one.department)))


def dump_closed_days(days: Sequence[ClosedDay]) -> list[dict[str, Any]]:
    """Write the list as JSON."""
    return [{"day": one.day.isoformat(), "department": one.department, "label": one.label} for one in days]


CLOSED_DAYS: Schema[ClosedDays] = register(
    Schema(
        key="closed_days",
        title="Jours non travaillés",
        purpose="Les jours, en plus des fins de semaine et des jours fériés, où aucun délai ne court.",
        load=load_closed_days,
        dump=dump_closed_days,
        default=ClosedDays,
        identity="day department",
        labels={"day": "Jour", "department": "Département", "label": "Pourquoi"},
    )
)

# In the order of the page that lists them; those of another app are registered there.
PAGES = ("reasons", "reserved_names", "eligibility", "allocation", "delays", "closed_days")
