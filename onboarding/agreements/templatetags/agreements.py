"""How the texts and their prices are written on a page."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

from onboarding.agreements import asking, markup
from suite.accounts.models import User
from suite.templatetags.suite import NARROW, NBSP

register = template.Library()


@register.filter
def euros(amount: Decimal | None) -> str:
    """Write an amount the French way: « 1 250,50 € », « 12 € »."""
    if amount is None:
        return ""
    text = f"{amount:,.2f}".removesuffix(".00").replace(",", NARROW).replace(".", ",")
    return f"{text}{NBSP}€"


@register.filter
def prose(text: str) -> SafeString:
    """Draw a text written in the subset of Markdown of `markup`, which escapes all it does not know."""
    return mark_safe(markup.html(text))  # noqa: S308 - every word of it went through html.escape


@register.inclusion_tag("agreements/parts/banner.html", takes_context=True)
def agreements_banner(context: dict[str, Any]) -> dict[str, Any]:
    """Say what the person's organizations still have to accept, and until when. Four queries, two when nothing."""
    user = context.get("user")
    return {"asked": asking.to_accept(user) if isinstance(user, User) else []}


@register.filter
def get(known: dict[Any, Any], key: object) -> object:
    """Return what a dictionary holds under a key that is a variable of the page; None when nothing."""
    return known.get(key)
