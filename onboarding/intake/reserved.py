"""The names kept from the public (`requests.md`, 4): a setting of the trade, and what it is before any change."""

import datetime as dt
import json
import re
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from django.utils import timezone

from suite.trade import fields
from suite.trade.registry import Problem, Schema, register

DATA = Path(__file__).parent / "data" / "reserved_names.json"
BLOCK, REVIEW = "block", "review"
_PATTERN = re.compile(r"[a-z0-9_*#-]{1,63}")


@dataclass(frozen=True)
class ReservedName:
    """A pattern of label kept from the public: `*` stands for any run of characters, `#` for one digit.

    `decision` is "block" (never given) or "review" (two people decide).
    """

    pattern: str
    decision: str
    reason: str
    source: str
    since: dt.date | None = None
    until: dt.date | None = None

    @property
    def blocked(self) -> bool:
        """Whether the name is never given."""
        return self.decision == BLOCK

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Return the pattern as an expression; the runs exclude nothing and never nest, so it cannot blow up."""
        pieces = {"*": ".*", "#": "[0-9]"}
        return re.compile("".join(pieces.get(one, re.escape(one)) for one in re.sub(r"\*+", "*", self.pattern)))

    def applies(self, on: dt.date) -> bool:
        """Whether the entry is in force that day."""
        return (self.since is None or self.since <= on) and (self.until is None or on <= self.until)


class ReservedNames(tuple[ReservedName, ...]):
    """The list, and its one question."""

    __slots__ = ()

    def match(self, label: str, on: dt.date | None = None) -> ReservedName | None:
        """Return the entry that keeps a normalised label from the public, the strictest first; None when it is free."""
        day = on or timezone.localdate()
        found = [one for one in self if one.regex.fullmatch(label) and one.applies(day)]
        return min(found, key=lambda one: not one.blocked, default=None)


@cache
def default_reserved() -> ReservedNames:
    """Return the names of `requests.md`, 4, as shipped. Raises Invalid for a malformed entry."""
    rows = json.loads(DATA.read_text())["entries"]
    return load_reserved([{**row, "decision": row["level"]} for row in rows])


def load_reserved(value: object) -> ReservedNames:
    """Read the list."""
    problems: list[Problem] = []
    names = []
    for row in fields.rows(value, problems):
        pattern = row.text("pattern", longest=63, missing="Écrivez le nom ou le modèle réservé.").lower()
        if pattern and not _PATTERN.fullmatch(pattern):
            row.wrong(
                "pattern",
                "Un modèle n’a que des lettres sans accent, des chiffres, « - », « _ », « * » (n’importe quoi) "
                "et « # » (un chiffre).",
            )
        elif pattern and not re.search(r"[a-z0-9_]", pattern) and "#" not in pattern:
            row.wrong("pattern", "Ce modèle réserverait tous les noms : ajoutez-y des lettres.")
        elif pattern.count("*") > 3:  # noqa: PLR2004 - as many as a person can mean
            row.wrong("pattern", "Trois « * » au plus dans un modèle.")
        since, until = row.day("since"), row.day("until")
        if since and until and until < since:
            row.wrong("until", "La fin vient avant le début : corrigez l’une des deux dates.")
        names.append(
            ReservedName(
                pattern,
                row.one_of("decision", {BLOCK, REVIEW}, "Choisissez entre « jamais attribué » et « à deux »."),
                row.text("reason", longest=200, missing="Dites pourquoi, tel que le demandeur le lira."),
                row.text("source", longest=200, missing="Dites d’où vient cette réserve : texte, décision, usage."),
                since,
                until,
            )
        )
    fields.once([(name.pattern,) for name in names], "pattern", "Ce modèle est déjà dans la liste.", problems)
    fields.settle(problems)
    return ReservedNames(names)


RESERVED: Schema[ReservedNames] = register(
    Schema(
        key="reserved_names",
        title="Noms réservés",
        purpose="Les noms de domaine qu’une collectivité ne peut pas demander, ou que deux personnes relisent.",
        load=load_reserved,
        dump=lambda names: [{**asdict(name), "since": _iso(name.since), "until": _iso(name.until)} for name in names],
        default=default_reserved,
        identity="pattern",
        labels={
            "pattern": "Nom ou modèle",
            "decision": "Décision",
            "reason": "Motif montré au demandeur",
            "source": "Source",
            "since": "À partir du",
            "until": "Jusqu’au",
        },
    )
)


def _iso(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None
