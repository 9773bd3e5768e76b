"""The few template helpers every page may use."""

from collections.abc import Sized
from datetime import date, datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format

from suite.catalog.models import GB

register = template.Library()

NARROW = "\u202f"
NBSP = "\u00a0"


@register.filter
def thousands(value: int | None) -> str:
    """Write a whole number the French way: groups of three, a narrow no-break space between; "" for nothing."""
    return "" if value is None else f"{value:,}".replace(",", NARROW)


@register.filter
def gigabytes(value: int | None) -> str:
    """Write bytes as decimal gigabytes (« 10 Go »); "" for nothing."""
    if value is None:
        return ""
    amount = value / GB
    text = f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.1f}"
    return text.replace(",", NARROW).replace(".", ",") + NBSP + "Go"


@register.filter
def day(value: date | None) -> str:
    """Write a date the French way (« 1er septembre 2025 »), a moment as its day in Paris; "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = timezone.localdate(value)
    number = "1er" if value.day == 1 else str(value.day)
    return f"{number}{NBSP}{date_format(value, 'F Y')}"


@register.filter
def pluralize(value: object, endings: str = "s") -> str:
    """Write the ending of a French plural, which starts at two: « 0 demande », « 2 demandes ».

    Takes the place of Django's filter, whose plural is English. `value` is a number or something with a length;
    `endings` is the plural's ("s"), or the singular's and the plural's ("al,aux").
    """
    singular, _, plural = endings.rpartition(",")
    count = value if isinstance(value, int | float) else len(value) if isinstance(value, Sized) else 0
    return plural if abs(count) >= 2 else singular  # noqa: PLR2004 - the rule itself
