"""The journal read as stories: what happened to each dossier, and to each service, nothing else being looked at.

A dossier's territory and operator are those of its first sending, told by the event itself: a later merger or transfer
moves no figure from one territory to another, and what enters a backlog leaves the same one.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Case, Q, Sum, Value, When

from onboarding.analytics.figure_models import DEPARTMENT, NATIONAL, OPERATOR
from onboarding.intake.calendar import add_working_days, working_days_between
from onboarding.intake.delays import DECISIONS
from suite.journal.models import Event

# Of the definition of « late », whatever the setting of the trade becomes: another number is another VERSION.
DECIDE_DAYS = 5

# What makes a dossier one of the operators' to decide, and what ends that. A draft has no `submit`, so no story.
ENTERS, LEAVES = ("submit", "reopen"), ("approve", "reject", "withdraw", "expire")
ASKS = "request_changes"
KINDS = (*ENTERS, *LEAVES, ASKS, "resubmit")
OVERRIDES = frozenset({"eligibility_override", "mandate_override"})


class Given(NamedTuple):
    """The reasons of one decision or of one request for corrections, each once."""

    at: dt.datetime
    kind: str
    codes: frozenset[str]


@dataclass
class Story:
    """One dossier that was sent. Moments are when things happened (`effective_at`), aware."""

    department: str
    operator: str
    sent: dt.datetime
    flow: list[tuple[dt.datetime, int]] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    pauses: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)
    decided: dt.datetime | None = None
    accepted: bool = False
    overridden: bool = False
    rounds: int = 0

    @property
    def scopes(self) -> tuple[str, str, str]:
        """Where it counts."""
        return NATIONAL, f"{DEPARTMENT}{self.department}", f"{OPERATOR}{self.operator}"

    @cached_property
    def gross(self) -> int:
        """Working days from the first sending to the first decision."""
        return working_days_between(self.sent, self.decided or self.sent, self.department)

    @cached_property
    def waited(self) -> int:
        """Of these, the working days spent waiting for the commune."""
        return sum(working_days_between(start, end, self.department) for start, end in self.pauses)

    @property
    def net(self) -> int:
        """The working days that were the operator's."""
        return max(0, self.gross - self.waited)

    @property
    def late(self) -> bool:
        """Whether the first decision came after the due date, the commune's time not counted."""
        due = add_working_days(self.sent, DECIDE_DAYS + self.waited, self.department)
        return self.decided is not None and self.decided > due


class Service(NamedTuple):
    """One deployment, from the approval that started it to the day all of it was seen to work."""

    department: str
    operator: str
    started: dt.datetime
    completed: dt.datetime

    @property
    def scopes(self) -> tuple[str, str, str]:
        """Where it counts."""
        return NATIONAL, f"{DEPARTMENT}{self.department}", f"{OPERATOR}{self.operator}"


class Told(NamedTuple):
    """All that the events recorded before `as_of` tell; `high_water` is the highest of them, 0 when there is none."""

    as_of: dt.datetime
    stories: list[Story]
    services: list[Service]
    high_water: int


class _Said(NamedTuple):
    """What is read of an event."""

    subject: UUID
    kind: str
    at: dt.datetime
    pk: int
    department: str | None
    operator: str | None
    reasons: list[str] | None
    sensitive: list[str] | None
    skipped: int | None


def read(as_of: dt.datetime) -> Told:
    """Read the journal as it stood at an instant: two queries, a thousand events in memory at a time."""
    top = 0
    stories, services = [], []
    for said in _subjects("dossier", KINDS, as_of):
        top = max(top, *(event.pk for event in said))
        if story := tell(said):
            stories.append(story)
    for said in _subjects("deployment", ("started", "completed"), as_of):
        top = max(top, *(event.pk for event in said))
        if service := _service(said):
            services.append(service)
    return Told(as_of, stories, services, top)


def _subjects(stream: str, kinds: Iterable[str], as_of: dt.datetime) -> Iterator[list[_Said]]:
    """Yield the events of one subject after the other, in the order in which they happened."""
    rows = (
        Event.objects.filter(stream=stream, kind__in=kinds, recorded_at__lt=as_of)
        .order_by("subject", "seq")
        .values_list(
            *("subject", "kind", "effective_at", "pk", "payload__department", "payload__operator"),
            *("payload__reasons", "payload__sensitive", "payload__skipped"),
        )
    )
    so_far: list[_Said] = []
    for row in rows.iterator(chunk_size=1000):
        said = _Said(*row)
        if so_far and so_far[0].subject != said.subject:
            yield _in_order(so_far)
            so_far = []
        so_far.append(said)
    if so_far:
        yield _in_order(so_far)


def _in_order(said: list[_Said]) -> list[_Said]:
    # Stable: of two things of the same instant, the one written first comes first.
    return sorted(said, key=lambda event: event.at)


def tell(said: list[Any]) -> Story | None:
    """Tell one dossier's story from its events, in order; None when it was never sent."""
    first = next((event for event in said if event.kind == "submit"), None)
    if first is None:
        return None
    story = Story(str(first.department or ""), str(first.operator or ""), first.at)
    waiting: dt.datetime | None = None
    for event in said:
        if event.kind in ENTERS:
            story.flow.append((event.at, 1))
        elif event.kind in LEAVES:
            story.flow.append((event.at, -1))
        if event.reasons and event.kind in {ASKS, "reject"}:
            story.given.append(Given(event.at, event.kind, frozenset(event.reasons)))
        if story.decided is not None:
            continue
        if event.kind == ASKS:
            waiting = event.at
            story.rounds += 1
        elif waiting is not None and event.kind != "expire":
            # Closed for want of an answer, it waits for the commune still, until a lead reopens it.
            story.pauses.append((waiting, event.at))
            waiting = None
        if event.kind in DECISIONS:
            story.decided, story.accepted = event.at, event.kind == "approve"
            story.overridden = story.accepted and bool(OVERRIDES & set(event.sensitive or ()))
    return story


def _service(said: list[_Said]) -> Service | None:
    """Return a service once all of it works; one that goes without some of its steps is not fully observed."""
    started = next((event for event in said if event.kind == "started"), None)
    completed = next((event for event in said if event.kind == "completed" and not event.skipped), None)
    if started is None or completed is None:
        return None
    return Service(str(started.department or ""), str(started.operator or ""), started.at, completed.at)


def backlog_on(moment: dt.datetime, scope: str) -> int:
    """Return how many dossiers of the scope were sent and not decided at an instant, known today. One query."""
    sent = Event.objects.filter(stream="dossier", kind="submit")
    if scope.startswith(DEPARTMENT):
        sent = sent.filter(_says("department", scope.removeprefix(DEPARTMENT)))
    elif scope.startswith(OPERATOR):
        sent = sent.filter(_says("operator", scope.removeprefix(OPERATOR)))
    moves = Event.objects.filter(
        stream="dossier", kind__in=(*ENTERS, *LEAVES), effective_at__lt=moment, subject__in=sent.values("subject")
    )
    steps = Case(When(kind__in=ENTERS, then=Value(1)), default=Value(-1))
    return moves.aggregate(count=Sum(steps))["count"] or 0


def _says(key: str, value: str) -> Q:
    return Q(**{f"payload__{key}": value}) if value else Q(**{f"payload__{key}": None}) | ~Q(payload__has_key=key)


def by_scope(told: Told) -> dict[str, tuple[list[Story], list[Service]]]:
    """Return the stories and the services of each scope; the national one is always there."""
    found: dict[str, tuple[list[Story], list[Service]]] = defaultdict(lambda: ([], []))
    found[NATIONAL]  # even when nothing happened
    for story in told.stories:
        for scope in story.scopes:
            found[scope][0].append(story)
    for service in told.services:
        for scope in service.scopes:
            found[scope][1].append(service)
    return dict(found)
