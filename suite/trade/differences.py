"""What changed between two values of a setting, in words a person reads. Pure: JSON in, lines out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from suite.trade.registry import Schema

ABSENT = "(rien)"


class Line(NamedTuple):
    """One difference: of which row, of which field, and what it was and is."""

    row: str
    field: str
    before: str
    after: str


def between(schema: Schema[Any], before: object, after: object) -> list[Line]:
    """Return the differences, in the order of what is there now, then what is gone."""
    old, new = _rows(schema, before), _rows(schema, after)
    lines: list[Line] = []
    for name, row in new.items():
        if name not in old:
            lines.append(Line(name, "Ligne ajoutée", ABSENT, _told(schema, row)))
            continue
        lines += [
            Line(name, schema.labels.get(key, key), shown(old[name].get(key)), shown(value))
            for key, value in row.items()
            if old[name].get(key) != value
        ]
    lines += [Line(name, "Ligne retirée", _told(schema, row), ABSENT) for name, row in old.items() if name not in new]
    return lines


def shown(value: object) -> str:
    """Write a stored value for a reader."""
    if value is None or value in ("", []):
        return ABSENT
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _rows(schema: Schema[Any], value: object) -> dict[str, Mapping[str, Any]]:
    if isinstance(value, Mapping):
        return {"": value}
    if not isinstance(value, list):
        return {}
    named: dict[str, Mapping[str, Any]] = {}
    for row in value:
        name = " ".join(shown(row.get(key)) for key in schema.identity.split() if row.get(key)) or "Toujours"
        named[name] = row
    return named


def _told(schema: Schema[Any], row: Mapping[str, Any]) -> str:
    return " ; ".join(
        f"{schema.labels.get(key, key)}\u00a0: {shown(value)}"
        for key, value in row.items()
        if key not in schema.identity.split() and value not in ("", None, [])
    )
