"""The settings that exist: a key, the type of its value, how it is written and checked, and what it is by default.

The app that reads a setting registers its schema, with a default from its own code: an empty database works.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar, cast

T = TypeVar("T")


class Problem(NamedTuple):
    """What is wrong in a value: the row (from 0; None when it has none), the field, and a French sentence."""

    row: int | None
    field: str
    message: str


class Invalid(Exception):
    """A value that cannot be kept, and all the reasons why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Schema(Generic[T]):
    """One setting. `load` reads what is stored (JSON) and raises `Invalid`; `dump` is its inverse.

    A value is a mapping of fields, or a list of such rows, which `identity` names. `labels` are the fields in French.
    """

    key: str
    title: str
    purpose: str
    load: Callable[[Any], T]
    dump: Callable[[T], Any]
    default: Callable[[], T]
    identity: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def current(self) -> T:
        """Return the value in force."""
        from suite.trade.reading import current  # noqa: PLC0415 - needs the models

        return cast("T", current(self.key))


SCHEMAS: dict[str, Schema[Any]] = {}


def register(schema: Schema[T]) -> Schema[T]:
    """Make a setting exist."""
    if schema.key in SCHEMAS:
        raise ValueError(f"Two settings are called {schema.key}.")
    SCHEMAS[schema.key] = schema
    return schema


def of(key: str) -> Schema[Any]:
    """Return a schema. KeyError when no such setting exists."""
    return SCHEMAS[key]
