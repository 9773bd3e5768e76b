"""The only way to write the journal, and the way to check that nobody rewrote it."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from django.db import connection, transaction
from django.utils import timezone

from suite.journal.models import Event, EventText
from suite.middleware import current_request_id


class Actor(Protocol):
    """Whoever may sign an event: an account, seen from below it."""

    @property
    def pk(self) -> Any: ...  # noqa: ANN401 - Django types primary keys so

    def get_full_name(self) -> str:
        """Return the name to show in a history."""


@transaction.atomic(savepoint=False)
def record(  # noqa: PLR0913 - an event has these facts
    stream: str,
    subject: uuid.UUID,
    kind: str,
    *,
    by: Actor | None,
    payload: dict[str, Any] | None = None,
    comment: str = "",
    effective_at: datetime | None = None,
) -> Event:
    """Add one event, in the caller's transaction. `by=None` means the system. `payload` holds no personal text."""
    with connection.cursor() as cursor:
        # One writer at a time per subject: the next number and the previous hash must not move under us.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{stream}:{subject}"])
    last = Event.objects.filter(stream=stream, subject=subject).order_by("-seq").only("seq", "hash").first()
    now = timezone.now()
    event = Event(
        stream=stream,
        subject=subject,
        seq=last.seq + 1 if last else 1,
        kind=kind,
        actor=by.pk if by else None,
        payload=payload or {},
        request_id=current_request_id(),
        effective_at=effective_at or now,
        recorded_at=now,
        prev_hash=last.hash if last else "",
    )
    event.hash = digest(event)
    event.save(force_insert=True)
    EventText.objects.create(event=event, actor_label=by.get_full_name() if by else "", comment=comment)
    return event


def digest(event: Event) -> str:
    """Return the SHA-256, in hexadecimal, of what the event says and of the hash before it."""
    said = [
        event.prev_hash,
        event.stream,
        str(event.subject),
        event.seq,
        event.kind,
        str(event.actor),
        event.payload,
        # The database gives times back in UTC, whatever the zone they were told in.
        event.effective_at.astimezone(UTC).isoformat(),
        event.recorded_at.astimezone(UTC).isoformat(),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Broken(NamedTuple):
    """An event whose hash, number or link to the one before it is wrong."""

    stream: str
    subject: uuid.UUID
    seq: int


class Head(NamedTuple):
    """The last event of a chain at some moment, kept elsewhere: a chain cut behind it, or made anew, is then seen."""

    stream: str
    subject: uuid.UUID
    seq: int
    hash: str


def heads() -> list[Head]:
    """Return the last event of every chain, in order. One query."""
    last = Event.objects.order_by("stream", "subject", "-seq").distinct("stream", "subject")
    return [Head(*row) for row in last.values_list("stream", "subject", "seq", "hash")]


def verify(known: Iterable[Head] = ()) -> list[Broken]:
    """Recompute every chain and return the events that do not hold, in order; then the known heads that are gone."""
    awaited = {head[:3]: head.hash for head in known}
    broken: list[Broken] = []
    key: tuple[str, uuid.UUID] | None = None
    expected_seq, expected_prev = 1, ""
    for event in Event.objects.order_by("stream", "subject", "seq").iterator(chunk_size=2000):
        if (event.stream, event.subject) != key:
            key, expected_seq, expected_prev = (event.stream, event.subject), 1, ""
        kept = awaited.pop((event.stream, event.subject, event.seq), event.hash)
        whole = event.seq == expected_seq and event.prev_hash == expected_prev and event.hash == digest(event)
        if not whole or event.hash != kept:
            broken.append(Broken(event.stream, event.subject, event.seq))
        expected_seq, expected_prev = event.seq + 1, event.hash
    return [*broken, *(Broken(*gone) for gone in awaited)]
