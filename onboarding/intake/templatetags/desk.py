"""The lists of the desk's filters: hundreds of options, the same at each page but for the one that is chosen."""

from collections.abc import Iterable
from functools import lru_cache

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def options(choices: Iterable[tuple[str, object]], value: str | None = "") -> SafeString:
    """Write the options of a list from (code, label) pairs, the one of this code selected."""
    written = _written(tuple((code, str(said)) for code, said in choices))
    if value:
        opening = f'<option value="{escape(value)}"'
        written = written.replace(f"{opening}>", f"{opening} selected>", 1)
    return mark_safe(written)  # noqa: S308 - codes and labels are escaped where they are written


@lru_cache(maxsize=64)
def _written(choices: tuple[tuple[str, str], ...]) -> str:
    return "".join(f'<option value="{escape(code)}">{escape(said)}</option>' for code, said in choices)
