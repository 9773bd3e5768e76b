"""The records that dimail and Messages want published, as both write them: read into a `MailSpec`; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from onboarding.provisioning.backends.addresses import checked_domain
from onboarding.provisioning.backends.protocols import MailSpec
from onboarding.provisioning.backends.provider_http import bad_answer
from onboarding.provisioning.errors import Refused


def _record(item: Mapping[str, Any]) -> tuple[str, str, str]:
    try:
        target, kind, value = (str(item[key]).strip() for key in ("target", "type", "value"))
    except KeyError:
        raise bad_answer() from None
    return target.lower().rstrip("."), kind.upper(), value


def spec_of(domain: str, items: Iterable[Mapping[str, Any]]) -> MailSpec | None:
    """Read `{target, type, value}` items; None while there is no key. `Unavailable` when they make no sense."""
    mx: list[tuple[int, str]] = []
    aliases: list[tuple[str, str]] = []
    spf = selector = dkim = ""
    for target, kind, value in map(_record, items):
        label = "" if target in {"", "@", domain} else target.removesuffix(f".{domain}")
        if kind == "MX" and not label:
            words = value.split()
            preference = int(words[0]) if len(words) > 1 and words[0].isdigit() else 10
            mx.append((preference, _host(words[-1] if words else "")))
        elif kind == "CNAME" and label:
            aliases.append((label, _host(value)))
        elif kind == "TXT" and label.endswith("._domainkey"):
            selector, dkim = label.removesuffix("._domainkey"), value
        elif kind == "TXT" and not label and value.lower().startswith("v=spf1 "):
            spf = " ".join(term for term in value.split()[1:] if not term.lower().endswith("all"))
    if not mx or not spf:
        raise bad_answer()
    return MailSpec(tuple(sorted(mx)), spf, selector, dkim, tuple(sorted(aliases))) if selector and dkim else None


def _host(name: str) -> str:
    try:
        return f"{checked_domain(name)}."
    except Refused:
        raise bad_answer() from None
