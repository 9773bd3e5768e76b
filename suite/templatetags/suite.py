"""The few template helpers every page may use."""

from django import template

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
