"""Reads the fields of a stored row one by one, and gathers everything that is wrong in French."""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from suite.trade.registry import Invalid, Problem

MOST_ROWS = 250  # what one page can send (DATA_UPLOAD_MAX_NUMBER_FIELDS)


class Row:
    """One row being read; what is wrong goes to `problems`."""

    def __init__(self, data: object, number: int | None, problems: list[Problem]) -> None:
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        self.number = number
        self.problems = problems
        if not isinstance(data, Mapping):
            self.wrong("", "Cette ligne ne se lit pas.")

    def wrong(self, field: str, message: str) -> None:
        """Remember what is wrong."""
        self.problems.append(Problem(self.number, field, message))

    def text(self, field: str, *, longest: int, missing: str = "") -> str:
        """Return a text without blanks around it; `missing` is said when it is empty."""
        value = self.data.get(field, "")
        text = value.strip() if isinstance(value, str) else ""
        if not isinstance(value, str) or "\x00" in value:
            self.wrong(field, "Ce texte ne se lit pas.")
        elif not text and missing:
            self.wrong(field, missing)
        elif len(text) > longest:
            self.wrong(field, f"Ce texte est trop long : {longest} caractères au plus, il en compte {len(text)}.")
        return text

    def whole(self, field: str, *, least: int, most: int) -> int:
        """Return a whole number between two bounds, included."""
        value = self.data.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.wrong(field, f"Indiquez un nombre entier entre {least} et {most}.")
            return least
        return value

    def day(self, field: str, *, missing: str = "") -> dt.date | None:
        """Return a day, None when there is none; `missing` is said when there must be one."""
        value = self.data.get(field)
        if not value:
            if missing:
                self.wrong(field, missing)
            return None
        try:
            return dt.date.fromisoformat(str(value))
        except ValueError:
            self.wrong(field, "Indiquez une date, par exemple 31/12/2026.")
            return None

    def one_of(self, field: str, choices: Collection[str], message: str) -> str:
        """Return one of the choices."""
        value = self.data.get(field)
        if not isinstance(value, str) or value not in choices:
            self.wrong(field, message)
            return ""
        return value

    def several_of(self, field: str, choices: Collection[str], message: str) -> tuple[str, ...]:
        """Return some of the choices, each once."""
        value = self.data.get(field, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one in choices for one in value):
            self.wrong(field, message)
            return ()
        return tuple(dict.fromkeys(value))

    def flag(self, field: str) -> bool:
        """Return yes or no."""
        return self.data.get(field) is True


def rows(value: object, problems: list[Problem]) -> Iterator[Row]:
    """Yield the rows of a list."""
    if not isinstance(value, list):
        raise Invalid([Problem(None, "", "Cette liste ne se lit pas.")])
    if len(value) > MOST_ROWS:
        raise Invalid([Problem(None, "", f"La liste compte {len(value)} lignes : {MOST_ROWS} au plus.")])
    for number, data in enumerate(value):
        yield Row(data, number, problems)


def once(names: Iterable[tuple[str, ...]], field: str, message: str, problems: list[Problem]) -> None:
    """Say of each row whose name another row before it bears that it is there twice."""
    seen: set[tuple[str, ...]] = set()
    for number, name in enumerate(names):
        if name in seen and any(name):
            problems.append(Problem(number, field, message))
        seen.add(name)


def settle(problems: list[Problem]) -> None:
    """Raise `Invalid` if anything was wrong."""
    if problems:
        raise Invalid(problems)
