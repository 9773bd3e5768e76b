"""What an SPF record leads to (RFC 7208). Pure: it says which look-ups it lacks, and judges when it lacks none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from onboarding.audits.facts import Lookup

LOOKUPS_MAX, VOIDS_MAX, DEPTH_MAX = 10, 2, 10

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?::(?P<domain>[^/\s]+))?(?P<prefix>(?:/\d{1,3})?(?://\d{1,3})?)"
    r"|(?P<modifier>[a-z][a-z0-9_.-]*)=(?P<value>\S*)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[+?~-]?ip[46]:[0-9a-f:.]+(/\d{1,3})?", re.IGNORECASE)
_ASKING = frozenset({"include", "a", "mx", "ptr", "exists"})


@dataclass
class Walk:
    """What was met from a record on. `missing` lists the (name, type) to look up before walking again.

    `error`, when not empty: `syntax`, `duplicate`, `loop`, `depth`, `include_missing`, `unknown:<detail>`.
    `terms` counts those that cost a DNS question, `voids` the questions without answer.
    """

    missing: list[tuple[str, str]] = field(default_factory=list)
    terms: int = 0
    voids: int = 0
    error: str = ""
    end: str = ""  # the final `all` as written, that of a `redirect` included; empty without one
    ptr: bool = False

    def fail(self, error: str) -> None:
        """Keep the first error."""
        self.error = self.error or error


def records(lookup: Lookup) -> list[str]:
    """Return the texts that are SPF records."""
    return [value for value in lookup.values if value.lower().split(" ")[0] == "v=spf1"]


def walk(domain: str, known: Mapping[tuple[str, str], Lookup]) -> Walk:
    """Follow the record of a domain through its includes and redirection."""
    result = Walk()
    result.end = _follow(domain.lower(), known, result, ())
    return result


def _follow(domain: str, known: Mapping[tuple[str, str], Lookup], result: Walk, path: tuple[str, ...]) -> str:
    """Read the record of one name and what it leads to; return the `all` that ends it."""
    text = _record(domain, known, result, path)
    if text is None:
        return ""
    end, redirect = "", ""
    for name, value in _terms(text):
        if name == "?":
            result.fail("syntax")
        elif name == "redirect":
            redirect = value
        elif name == "all":
            end = end or value
        elif not end:  # what follows `all` is never read
            _mechanism(name, value or domain, known, result, (*path, domain))
    if redirect and not end:  # `all` makes it void
        result.terms += 1
        return _follow(redirect, known, result, (*path, domain))
    return end


@lru_cache(maxsize=16_384)
def _terms(record: str) -> tuple[tuple[str, str], ...]:
    """Return the terms that count: (mechanism or `redirect`, name), (`all`, as written), (`?`, "") for no term."""
    found = []
    for word in record.split()[1:]:
        term = _ADDRESS.fullmatch(word) or _TERM.fullmatch(word)
        parts = term.groupdict() if term else {}
        name = (parts.get("name") or parts.get("modifier") or "").lower()
        if term is None:
            found.append(("?", ""))
        elif name == "all":
            found.append((name, word.lower()))
        elif name == "redirect" or name in _ASKING:
            found.append((name, (parts["value"] or parts["domain"] or "").lower().rstrip(".")))
    return tuple(found)


def _record(domain: str, known: Mapping[tuple[str, str], Lookup], result: Walk, path: tuple[str, ...]) -> str | None:
    """Return the one record of a name, or note why there is none."""
    lookup = known.get((domain, "TXT"))
    if domain in path:
        result.fail("loop")
    elif len(path) > DEPTH_MAX:
        result.fail("depth")
    elif lookup is None:
        result.missing.append((domain, "TXT"))
    elif lookup.outcome == "unknown":
        result.fail(f"unknown:{lookup.detail}")
    else:
        found = records(lookup)
        if len(found) == 1:
            return found[0]
        result.voids += bool(path) and lookup.outcome == "none"
        result.fail("duplicate" if found else "include_missing")
    return None


def _mechanism(
    name: str, domain: str, known: Mapping[tuple[str, str], Lookup], result: Walk, path: tuple[str, ...]
) -> None:
    result.terms += 1
    if name == "ptr":
        result.ptr = True
        return
    # What depends on the sender cannot be asked; beyond the limit the record is wrong whatever it says.
    if "%" in domain or result.terms > LOOKUPS_MAX:
        return
    if name == "include":
        _follow(domain, known, result, path)
        return
    lookup = known.get((domain, "MX" if name == "mx" else "A"))
    if lookup is None:
        result.missing.append((domain, "MX" if name == "mx" else "A"))
    elif lookup.outcome == "none":
        result.voids += 1
