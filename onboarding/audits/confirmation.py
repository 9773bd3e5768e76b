"""A single failure turns nobody red: it waits until a second attempt fails alike (`presence.md`, 2.1). Pure.

What stands and what waits have the shapes stored in `Examination.verdicts` and `Examination.pending`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from onboarding.audits.declared import Declaration
from onboarding.audits.rules.finding import Finding, State
from onboarding.audits.rules.report import GROUPS, group_state

# The second attempt counts from then on: what failed for a moment has had time to mend.
SECOND_AFTER = timedelta(minutes=15)
# How long what stood goes on standing while nothing new is sure.
STALE_AFTER = timedelta(days=7)

# Read in the declaration itself: nothing there can fail for a moment.
DECLARED = frozenset({"1.1", "1.2", "1.8", "2.1", "2.2", "2.3"})

_SILENT = frozenset({"timeout", "reset", "refused", "network", "tls", "no_https", "too_large"})

Verdicts = dict[str, tuple[str, str]]


class Waiting(TypedDict):
    """A verdict that waits: what was seen, since when so (ISO 8601), and since when nothing is sure."""

    state: str
    reason: str
    since: str
    doubted: str


Pending = dict[str, Waiting]


@dataclass(frozen=True)
class Turn:
    """One criterion that changed its state."""

    criterion: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Settled:
    """What stands, what waits, and what changed."""

    verdicts: Verdicts
    pending: Pending
    turns: tuple[Turn, ...]

    @property
    def groups(self) -> dict[str, State]:
        """The state of each group, by what stands."""
        return {group: group_state(self.verdicts[rule][0] for rule in members) for group, members in GROUPS.items()}

    @property
    def due(self) -> bool:
        """Whether a second attempt is wanted: something waits that may be a failure."""
        return any(waiting["state"] == "fail" for waiting in self.pending.values())


def settle(
    found: Mapping[str, Finding],
    at: datetime,
    *,
    verdicts: Mapping[str, tuple[str, str]] | None = None,
    pending: Mapping[str, Waiting] | None = None,
) -> Settled:
    """Settle what an attempt found, in the order of a report, with what stood and what waited before it.

    A failure stands once a second attempt, SECOND_AFTER the first at the earliest, fails by the same class of reason.
    Meanwhile what stood goes on standing, STALE_AFTER at most, then nobody knows. What is unknown waits the same way.
    """
    verdicts, pending = verdicts or {}, pending or {}
    stands: Verdicts = {}
    waits: Pending = {}
    turns: list[Turn] = []
    for rule, finding in found.items():
        old = verdicts.get(rule)
        sure = _is_sure(rule, finding, stands)
        new, waiting = _one(finding, at, (old[0], old[1]) if old else None, pending.get(rule), sure=sure)
        stands[rule] = new
        if waiting is not None:
            waits[rule] = waiting
        if old is not None and old[0] != new[0]:
            turns.append(Turn(rule, old[0], new[0], new[1]))
    return Settled(stands, waits, tuple(turns))


def kept(before: Declaration, after: Declaration, stood: Mapping[str, tuple[str, str]]) -> Verdicts:
    """Return what still stands when a declaration changes: a verdict belongs to what it was given on."""
    site = (before.site, before.site_owner) == (after.site, after.site_owner)
    mail = (before.email, before.mail_owner) == (after.email, after.mail_owner)
    of_site = {"B6", "B7", "B8", "B11"}
    of_both = {"2.3", "B10"}
    found: Verdicts = {}
    for rule, verdict in stood.items():
        about_site = rule.startswith("1.") or rule in of_site
        if (site and mail) if rule in of_both else (site if about_site else mail):
            found[rule] = (verdict[0], verdict[1])
    return found


def kind(reason: str) -> str:
    """Return the class of a failure: two attempts agree when they fail by the same."""
    if reason in _SILENT:
        return "no_answer"
    if re.fullmatch(r"status_[0-9]{3}", reason):
        return reason[:8]  # status_4, status_5
    return reason


def _one(
    finding: Finding, at: datetime, stood: tuple[str, str] | None, waiting: Waiting | None, *, sure: bool
) -> tuple[tuple[str, str], Waiting | None]:
    """Return what stands of one criterion, and what waits. `sure`: what was found needs no second attempt."""
    seen, failed = (finding.state, finding.reason), finding.state == "fail"
    if finding.state not in {"fail", "unknown"} or sure:
        return seen, None
    if failed and stood is not None and stood[0] == "fail" and kind(stood[1]) == kind(finding.reason):
        return seen, None
    if failed and waiting is not None and _agrees(waiting, finding, at):
        return seen, None
    same = waiting is not None and (waiting["state"], kind(waiting["reason"])) == (seen[0], kind(seen[1]))
    now: Waiting = {
        "state": finding.state,
        "reason": finding.reason,
        "since": waiting["since"] if waiting is not None and same else at.isoformat(),
        "doubted": waiting["doubted"] if waiting is not None else at.isoformat(),
    }
    if stood is None or stood[0] == "unknown":
        return ("unknown", "to_confirm" if failed else finding.reason), now
    if at - datetime.fromisoformat(now["doubted"]) >= STALE_AFTER:
        return ("unknown", "stale"), now
    return stood, now


def _agrees(waiting: Waiting, finding: Finding, at: datetime) -> bool:
    return (
        waiting["state"] == "fail"
        and kind(waiting["reason"]) == kind(finding.reason)
        and at - datetime.fromisoformat(waiting["since"]) >= SECOND_AFTER
    )


def _is_sure(rule: str, finding: Finding, stands: Verdicts) -> bool:
    """Tell whether a finding needs no second attempt: it is read in the declaration, or falls with what has fallen."""
    below = finding.reason.removeprefix("depends_on:")
    return rule in DECLARED or (
        finding.state == "fail" and below != finding.reason and stands.get(below, ("",))[0] == "fail"
    )
