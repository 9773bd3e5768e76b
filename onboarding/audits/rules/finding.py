"""What a rule says: a state, a stable reason, the same in French, and the records it rests on."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from onboarding.audits.facts import Lookup

# `not_required` is for 2.3 only; `warning` and `advice` are for what lies beyond the RPNT.
State = Literal["pass", "fail", "unknown", "not_required", "warning", "advice"]


@dataclass(frozen=True)
class Finding:
    """A judgement: `reason` is a stable code, `sentence` the same in French, `observed` the records it rests on."""

    id: str
    state: State
    reason: str
    sentence: str
    observed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the shape stored in `Audit.findings`."""
        return asdict(self)


def passes(rule: str, sentence: str, observed: Lookup | Iterable[str] = (), reason: str = "ok") -> Finding:
    """Say that a rule is kept."""
    return Finding(rule, "pass", reason, sentence, _observed(observed))


def fails(rule: str, reason: str, sentence: str, observed: Lookup | Iterable[str] = ()) -> Finding:
    """Say that a rule is broken."""
    return Finding(rule, "fail", reason, sentence, _observed(observed))


def warns(rule: str, reason: str, sentence: str, observed: Lookup | Iterable[str] = ()) -> Finding:
    """Say what is weak, without being wrong."""
    return Finding(rule, "warning", reason, sentence, _observed(observed))


def advises(rule: str, reason: str, sentence: str, observed: Lookup | Iterable[str] = ()) -> Finding:
    """Say what would be better."""
    return Finding(rule, "advice", reason, sentence, _observed(observed))


def ignores(rule: str, lookup: Lookup | None) -> Finding:
    """Say that nobody knows: the DNS did not answer, or was not asked."""
    if lookup is None:
        return Finding(rule, "unknown", "not_asked", "Ce point n’a pas été vérifié.")
    reason = f"dns_{lookup.detail or 'unknown'}"
    return Finding(rule, "unknown", reason, "Le DNS n’a pas répondu : nous ne savons pas.")


def depends(finding: Finding, on: Finding) -> Finding:
    """Return the finding as its prerequisite leaves it (`presence.md`, 2.1).

    A failed prerequisite fails what follows; an unknown one makes it unknown unless its own evidence decides.
    """
    if on.state == "fail":
        return replace(finding, state="fail", reason=f"depends_on:{on.id}")
    if on.state == "unknown" and finding.state == "pass":
        return replace(finding, state="unknown", reason=f"depends_on:{on.id}")
    return finding


def _observed(observed: Lookup | Iterable[str]) -> tuple[str, ...]:
    return observed.values if isinstance(observed, Lookup) else tuple(observed)
