"""Names as every backend keeps them, so that `Essai.fr.` and `essai.fr` are one, and the years they are held for."""

import re
from calendar import monthrange
from datetime import datetime

from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused

_NAME_MAX = 253
# Letters, digits, hyphens; an underscore where services put it; a star for a wildcard.
_LABEL = re.compile(r"\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def normal(name: str) -> str:
    """Return a name in lower case, without final dot. `Refused("invalid_name")` for what no zone can hold."""
    lowered = name.lower().removesuffix(".")
    if len(lowered) > _NAME_MAX or not all(_LABEL.fullmatch(label) for label in lowered.split(".")):
        raise Refused("invalid_name", f"« {name[:80]} » n’est pas un nom de domaine.")
    return lowered


def normal_record(record: Record, zone: str) -> Record:
    """Return a set under its normal name, its values once each and in order, checked to belong to the zone."""
    name = normal(record.name)
    if not within(name, zone):
        raise Refused("outside_zone", f"Le nom {name} n’appartient pas à la zone {zone}.")
    if not record.values:
        raise Refused("no_value", f"L’enregistrement {record.type} de {name} n’a aucune valeur.")
    return Record(name, record.type.upper(), tuple(sorted(set(record.values))), record.ttl)


def within(name: str, zone: str) -> bool:
    """Whether a normal name is the zone's apex or below it."""
    return name == zone or name.endswith(f".{zone}")


def years_later(moment: datetime, years: int) -> datetime:
    """Return the same day some years later; the 29th of February becomes the 28th."""
    year = moment.year + years
    return moment.replace(year=year, day=min(moment.day, monthrange(year, moment.month)[1]))


def years_needed(held_until: datetime, until: datetime) -> int:
    """Return how many whole years carry the first date to the second, 0 when it is reached already."""
    years = 0
    while years_later(held_until, years) < until:
        years += 1
    return years
