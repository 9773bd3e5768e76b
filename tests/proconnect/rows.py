"""What a row of the matrix is (`proconnect.md` 6): its number stands in the name of its test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

REFUSE, ACCEPT = "refuse", "accept"


@dataclass(frozen=True)
class Row:
    """A row, or one of its cases. `library` is False where the library as shipped has nothing to be judged on."""

    number: str
    expected: str
    title: str
    library: bool = True


@dataclass(frozen=True)
class Verdict:
    """What a provider made of a row."""

    number: str
    title: str
    expected: str
    provider: str
    got: str
    passed: bool
    library: bool = True


def row(number: str, expected: str, title: str, *, library: bool = True) -> Callable[[Test], Test]:
    """Say which row a test is: "9", or "52b" for a case that the matrix names."""

    def name(test: Test) -> Test:
        assert test.__name__.startswith(f"test_row_{number.rjust(2 if number.isdigit() else 3, '0')}_"), test.__name__
        test.row = Row(number, expected, title, library)  # type: ignore[attr-defined]  # read by conftest.py
        return test

    return name
