"""Names kept from the public: dated entries with their reason and source, read by one function.

A pattern is a label where `*` stands for any run of characters, even none, and `#` for one digit.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data" / "reserved_names.json"
PATTERN = re.compile(r"[a-z0-9_*#-]{1,63}")
LEVELS = ("block", "review")


class Entry(NamedTuple):
    """One reserved pattern. `level` is "block" (never given) or "review" (two people decide); dates are inclusive."""

    pattern: str
    reason: str
    level: str
    source: str
    since: dt.date | None = None
    until: dt.date | None = None

    def holds(self, label: str, day: dt.date) -> bool:
        """Whether the entry speaks of this label on this day."""
        if (self.since and day < self.since) or (self.until and day > self.until):
            return False
        return _compiled(self.pattern).fullmatch(label) is not None


class Reserved(NamedTuple):
    """Why a label is kept from the public; `blocked` is never given, otherwise two people decide."""

    blocked: bool
    reason: str
    source: str = ""


def reserved(label: str, extra: Iterable[Entry] = (), *, day: dt.date | None = None) -> Reserved | None:
    """Return why a label is reserved, None when it is not; a block wins over a review.

    `extra` are entries kept elsewhere (those that lead operators edit), read beside the shipped ones.
    """
    on = day or dt.datetime.now(tz=dt.UTC).date()
    found = [entry for entry in (*entries(), *extra) if entry.holds(label, on)]
    if not found:
        return None
    first = min(found, key=lambda entry: entry.level != "block")
    return Reserved(first.level == "block", first.reason, first.source)


@cache
def entries() -> tuple[Entry, ...]:
    """Return the shipped entries. Raises ValueError for one that is malformed: the product does not start with it."""
    rows = json.loads(DATA.read_text())["entries"]
    read = tuple(Entry(**{**row, "since": _day(row["since"]), "until": _day(row["until"])}) for row in rows)
    for entry in read:
        if not PATTERN.fullmatch(entry.pattern) or entry.level not in LEVELS or not entry.reason or not entry.source:
            raise ValueError(f"Reserved name {entry.pattern!r}: malformed entry.")
    return read


def _day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # `*` next to `*` says no more than one of them: no pattern of ours can be slow to judge.
    parts = {"*": "[a-z0-9_-]*", "#": "[0-9]"}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", pattern)))
