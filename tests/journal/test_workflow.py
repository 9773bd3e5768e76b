"""The journal only grows, in order, and a hand that rewrites it is seen."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from suite.journal.models import Event
from suite.journal.workflow import Broken, record, verify
from tests.factories.accounts import UserFactory
from tests.factories.journal import EventFactory

SUBJECT = uuid.UUID(int=7)


@contextmanager
def without_the_trigger() -> Iterator[None]:
    """Do what only the database's owner can: write past the trigger."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE journal_event DISABLE TRIGGER journal_event_append_only")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE journal_event ENABLE TRIGGER journal_event_append_only")


@pytest.mark.django_db
class TestRecord:
    def test_events_of_a_thing_are_numbered_and_linked(self) -> None:
        first, second = EventFactory.create_batch(2, subject=SUBJECT)
        other = EventFactory.create()

        assert [event.seq for event in (first, second, other)] == [1, 2, 1]
        assert second.prev_hash == first.hash
        assert first.prev_hash == other.prev_hash == ""

    def test_who_acted_is_signed_and_the_name_kept_apart(self) -> None:
        user = UserFactory.create(given_name="Camille", usual_name="Essai")

        event = record("essai", SUBJECT, "essai.fait", by=user, comment="Parce que.")

        assert (event.actor, event.text.actor_label, event.text.comment) == (user.pk, "Camille Essai", "Parce que.")
        assert "Camille" not in str(event.payload)

    def test_an_event_disappears_with_its_cause(self) -> None:
        with transaction.atomic():
            EventFactory.create()
            transaction.set_rollback(True)

        assert not Event.objects.exists()

    # In SQL: the ORM would stop at the text that hangs on the event.
    @pytest.mark.parametrize("change", ["UPDATE journal_event SET kind = 'autre'", "DELETE FROM journal_event"])
    def test_the_database_refuses_to_change_or_remove_an_event(self, change: str) -> None:
        EventFactory.create()

        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)

        assert Event.objects.get().kind == "essai.fait"


@pytest.mark.django_db(transaction=True)
def test_two_who_write_at_once_get_consecutive_numbers() -> None:
    start, rounds = Barrier(2), 10

    def write() -> None:
        try:
            start.wait(timeout=10)
            for _ in range(rounds):
                record("essai", SUBJECT, "essai.fait", by=None)
        finally:
            connection.close()

    writers = [Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [event.seq for event in Event.objects.about("essai", SUBJECT)] == list(range(1, 2 * rounds + 1))
    assert verify() == []


@pytest.mark.django_db
class TestVerify:
    def test_a_time_told_in_paris_holds_once_read_back(self) -> None:
        paris = datetime(2026, 7, 1, 12, 30, tzinfo=ZoneInfo("Europe/Paris"))

        EventFactory.create(effective_at=paris, payload={"quotas": [1, None, "é"], "à": {"b": True}})

        assert verify() == []

    def test_an_erased_name_leaves_the_chain_whole(self) -> None:
        event = EventFactory.create(by=UserFactory.create(), comment="À effacer.")

        event.text.actor_label = event.text.comment = ""
        event.text.save()

        assert verify() == []

    @pytest.mark.parametrize(
        ("forgery", "seen"),
        [
            ("UPDATE journal_event SET payload = '{\"a\": 2}' WHERE seq = 2", [2]),
            ("UPDATE journal_event SET actor = gen_random_uuid() WHERE seq = 3", [3]),
            ("UPDATE journal_event SET hash = repeat('0', 64) WHERE seq = 1", [1, 2]),
            ("UPDATE journal_event SET seq = 9 WHERE seq = 3", [9]),
        ],
    )
    def test_a_rewritten_event_is_named(self, forgery: str, seen: list[int]) -> None:
        EventFactory.create_batch(3, subject=SUBJECT, payload={"a": 1})
        EventFactory.create()

        with without_the_trigger(), connection.cursor() as cursor:
            cursor.execute(forgery)

        subject_of_one = Event.objects.exclude(subject=SUBJECT).get().subject
        assert [one for one in verify() if one.subject != subject_of_one] == [
            Broken("essai", SUBJECT, number) for number in seen
        ]


@pytest.mark.django_db
class TestVerifyJournalCommand:
    def test_a_whole_journal_is_said_to_hold(self) -> None:
        EventFactory.create_batch(2)
        out = StringIO()

        call_command("verify_journal", stdout=out)

        assert "2 event(s), every chain holds." in out.getvalue()

    def test_a_broken_chain_is_listed_and_fails(self) -> None:
        EventFactory.create(subject=SUBJECT)
        with without_the_trigger(), connection.cursor() as cursor:
            cursor.execute("UPDATE journal_event SET kind = 'autre'")
        out = StringIO()

        with pytest.raises(CommandError, match=r"1 event\(s\) do not hold"):
            call_command("verify_journal", stdout=out)

        assert out.getvalue() == f"essai {SUBJECT} #1\n"
