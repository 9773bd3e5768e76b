"""The verbs of a setting: write a version, go back to one. A version is never changed, only followed by another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction
from django.utils import timezone

from suite.journal.workflow import Actor, record
from suite.trade import reading
from suite.trade.models import Setting
from suite.trade.registry import Invalid, Problem, Schema, of

# The journal's subject of a setting of the whole site; the setting of a thing has the thing's own.
_SITE = UUID("6f5c9d0e-2a53-4d0c-9f7e-5b8f3a1c7d42")
LONGEST_REASON = 500
SHORTEST_REASON = 10


class Stale(Exception):
    """Somebody wrote a version since the one this change started from."""

    def __init__(self, latest: int) -> None:
        super().__init__(f"Version {latest} is there already.")
        self.latest = latest


class Unchanged(Exception):
    """What was sent is what is there."""


@dataclass(frozen=True)
class State:
    """The last version written of a setting, 0 and the default when there is none."""

    version: int
    value: Any
    row: Setting | None


def latest(schema: Schema[Any], scope: UUID | None = None) -> State:
    """Return the last version written, in force or to come, as stored. One query."""
    row = Setting.objects.about(schema.key, scope).first()
    return State(row.version, row.value, row) if row else State(0, schema.dump(schema.default()), None)


def subject(key: str, scope: UUID | None) -> UUID:
    """Return under which identifier the journal speaks of a setting."""
    return scope or uuid5(_SITE, key)


@transaction.atomic
def save(  # noqa: PLR0913 - a version has these facts
    key: str,
    value: object,
    *,
    expected: int,
    by: Actor | None,
    reason: str,
    valid_from: datetime | None = None,
    scope: UUID | None = None,
    before: object = None,
) -> Setting:
    """Write the version after `expected`. Raises `Invalid`, `Stale`, `Unchanged`.

    `before`: what a thing's own row says, for a setting of which no version is written yet.
    """
    schema = of(key)
    kept = schema.dump(schema.load(value))
    if len(reason.strip()) < SHORTEST_REASON:
        raise Invalid([Problem(None, "reason", f"Dites pourquoi en {SHORTEST_REASON} caractères au moins.")])
    state = latest(schema, scope)
    if state.version != expected:
        raise Stale(state.version)
    was = before if state.row is None and before is not None else state.value
    now = timezone.now()
    # The same value again is a change where the last version only comes later: it applies now.
    if kept == was and valid_from is None and (state.row is None or state.row.valid_from <= now):
        raise Unchanged
    version = expected + 1
    try:
        with transaction.atomic():
            row = Setting.objects.create(
                key=key,
                scope=scope,
                version=version,
                value=kept,
                valid_from=max(valid_from or now, now),
                author=by.pk if by else None,
                reason=reason.strip()[:LONGEST_REASON],
            )
    except IntegrityError as error:
        raise Stale(version) from error
    facts = {"key": key, "version": version, "valid_from": row.valid_from.isoformat()}
    record("setting", subject(key, scope), "setting.changed", by=by, payload=facts, comment=row.reason)
    reading.forget()  # this thread reads its own write, and again what holds once the transaction has ended
    transaction.on_commit(reading.forget)
    return row


def restore(chosen: Setting, *, expected: int, by: Actor | None, reason: str) -> Setting:
    """Write again what an earlier version said, as a new one. Raises as `save`."""
    return save(chosen.key, chosen.value, expected=expected, by=by, reason=reason, scope=chosen.scope)
