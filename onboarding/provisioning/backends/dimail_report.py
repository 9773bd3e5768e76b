"""dimail's own report on a domain (services.md, 5.1), read into what it says; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


@dataclass(frozen=True)
class Check:
    """One check: ours to mend (`internal`) or the commune's; `errors` are (code, French sentence)."""

    name: str
    ok: bool
    internal: bool
    errors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Report:
    """All the checks, known to us or not; `ok` only when the domain and each check are."""

    ok: bool
    checks: tuple[Check, ...]

    @property
    def outside(self) -> tuple[Check, ...]:
        """What the commune has to publish or mend."""
        return tuple(check for check in self.checks if not check.ok and not check.internal)

    @property
    def inside(self) -> tuple[Check, ...]:
        """What dimail has to mend."""
        return tuple(check for check in self.checks if not check.ok and check.internal)

    def told(self) -> str:
        """Return every error of what the commune has to mend, else of what dimail has."""
        failed = self.outside or self.inside
        sentences = [detail or f"{check.name} ({code})" for check in failed for code, detail in check.errors]
        return " ".join(sentences or [f"{check.name}." for check in failed])


def boolean(value: object) -> bool | None:
    """Read a boolean that may come as a string, or as a null in letters."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def read(body: Mapping[str, Any]) -> Report:
    """Read a report; any object with `ok` and `internal` is a check, whatever its name."""
    checks = [
        Check(name, boolean(value["ok"]) is True, boolean(value["internal"]) is True, _errors(value.get("errors")))
        for name, value in body.items()
        if isinstance(value, Mapping) and "ok" in value and "internal" in value
    ]
    whole = str(body.get("state", "")).lower() == "ok"
    return Report(whole and all(check.ok for check in checks), tuple(checks))


def _errors(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        return ()
    found = [item if isinstance(item, Mapping) else {"code": item} for item in value]
    return tuple((str(item.get("code", "")), str(item.get("detail") or "")) for item in found)
