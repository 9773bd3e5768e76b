"""The journal only grows, in order, and a hand that rewrites it is seen."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from suite.journal.models import Event
from suite.journal.workflow import Broken, heads, record, verify
from tests.factories.accounts import UserFactory
from tests.factories.journal import EventFactory

SUBJECT = uuid.UUID(int=7)
# The second event and the third, told in the other order.
SWAPPED = """UPDATE journal_event SET seq = 9 WHERE seq = 2;
             UPDATE journal_event SET seq = 2 WHERE seq = 3;
             UPDATE journal_event SET seq = 3 WHERE seq = 9"""


@contextmanager
def without_the_trigger() -> Iterator[None]:
    """Do what only the database's owner can: write past the trigger."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE journal_event DISABLE TRIGGER journal_event_append_only")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or the table waits for its checks
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

    def test_the_database_refuses_to_empty_the_journal(self) -> None:
        EventFactory.create()
        with connection.cursor() as cursor:  # the tests' own set-up puts it aside (tests/conftest.py)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE journal_event ENABLE TRIGGER journal_event_no_truncate")

        with pytest.raises(IntegrityError, match="TRUNCATE refused"), transaction.atomic():
            connection.cursor().execute("TRUNCATE journal_event CASCADE")

        assert Event.objects.count() == 1


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
            ("DELETE FROM journal_eventtext; DELETE FROM journal_event WHERE seq = 2", [3]),
            ("DELETE FROM journal_eventtext; DELETE FROM journal_event WHERE seq = 1 AND payload <> '{}'", [2]),
            (SWAPPED, [2, 3]),
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
class TestHeads:
    def test_a_chain_cut_at_its_end_holds_by_itself_and_not_against_its_head(self) -> None:
        EventFactory.create_batch(3, subject=SUBJECT)
        known = heads()
        with without_the_trigger(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM journal_eventtext; DELETE FROM journal_event WHERE seq = 3")

        assert verify() == []
        assert verify(known) == [Broken("essai", SUBJECT, 3)]

    def test_a_chain_made_anew_or_gone_is_seen(self) -> None:
        EventFactory.create(subject=SUBJECT, payload={"a": 1})
        gone = EventFactory.create()
        known = heads()
        with without_the_trigger(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM journal_eventtext; DELETE FROM journal_event")
        EventFactory.create(subject=SUBJECT, payload={"a": 2})

        assert verify() == []
        assert set(verify(known)) == {Broken("essai", SUBJECT, 1), Broken("essai", gone.subject, 1)}

    def test_a_journal_that_grew_holds_against_its_old_heads(self) -> None:
        EventFactory.create(subject=SUBJECT)
        known = heads()
        EventFactory.create_batch(2, subject=SUBJECT)

        assert verify(known) == []


@pytest.mark.django_db
class TestVerifyJournalCommand:
    def test_heads_are_kept_in_a_file_and_compared_with_it(self, tmp_path: Path) -> None:
        EventFactory.create_batch(2, subject=SUBJECT)
        kept = tmp_path / "heads"
        call_command("verify_journal", keep=kept, stdout=StringIO())
        call_command("verify_journal", against=kept, stdout=StringIO())
        with without_the_trigger(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM journal_eventtext; DELETE FROM journal_event WHERE seq = 2")
        out = StringIO()

        with pytest.raises(CommandError, match=r"1 event\(s\) do not hold"):
            call_command("verify_journal", against=kept, stdout=out)

        assert out.getvalue() == f"essai {SUBJECT} #2\n"

    def test_a_file_that_is_not_one_of_heads_is_said_to_be_none(self, tmp_path: Path) -> None:
        wrong = tmp_path / "heads"
        wrong.write_text("essai\n")
        for path in (wrong, tmp_path / "nothing"):
            with pytest.raises(CommandError, match="not a file of heads"):
                call_command("verify_journal", against=path, stdout=StringIO())

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
