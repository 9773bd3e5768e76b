"""The exact words of a text, in one string, and their SHA-256: what an acceptance bears."""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol


class Line(Protocol):
    """What is read of a line of prices; a migration's own model has it too."""

    @property
    def payer(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def amount(self) -> Decimal: ...

    @property
    def unit(self) -> str: ...

    @property
    def note(self) -> str: ...


def exact(kind: str, title: str, body: str, prices: Iterable[Line] = ()) -> str:
    """Return all that a reader accepts, in a fixed order."""
    lines = [f"{line.payer}|{line.label}|{line.amount:.2f}|{line.unit}|{line.note}" for line in prices]
    return "\n".join([kind, title, body.replace("\r\n", "\n").strip(), *lines])


def digest(kind: str, title: str, body: str, prices: Iterable[Line] = ()) -> str:
    """Return the SHA-256 of the exact text, in hexadecimal."""
    return hashlib.sha256(exact(kind, title, body, prices).encode()).hexdigest()
