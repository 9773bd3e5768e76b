"""Journals made up for the figures: what dossiers went through, written as the verbs write it."""

import datetime as dt
import random
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import time_machine
from django.db import connection

from onboarding.analytics.figure_models import PublishedFigure
from onboarding.analytics.publishing import sweep
from onboarding.intake.moves import MOVES, Move
from suite.journal.workflow import record

PARIS = ZoneInfo("Europe/Paris")
MARCH = dt.date(2027, 3, 1)
# After the closing of March, and after that of April.
APRIL_SWEEP = dt.datetime(2027, 4, 6, 9, tzinfo=PARIS)
MAY_SWEEP = dt.datetime(2027, 5, 6, 9, tzinfo=PARIS)


def at(month: int, day: int, hour: int = 10) -> dt.datetime:
    """Return a moment of 2027, in Paris: the 1st of March is a Monday, the 29th Easter Monday."""
    return dt.datetime(2027, month, day, hour, tzinfo=PARIS)


def happens(
    subject: uuid.UUID, kind: str, moment: dt.datetime, way: str = "", *, known: dt.datetime | None = None, **said: Any
) -> None:
    """Write one event of a dossier, learnt when it happened unless told later; `way` is "from > to"."""
    before, _, after = way.partition(" > ")
    told = {"from": before, "to": after} if way else {}
    with time_machine.travel(known or moment, tick=False):
        record("dossier", subject, kind, by=None, payload={**told, **said}, effective_at=moment)


def dossier(moment: dt.datetime, department: str | None = "56", operator: str = "opsn", **said: Any) -> uuid.UUID:
    """Write the first sending of a dossier."""
    subject = uuid.uuid4()
    facts = {"department": department, "operator": operator}
    happens(subject, "submit", moment, "draft > submitted", **{**facts, **said})
    return subject


def decided(subject: uuid.UUID, moment: dt.datetime, kind: str = "approve", **said: Any) -> None:
    """Write its decision."""
    after = {"approve": "approved", "reject": "rejected"}[kind]
    happens(subject, kind, moment, f"in_review > {after}", **{"sensitive": [], **said})


def at_random(seed: int, count: int = 40) -> None:
    """Write as many dossiers, each going from draft at random through the table of moves, from January to May."""
    chance = random.Random(seed)  # noqa: S311 - to spread cases, not to hide anything
    for _ in range(count):
        subject, status, sent = uuid.uuid4(), "draft", False
        facts = {"department": chance.choice(["56", "01", "988", None]), "operator": chance.choice(["a", "b"])}
        moment = at(1, 1) + dt.timedelta(hours=chance.randrange(24 * 90))
        for _ in range(chance.randrange(12)):
            # What was never sent is not reopened: the database refuses it.
            moves: list[Move] = [move for move in MOVES if status in move.sources and (sent or move.event != "reopen")]
            if not moves:
                break
            # Few withdraw, so that there is something to count.
            move = chance.choices(moves, [1 if move.event == "withdraw" else 6 for move in moves])[0]
            before, status = status, str(move.target or status)
            moment += dt.timedelta(hours=chance.randrange(1, 24 * 12))
            said: dict[str, Any] = dict(facts)
            if move.event != "submit" and chance.random() < 0.1:  # a commune changes départements meanwhile
                said["department"] = "2A"
            if move.event == "request_changes":
                said["reasons"] = ["other", "other", "mailbox_list"]
            sent = sent or move.event == "submit"
            happens(subject, move.event, moment, f"{before} > {status}", **said)


def sweep_at(moment: dt.datetime) -> int:
    """Let the sweep run then."""
    with time_machine.travel(moment, tick=False):
        return sweep()


def stored(month: dt.date = MARCH) -> str:
    """Return the rows of a month as the database writes them, every column, in the order in which they came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(f::text, E'\\n' ORDER BY id) FROM analytics_publishedfigure f WHERE period = %s", [month]
        )
        return str(cursor.fetchone()[0])


def value(metric: str, scope: str = "national", month: dt.date = MARCH) -> tuple[Any, int]:
    """Return a published value, and what it is about."""
    row = PublishedFigure.objects.filter(metric=metric, scope=scope, period=month).order_by("as_of")[0]
    return (None if row.value is None else float(row.value)), row.n
