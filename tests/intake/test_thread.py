"""What is written in a thread, who is told, and what nobody may do there."""

import socket
import struct
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from onboarding.intake import checklist, moves, thread, thread_digests, thread_files
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import CoAuthor
from onboarding.intake.thread_models import Attachment, Message, Reading
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.journal.workflow import verify
from suite.notices.models import Notice
from tests.accounts.test_documents import PDF
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.intake import DossierFactory
from tests.factories.notices import NoticeFactory
from tests.factories.thread import MessageFactory
from tests.intake.conftest import staff
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status


@pytest.fixture
def dossier(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    made: Dossier = DossierFactory.create(
        organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor
    )
    return made


def recipients(kind: str) -> set[str]:
    return set(Notice.objects.filter(kind=kind).values_list("recipient", flat=True))


class TestWrite:
    def test_the_operator_s_words_leave_to_the_requester_and_the_author_who_may_answer(
        self, dossier: Dossier, instructor: User, agent: User
    ) -> None:
        thread.write(dossier, "  Bonjour <vous> & bonne journée.\r\n", by=instructor)
        message = Message.objects.get()
        assert (message.side, message.body) == ("operator", "Bonjour <vous> & bonne journée.")
        assert recipients("thread_message") == {dossier.requester_email, agent.email}
        notice = Notice.objects.filter(kind="thread_message").first()
        assert notice is not None
        assert "Bonjour <vous> & bonne journée." in notice.body_text
        assert "Bonjour &lt;vous&gt; &amp; bonne" in notice.body_html
        assert notice.answers_until == timezone.localdate() + timedelta(days=90)

    def test_the_commune_s_words_leave_to_whoever_instructs_and_take_no_answer_by_mail(
        self, dossier: Dossier, agent: User, instructor: User
    ) -> None:
        thread.write(dossier, "Voici.", by=agent)
        notice = Notice.objects.get()
        assert (notice.kind, notice.recipient, notice.answers_until) == ("thread_answer", instructor.email, None)

    def test_a_dossier_that_nobody_instructs_tells_the_team(
        self, commune: Organization, agent: User, anct: Operator
    ) -> None:
        waiting = DossierFactory.create(organization=commune, author=agent, operator=anct, sent=True)
        thread.write(waiting, "Une précision.", by=agent)
        assert recipients("thread_answer") == {"anct@anct.example"}

    def test_a_colleague_who_wrote_hears_the_answer_too(
        self, dossier: Dossier, commune: Organization, instructor: User
    ) -> None:
        colleague = MembershipFactory.create(organization=commune).user
        thread.write(dossier, "J’ajoute ceci.", by=colleague)
        thread.write(dossier, "Merci.", by=instructor)
        assert colleague.email in recipients("thread_message")

    def test_who_shares_the_dossier_hears_it_and_who_left_does_not(
        self, dossier: Dossier, agent: User, instructor: User
    ) -> None:
        shares = {"active": "avec@a.example", "ended": "parti@a.example", "asked": "demande@a.example"}
        for state, email in shares.items():
            CoAuthor.objects.create(
                dossier=dossier, user=UserFactory.create(email=email), email=email, state=state, answered_by=agent
            )
        thread.write(dossier, "Merci.", by=instructor)
        assert recipients("thread_message") == {dossier.requester_email, agent.email, "avec@a.example"}

    def test_a_message_changes_nothing_in_the_dossier(self, dossier: Dossier, instructor: User) -> None:
        before = Dossier.objects.filter(pk=dossier.pk).values().get()
        thread.write(dossier, "Bonjour.", by=instructor)
        assert Dossier.objects.filter(pk=dossier.pk).values().get() == before
        assert not Event.objects.filter(stream="dossier").exists()
        assert verify() == []

    @pytest.mark.parametrize("body", ["", "   \n", "\u200b\x00", "x" * 5001])
    def test_nothing_and_too_much_are_refused(self, dossier: Dossier, instructor: User, body: str) -> None:
        with pytest.raises(moves.GuardFailed):
            thread.write(dossier, body, by=instructor)

    def test_a_reader_a_stranger_and_another_s_operator_do_not_write(
        self, dossier: Dossier, anct: Operator, stranger: User, commune: Organization
    ) -> None:
        reader = staff(anct, OperatorRole.Role.READER)
        own_reader = MembershipFactory.create(organization=commune, role="reader").user
        for user in (reader, stranger, own_reader):
            for verb in (thread.write, thread.note):
                with pytest.raises(moves.NotAllowed):
                    verb(dossier, "Bonjour.", by=user)
        assert not Message.objects.exists()

    @pytest.mark.parametrize("status", S.values)
    def test_it_is_open_while_something_may_still_happen(
        self, status: str, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(status, commune, agent, anct, instructor)
        opened = status in {*Dossier.OPEN, S.APPROVED, S.REJECTED}
        assert (thread.closed(dossier) == "") is opened
        if opened:
            thread.write(dossier, "Bonjour.", by=agent)
        else:
            with pytest.raises(thread.Closed):
                thread.write(dossier, "Bonjour.", by=agent)

    def test_a_refusal_is_discussed_for_as_long_as_it_may_be_contested(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.REJECTED, commune, agent, anct, instructor)
        with time_machine.travel(timezone.now() + timedelta(days=62), tick=False), pytest.raises(thread.Closed):
            thread.write(dossier, "Je conteste.", by=agent)

    def test_the_same_form_sent_twice_is_one_message_and_one_mail(self, dossier: Dossier, agent: User) -> None:
        key = uuid4()
        first = thread.write(dossier, "Une fois.", by=agent, key=key)
        again = thread.write(dossier, "Une fois.", by=agent, key=key)
        assert first.pk == again.pk
        assert Message.objects.count() == Notice.objects.count() == 1

    def test_another_s_key_gives_nothing_of_another_s(self, dossier: Dossier, agent: User, instructor: User) -> None:
        note = thread.note(dossier, "Entre nous.", by=instructor)
        with pytest.raises(moves.NotAllowed):
            thread.write(dossier, "Bonjour.", by=agent, key=note.pk)

    def test_r22_nobody_to_write_to_sends_nothing_and_shows(
        self, commune: Organization, anct: Operator, instructor: User
    ) -> None:
        nameless = UserFactory.create(email="")
        dossier = DossierFactory.create(
            organization=commune, author=nameless, operator=anct, in_review=True, assignee=instructor,
            requester_email="",
        )  # fmt: skip
        thread.write(dossier, "Bonjour.", by=instructor)
        assert not Notice.objects.due().exists()
        [flag] = thread.unreached(thread.ledger(dossier))
        assert flag.state == Notice.State.UNADDRESSED
        assert "Aucune adresse" in flag.error
        checklist.refresh(dossier)
        item = dossier.check_items.get(code="reachable")
        assert (item.result, item.value) == ("ko", "unaddressed"), "a check item is open"

    def test_a_rollback_leaves_neither_message_nor_mail(self, dossier: Dossier, instructor: User) -> None:
        with transaction.atomic():
            thread.write(dossier, "Bonjour.", by=instructor)
            transaction.set_rollback(True)
        assert not Message.objects.exists()
        assert not Notice.objects.exists()


class TestNote:
    def test_a_note_leaves_nothing_and_the_commune_never_reads_it(
        self, dossier: Dossier, instructor: User, agent: User
    ) -> None:
        thread.note(dossier, "À surveiller.", by=instructor)
        assert not Notice.objects.exists()
        assert not thread.visible(dossier, agent, for_staff=False).exists()

    def test_whoever_it_names_is_told_without_its_words(
        self, dossier: Dossier, instructor: User, anct: Operator
    ) -> None:
        named = staff(anct, OperatorRole.Role.LEAD)
        User.objects.filter(pk=named.pk).update(given_name="Zoé", usual_name="L’Hostis-Écu")
        near = staff(anct, OperatorRole.Role.READER)
        User.objects.filter(pk=near.pk).update(given_name="Zoé", usual_name="L’Hostis-Écureuil")
        thread.note(dossier, "@ZOE L'HOSTIS-ECU, un avis sur le secret ?", by=instructor)
        assert recipients("thread_mention") == {named.email}
        assert "secret" not in Notice.objects.get().body_text

    def test_a_stranger_named_is_not_told(self, dossier: Dossier, instructor: User, stranger: User) -> None:
        thread.note(dossier, f"@{stranger.get_full_name()}", by=instructor)
        assert not Notice.objects.exists()

    def test_a_commune_cannot_note(self, dossier: Dossier, agent: User) -> None:
        with pytest.raises(moves.NotAllowed):
            thread.note(dossier, "Bonjour.", by=agent)

    def test_the_database_knows_no_note_of_a_commune(self, dossier: Dossier) -> None:
        with pytest.raises(IntegrityError, match="message_note_is_operators"), transaction.atomic():
            MessageFactory.create(dossier=dossier, note=True, side=Message.Side.COMMUNE)


class TestEdit:
    def test_within_fifteen_minutes_it_is_mended_kept_and_told_again(
        self, dossier: Dossier, instructor: User, agent: User
    ) -> None:
        message = thread.write(dossier, "Avant mardi.", by=instructor)
        thread.edit(message, "Avant jeudi.", by=instructor)
        fresh = Message.objects.get()
        assert fresh.body == "Avant jeudi."
        assert [one.body for one in fresh.versions.all()] == ["Avant mardi."]
        told = Notice.objects.filter(kind="thread_message", recipient=agent.email).order_by("created_at")
        assert ["jeudi" in one.body_text for one in told] == [False, True]

    def test_after_fifteen_minutes_it_is_settled(self, dossier: Dossier, instructor: User) -> None:
        message = thread.write(dossier, "Avant mardi.", by=instructor)
        with (
            time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1), tick=False),
            pytest.raises(thread.Closed, match="quinze minutes"),
        ):
            thread.edit(message, "Avant jeudi.", by=instructor)
        assert Message.objects.get().body == "Avant mardi."

    def test_nobody_mends_another_s(self, dossier: Dossier, instructor: User, lead: User) -> None:
        message = thread.write(dossier, "Avant mardi.", by=instructor)
        with pytest.raises(moves.NotAllowed):
            thread.edit(message, "Autre chose.", by=lead)

    def test_of_two_tabs_the_second_is_told(self, dossier: Dossier, instructor: User) -> None:
        message = thread.write(dossier, "Un.", by=instructor)
        stale = Message.objects.get(pk=message.pk)
        thread.edit(message, "Deux.", by=instructor)
        with pytest.raises(thread.Closed, match="autre onglet"):
            thread.edit(stale, "Trois.", by=instructor)


class TestUnread:
    def unread(self, dossier: Dossier, user: User, *, for_staff: bool) -> int:
        return sum(getattr(one, "unread", False) for one in thread.visible(dossier, user, for_staff=for_staff))

    def test_what_the_other_side_wrote_is_unread_until_it_is_said_to_be_read(
        self, dossier: Dossier, instructor: User, agent: User
    ) -> None:
        thread.write(dossier, "Bonjour.", by=instructor)
        assert self.unread(dossier, agent, for_staff=False) == 1
        assert self.unread(dossier, instructor, for_staff=True) == 0
        thread.mark_read(dossier, by=agent)
        assert self.unread(dossier, agent, for_staff=False) == 0
        thread.write(dossier, "Encore.", by=instructor)
        assert self.unread(dossier, agent, for_staff=False) == 1

    def test_a_colleague_s_note_is_unread_for_the_others(self, dossier: Dossier, instructor: User, lead: User) -> None:
        thread.note(dossier, "Vu.", by=instructor)
        assert self.unread(dossier, lead, for_staff=True) == 1
        assert Reading.objects.filter(user=instructor).count() == 1


class TestLedger:
    def test_the_last_word_of_each_address_counts(self, dossier: Dossier, instructor: User) -> None:
        event = thread.write(dossier, "Bonjour.", by=instructor).event
        Notice.objects.all().delete()
        now = timezone.now()
        NoticeFactory.create(
            event=event, recipient="a@c.example", state="bounced", bounced_at=now, created_at=now - timedelta(days=2)
        )
        NoticeFactory.create(event=event, recipient="a@c.example", sent=True, created_at=now - timedelta(days=1))
        NoticeFactory.create(event=event, recipient="b@c.example", failed=True)
        assert [one.recipient for one in thread.unreached(thread.ledger(dossier))] == ["b@c.example"]

    def test_another_dossier_s_mail_is_another_s(self, dossier: Dossier, instructor: User) -> None:
        other = DossierFactory.create(in_review=True, operator=dossier.operator, assignee=instructor)
        thread.write(other, "Bonjour.", by=instructor)
        assert thread.ledger(dossier) == []


class TestFiles:
    def test_a_file_is_kept_under_a_name_that_says_nothing(self, dossier: Dossier, agent: User) -> None:
        thread.write(dossier, "Voici.", by=agent, files=[thread_files.prepare("délibération n°1.PDF", PDF)])
        kept = Attachment.objects.get()
        assert thread_files.content_of(kept) == PDF
        assert thread_files.download_name(kept) == "d-lib-ration-n-1.pdf"
        assert "lib" not in kept.stored_name

    @pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x.pdf", "a\x00b.pdf", "", "…" * 300, "/", 'x".pdf'])
    def test_a_name_is_only_a_name(self, name: str) -> None:
        shown = thread_files.prepare(name, PDF).name
        assert shown
        assert len(shown) <= 100
        assert not set(shown) & set('/\\"\x00')

    def test_a_program_under_the_name_of_a_pdf_is_not_kept(self) -> None:
        assert thread_files.prepare("x.pdf", b"MZ\x90\x00").checked is None

    def test_strays_go_after_a_day_and_the_others_stay(self, dossier: Dossier, agent: User, settings: Settings) -> None:
        thread.write(dossier, "Voici.", by=agent, files=[thread_files.prepare("x.pdf", PDF)])
        stray = Path(settings.ATTACHMENTS_DIR) / "0123"
        stray.write_bytes(b"x")
        thread_files.erase_strays()
        assert stray.exists()
        with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
            thread_files.erase_strays()
        assert not stray.exists()
        assert thread_files.content_of(Attachment.objects.get()) == PDF


class TestScan:
    @pytest.fixture
    def clamd(self, settings: Settings, tmp_path: Path) -> Iterator[dict[str, bytes]]:
        """Speak as clamd does, and remember what was shown."""
        said = {"answer": b"stream: OK\0", "shown": b""}
        path = str(tmp_path / "clamd")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen()

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line, line.makefile("rb") as stream:
                    assert stream.read(10) == b"zINSTREAM\0"
                    content = b""
                    while size := struct.unpack("!I", stream.read(4))[0]:
                        content += stream.read(size)
                    said["shown"] = content
                    line.sendall(said["answer"])

        thread_ = threading.Thread(target=serve, daemon=True)
        thread_.start()
        settings.CLAMD_SOCKET = path
        yield said
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread_.join(timeout=5)

    def attach(self, dossier: Dossier, agent: User) -> Attachment:
        thread.write(dossier, "Voici.", by=agent, files=[thread_files.prepare("x.pdf", PDF)])
        return Attachment.objects.get()

    def test_it_waits_until_it_was_looked_at(self, dossier: Dossier, agent: User, clamd: dict[str, bytes]) -> None:
        kept = self.attach(dossier, agent)
        assert thread_files.content_of(kept) is None
        thread_files.scan()
        kept.refresh_from_db()
        assert clamd["shown"] == PDF
        assert thread_files.content_of(kept) == PDF

    def test_what_clamd_knows_is_put_aside(
        self, dossier: Dossier, agent: User, clamd: dict[str, bytes],
        django_capture_on_commit_callbacks: object,
    ) -> None:  # fmt: skip
        clamd["answer"] = b"stream: Win.Test.EICAR_HDB-1 FOUND\0"
        kept = self.attach(dossier, agent)
        thread_files.scan()
        kept.refresh_from_db()
        assert (kept.state, kept.stored_name) == ("refused", "")

    @pytest.mark.parametrize("answer", [b"INSTREAM size limit exceeded. ERROR\0", b"", b"\xff\xfe"])
    def test_what_clamd_cannot_say_waits(
        self, dossier: Dossier, agent: User, clamd: dict[str, bytes], answer: bytes
    ) -> None:
        clamd["answer"] = answer
        kept = self.attach(dossier, agent)
        thread_files.scan()
        kept.refresh_from_db()
        assert kept.state == "waiting"

    def test_without_an_answer_it_waits(self, dossier: Dossier, agent: User, settings: Settings) -> None:
        settings.CLAMD_SOCKET = "/nowhere"
        kept = self.attach(dossier, agent)
        thread_files.scan()
        kept.refresh_from_db()
        assert kept.state == "waiting"


class TestDigests:
    def test_who_asked_for_it_once_a_day_hears_once_a_day(
        self, dossier: Dossier, agent: User, instructor: User
    ) -> None:
        thread_digests.choose(instructor, daily=True)
        for number in range(3):
            thread.write(dossier, f"Précision {number}.", by=agent)
        assert not Notice.objects.due().exists()
        thread_digests.send()
        assert not Notice.objects.due().exists()
        with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
            thread_digests.send()
            thread_digests.send()
            [digest] = Notice.objects.due()
        assert (digest.kind, digest.recipient) == ("digest", instructor.email)
        assert digest.gathered.count() == 3

    def test_what_asks_to_act_never_waits(self, dossier: Dossier, agent: User, instructor: User) -> None:
        thread_digests.choose(agent, daily=True)
        thread.write(dossier, "Répondez avant jeudi.", by=instructor)
        assert {one.recipient for one in Notice.objects.due()} == {agent.email, dossier.requester_email}


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_by_two_tabs_at_once_is_one_message(
    commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    dossier = DossierFactory.create(
        organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor
    )
    key, start = uuid4(), threading.Barrier(2)
    refused: list[Exception] = []

    def press() -> None:
        start.wait(timeout=10)
        try:
            thread.write(Dossier.objects.get(pk=dossier.pk), "Une fois.", by=agent, key=key)
        except Exception as error:  # noqa: BLE001 - looked at below
            refused.append(error)
        finally:
            connection.close()

    tabs = [threading.Thread(target=press) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert refused == []
    assert Message.objects.count() == Notice.objects.count() == 1
