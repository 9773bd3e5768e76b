"""Bounces and answers over a real LMTP socket, as a mail server hands them over: bytes in, rows and messages out."""

import asyncio
import contextlib
import os
import random
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import connection, connections
from django.utils import timezone
from pytest_django import Settings

from onboarding.intake import thread, thread_answers
from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import Attachment, Message
from suite.accounts.models import User
from suite.notices import addresses, delivery, inbound, receiver
from suite.notices.delivery import NotTaken
from suite.notices.inbound_models import Inbound
from suite.notices.models import Notice
from tests.accounts.test_documents import PDF
from tests.factories.accounts import OperatorRoleFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory
from tests.factories.notices import NoticeFactory

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
SECRETARY = "camille@ailleurs.example"


class Server:
    """The receiver, in a thread with its own loop."""

    def __init__(self, place: receiver.Place) -> None:
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.where = ""
        self.thread = threading.Thread(target=self._run, args=(place,), daemon=True)

    def _run(self, place: receiver.Place) -> None:
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(receiver.serve(place, ready=self._up))
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.task)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _up(self, where: str) -> None:
        self.where = where
        self.ready.set()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(timeout=10)


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """Run the receiver on a free port, its database the test's."""
    running = Server(receiver.place_of("127.0.0.1:0"))
    running.thread.start()
    assert running.ready.wait(10)
    settings.INBOUND_LMTP = running.where
    yield running
    running.stop()
    receiver.Conversation.open_ones = 0


@pytest.fixture
def instructor() -> User:
    operator = OperatorFactory.create(national_one=True, email="anct@anct.example")
    user: User = OperatorRoleFactory.create(operator=operator).user
    return user


@pytest.fixture
def dossier(instructor: User) -> Dossier:
    operator = instructor.operator_roles.get().operator
    made: Dossier = DossierFactory.create(
        in_review=True, operator=operator, assignee=instructor, requester_email=SECRETARY
    )
    return made


@pytest.fixture
def asked(dossier: Dossier, instructor: User) -> Notice:
    """Return the notice by which the operator's question left to the secretary."""
    thread.write(dossier, "Pouvez-vous joindre la délibération ?", by=instructor)
    notice = Notice.objects.get(kind="thread_message", recipient=SECRETARY)
    Notice.objects.filter(pk=notice.pk).update(state=Notice.State.SENT, sent_at=timezone.now(), attempts=1)
    notice.refresh_from_db()
    return notice


def answer(body: str = "Oui, la voici.", **headers: str) -> bytes:
    """Write an answer as a mail program does."""
    known = {
        "From": f"Camille Dupont <{SECRETARY}>",
        "Subject": "Re: votre demande",
        "Message-ID": f"<{random.random()}@ailleurs.example>",  # noqa: S311 - a name
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in known.items())
    return f"{head}\r\n{body}".replace("\r\n", "\n").replace("\n", "\r\n").encode()


def give(raw: bytes, to: str, sender: str = SECRETARY) -> None:
    delivery.hand_over(raw, sender=sender, to=to)


def handle() -> None:
    inbound.sort()
    thread_answers.file_answers()


def outcome() -> tuple[str, str]:
    one = Inbound.objects.latest("received_at")
    return one.state, one.reason


class TestTheDoor:
    def test_an_address_that_we_did_not_sign_is_unknown(self, server: Server, asked: Notice) -> None:
        right = addresses.answer_address(asked)
        other = NoticeFactory.create(answers_until=timezone.localdate() + timedelta(days=90))
        forged = right.replace(right[8:34], addresses.answer_address(other)[8:34])
        for address in (
            forged,
            right.replace("@", "x@"),
            right[:-1],
            "postmaster@retours.suite.example",
            "reponse+@retours.suite.example",
            right.replace("retours.", "ailleurs."),
        ):
            with pytest.raises(NotTaken) as refusal:
                give(answer(), address)
            assert refusal.value.code == 550
        assert not Inbound.objects.exists()

    def test_a_changed_letter_of_the_signature_is_enough_to_be_unknown(self, server: Server, asked: Notice) -> None:
        local, _, domain = addresses.answer_address(asked).partition("@")
        for position in range(len("reponse+"), len(local)):
            changed = local[:position] + ("b" if local[position] == "a" else "a") + local[position + 1 :]
            known = addresses.read(f"{changed}@{domain}")
            assert known is None or known.notice == asked.pk

    def test_the_address_works_in_capitals(self, server: Server, asked: Notice) -> None:
        give(answer(), addresses.answer_address(asked).upper())
        assert Inbound.objects.count() == 1

    def test_an_address_that_expired_says_where_to_answer(self, server: Server, asked: Notice) -> None:
        address = addresses.answer_address(asked)
        with (
            time_machine.travel(timezone.now() + timedelta(days=91), tick=True),
            pytest.raises(NotTaken, match="expire"),
        ):
            give(answer(), address)

    def test_a_notice_that_is_gone_takes_nothing(self, server: Server) -> None:
        notice = NoticeFactory.create(sent=True)
        address = addresses.bounce_address(notice)
        notice.delete()
        with pytest.raises(NotTaken, match="inconnue"):
            give(answer(), address, sender="")

    def test_what_is_too_large_is_refused_and_not_kept(self, server: Server, asked: Notice) -> None:
        with pytest.raises(NotTaken) as refusal:
            give(answer("x" * 76 + "\n" + ("y" * 76 + "\n") * (inbound.LARGEST // 77)), addresses.answer_address(asked))
        assert refusal.value.code == 552
        assert not Inbound.objects.exists()

    def test_one_who_lies_about_the_size_is_refused_at_the_end(self, server: Server, asked: Notice) -> None:
        host, _, port = server.where.rpartition(":")
        with smtplib.LMTP(host, int(port)) as line:
            line.ehlo_or_helo_if_needed()
            line.mail(SECRETARY)
            line.rcpt(addresses.answer_address(asked))
            code, _ = line.data(answer(("y" * 76 + "\n") * (inbound.LARGEST // 77 + 1)))
        assert code == 552
        assert not Inbound.objects.exists()

    def test_the_same_message_twice_is_one_row(self, server: Server, asked: Notice) -> None:
        raw = answer()
        give(raw, addresses.answer_address(asked))
        give(raw, addresses.answer_address(asked))
        assert Inbound.objects.count() == 1

    def test_a_second_recipient_waits_for_a_message_of_its_own(self, server: Server, asked: Notice) -> None:
        host, _, port = server.where.rpartition(":")
        with smtplib.LMTP(host, int(port)) as line:
            line.ehlo_or_helo_if_needed()
            line.mail(SECRETARY)
            assert line.rcpt(addresses.answer_address(asked))[0] == 250
            assert line.rcpt(addresses.bounce_address(asked))[0] == 452

    def test_one_address_takes_twenty_messages_a_day(
        self, server: Server, asked: Notice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbound, "MOST_A_DAY", 3)
        for number in range(3):
            give(answer(f"Message {number}"), addresses.answer_address(asked))
        with pytest.raises(NotTaken, match="attente"):
            give(answer("Un de trop"), addresses.answer_address(asked))
        assert Inbound.objects.count() == 3

    def test_a_crowd_is_asked_to_come_back(self, server: Server, asked: Notice) -> None:
        host, _, port = server.where.rpartition(":")
        crowd = [socket.create_connection((host, int(port)), timeout=5) for _ in range(receiver.MOST_CONNECTIONS)]
        for one in crowd:
            assert one.recv(100).startswith(b"220")
        with socket.create_connection((host, int(port)), timeout=5) as late:
            assert late.recv(100).startswith(b"421")
        for one in crowd:
            one.close()
        until = time.monotonic() + 5
        while receiver.Conversation.open_ones and time.monotonic() < until:
            time.sleep(0.02)
        give(answer(), addresses.answer_address(asked))
        assert Inbound.objects.count() == 1

    def test_who_says_nothing_is_shown_out(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(receiver, "IDLE_SECONDS", 0.2)
        running = Server(receiver.place_of("127.0.0.1:0"))
        running.thread.start()
        assert running.ready.wait(10)
        host, _, port = running.where.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as line:
            assert line.recv(100).startswith(b"220")
            assert line.recv(100) == b""
        running.stop()

    def test_a_database_that_is_away_asks_to_come_back(
        self, server: Server, asked: Notice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address, raw = addresses.answer_address(asked), answer()
        # In place: the receiver's threads keep the dictionary that they were given.
        monkeypatch.setitem(connections.settings["default"], "PORT", "1")
        monkeypatch.setitem(connections.settings["default"], "HOST", "127.0.0.1")
        with pytest.raises(NotTaken, match="indisponible"):
            give(raw, address)
        monkeypatch.undo()
        # Another thread of the receiver's, or the same with a new connection: the message goes in.
        until = time.monotonic() + 10
        while not Inbound.objects.exists() and time.monotonic() < until:
            with contextlib.suppress(NotTaken):
                give(raw, address)
        assert Inbound.objects.count() == 1

    @pytest.mark.parametrize("place", ["0.0.0.0:24", "192.168.1.2:24", "mail.example:24", ":24", "unix:x", "127.0.0.1"])
    def test_it_listens_where_only_this_machine_speaks(self, place: str) -> None:
        with pytest.raises(receiver.CannotListen):
            receiver.place_of(place)

    def test_the_logs_name_nobody(self, server: Server, asked: Notice, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        give(answer("Une phrase secrète."), addresses.answer_address(asked))
        handle()
        assert "inbound" in caplog.text
        for word in (SECRETARY, "Camille", "secrète", "127.0.0.1", "reponse+"):
            assert word not in "\n".join(one.getMessage() for one in caplog.records if one.name != "mail.log")


class TestAnswers:
    def test_an_answer_joins_the_thread_without_what_it_quotes(
        self, server: Server, dossier: Dossier, asked: Notice
    ) -> None:
        give(
            answer("Bonjour,\n\nOui, demain.\n\nLe lun. 23 nov. 2026 à 10:00, La Suite a écrit :\n> Pouvez-vous ?\n"),
            addresses.answer_address(asked),
        )
        handle()

        message = dossier.messages.get(side=Message.Side.COMMUNE)
        assert message.body == "Bonjour,\n\nOui, demain."
        assert "Pouvez-vous" in message.original
        assert message.kind == Message.Kind.MESSAGE
        assert outcome() == ("done", "")
        told = Notice.objects.get(kind="thread_answer")
        assert "Oui, demain." in told.body_text
        assert told.answers_until is None

    def test_its_files_come_along_drawn_anew_or_said_to_be_refused(
        self, server: Server, dossier: Dossier, asked: Notice
    ) -> None:
        raw = mixed(
            b"Content-Type: text/plain; charset=utf-8\r\n\r\nVoici.",
            b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="../../d\xe9lib.pdf"\r\n\r\n'
            + PDF,
            b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="photo.png"\r\n\r\nMZ\x90 program',
            b"Content-Type: image/png\r\nContent-ID: <logo>\r\n\r\nsignature",
        )
        give(raw, addresses.answer_address(asked))
        handle()

        message = dossier.messages.get(side=Message.Side.COMMUNE)
        files = {file.name: file.state for file in message.attachments.all()}
        assert sorted(files.values()) == ["ready", "refused"]
        assert files["photo.png"] == Attachment.State.REFUSED
        assert not any("/" in name or name.startswith(".") for name in files)

    def test_the_same_answer_handed_over_by_two_ways_is_one_message(
        self, server: Server, dossier: Dossier, asked: Notice
    ) -> None:
        raw = answer("Oui.", Message_ID="<une@ailleurs.example>")
        give(raw, addresses.answer_address(asked))
        give(b"Received: by another way\r\n" + raw, addresses.answer_address(asked))
        handle()
        assert dossier.messages.filter(side=Message.Side.COMMUNE).count() == 1
        assert Inbound.objects.filter(state="done").count() == 2

    def test_another_s_address_is_not_the_recipient_s(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(answer(From="Quelqu’un <autre@ailleurs.example>"), addresses.answer_address(asked))
        handle()
        assert outcome()[0] == "refused"
        assert not dossier.messages.filter(side=Message.Side.COMMUNE).exists()
        assert [one.state for one in thread_answers.refused(dossier)] == ["refused"]

    @pytest.mark.parametrize(
        "sender",
        [
            f"{SECRETARY}, autre@ailleurs.example",
            f'"{SECRETARY}" <autre@ailleurs.example>',
            f"autre@ailleurs.example <{SECRETARY}",
            "",
        ],
    )
    def test_a_from_that_plays_with_its_reader_is_nobody_s(
        self, server: Server, dossier: Dossier, asked: Notice, sender: str
    ) -> None:
        give(answer(From=sender), addresses.answer_address(asked))
        handle()
        assert outcome()[0] == "refused"
        assert not dossier.messages.filter(side=Message.Side.COMMUNE).exists()

    def test_two_from_lines_are_nobody_s(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(b"From: autre@ailleurs.example\r\n" + answer(), addresses.answer_address(asked))
        handle()
        assert outcome()[0] == "refused"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Auto_Submitted": "auto-replied"},
            {"Auto_Submitted": "auto-replied; owner=x"},
            {"Precedence": "bulk"},
            {"Precedence": "auto_reply"},
            {"X_Autoreply": "yes"},
            {"List_Id": "<liste.example>"},
        ],
        ids=str,
    )
    def test_an_automatic_answer_is_left_aside(
        self, server: Server, dossier: Dossier, asked: Notice, headers: dict[str, str]
    ) -> None:
        give(answer("Je suis absente.", **headers), addresses.answer_address(asked))
        handle()
        assert outcome()[0] == "ignored"
        assert not dossier.messages.filter(side=Message.Side.COMMUNE).exists()

    def test_our_own_message_coming_back_goes_no_further(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(answer(Message_ID=f"<{asked.pk}@suite.example>"), addresses.answer_address(asked))
        handle()
        assert outcome() == ("ignored", "Un de nos propres messages nous revient.")

    def test_a_null_sender_never_answers(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(answer(), addresses.answer_address(asked), sender="")
        handle()
        assert outcome()[0] == "ignored"

    def test_a_page_alone_is_read_for_its_words(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        page = (
            "<html><head><style>p{}</style><script>alert(1)</script></head><body><p>D&eacute;j&agrave; fait.</p>"
            "<div>Merci <b>bien</b></div><blockquote>Pouvez-vous ?</blockquote></body></html>"
        )
        give(answer(page, Content_Type="text/html; charset=iso-8859-1"), addresses.answer_address(asked))
        handle()
        body = dossier.messages.get(side=Message.Side.COMMUNE).body
        assert body.split() == ["Déjà", "fait.", "Merci", "bien"]
        assert "alert" not in body

    @pytest.mark.parametrize(
        ("charset", "content"),
        [
            ("us-ascii", "Délibération jointe".encode()),
            ("utf-8", "Délibération jointe".encode("cp1252")),
            ("utf-7", "Délibération jointe".encode()),
            ("no-such-charset", "Délibération jointe".encode()),
            ("utf-16", b"\xff"),
            ("base64", b"D\xe9lib\x00\x01ration"),
        ],
    )
    def test_a_charset_that_lies_still_gives_words(
        self, server: Server, dossier: Dossier, asked: Notice, charset: str, content: bytes
    ) -> None:
        head = answer("", Content_Type=f"text/plain; charset={charset}")
        give(head + content, addresses.answer_address(asked))
        handle()
        message = dossier.messages.get(side=Message.Side.COMMUNE)
        assert message.body
        assert "\x00" not in message.body

    @pytest.mark.parametrize("depth", [150, 3000])
    def test_a_message_in_a_message_without_end_harms_nobody(
        self, server: Server, dossier: Dossier, asked: Notice, depth: int
    ) -> None:
        body = b"".join(
            b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level, level + 1)
            for level in range(depth)
        )
        head = answer("", Content_Type="multipart/mixed; boundary=b0")
        give(head + body, addresses.answer_address(asked))
        give(answer("Une vraie réponse."), addresses.answer_address(asked))
        handle()
        assert dossier.messages.filter(side=Message.Side.COMMUNE, body="Une vraie réponse.").count() == 1
        assert not Inbound.objects.filter(state__in=["received", "answer"]).exists()

    def test_a_thousand_parts_are_too_many(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(mixed(*[b"Content-Type: text/plain\r\n\r\nx"] * 1000), addresses.answer_address(asked))
        handle()
        assert outcome() == ("refused", inbound.UNREADABLE)

    def test_a_very_long_answer_is_cut_and_kept(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        give(answer("mot " * 5000), addresses.answer_address(asked))
        handle()
        message = dossier.messages.get(side=Message.Side.COMMUNE)
        assert len(message.body) <= 5000
        assert len(message.original) > 19_000

    def test_noise_of_any_kind_never_stops_the_sweep(self, server: Server, dossier: Dossier, asked: Notice) -> None:
        chance = random.Random(7)  # noqa: S311 - noise
        for _ in range(15):
            noise = bytes(chance.randrange(256) for _ in range(2000)).replace(b"\r", b"").replace(b"\n", b"\r\n")
            give(noise + b"\r\n", addresses.answer_address(asked))
        handle()
        assert not Inbound.objects.filter(state__in=["received", "answer"]).exists()

    def test_a_closed_dossier_takes_no_answer_and_says_so_once(
        self, server: Server, dossier: Dossier, asked: Notice
    ) -> None:
        Dossier.objects.filter(pk=dossier.pk).update(status=Dossier.Status.WITHDRAWN)
        give(answer(), addresses.answer_address(asked))
        handle()
        handle()
        assert not dossier.messages.filter(side=Message.Side.COMMUNE).exists()
        told = Notice.objects.get(kind="thread_closed")
        assert told.recipient == SECRETARY


class TestBounces:
    def test_a_bounce_is_written_in_the_ledger_with_its_code(self, server: Server, asked: Notice) -> None:
        give(report(asked.recipient, "failed", "5.1.1"), addresses.bounce_address(asked), sender="")
        handle()
        asked.refresh_from_db()
        assert (asked.state, asked.error) == ("bounced", "Le serveur du destinataire a renvoyé le message (5.1.1).")
        assert asked.bounced_at is not None
        assert [one.pk for one in thread.unreached(thread.ledger(Dossier.objects.get()))] == [asked.pk]

    def test_a_bounce_heard_twice_is_one_bounce(self, server: Server, asked: Notice) -> None:
        for code in ("5.1.1", "5.2.2"):
            give(report(asked.recipient, "failed", code), addresses.bounce_address(asked), sender="")
        handle()
        asked.refresh_from_db()
        assert "5.1.1" in asked.error or "5.2.2" in asked.error
        assert Inbound.objects.filter(state="done").count() == 2

    def test_a_delay_is_not_a_bounce(self, server: Server, asked: Notice) -> None:
        give(report(asked.recipient, "delayed", "4.4.1"), addresses.bounce_address(asked), sender="")
        handle()
        asked.refresh_from_db()
        assert asked.state == Notice.State.SENT

    def test_an_absence_sent_to_the_bounce_address_is_not_a_bounce(self, server: Server, asked: Notice) -> None:
        give(answer("Je suis absente.", Auto_Submitted="auto-replied"), addresses.bounce_address(asked), sender="")
        handle()
        asked.refresh_from_db()
        assert asked.state == Notice.State.SENT

    def test_what_never_left_cannot_come_back(self, server: Server) -> None:
        notice = NoticeFactory.create()
        give(report(notice.recipient, "failed", "5.1.1"), addresses.bounce_address(notice), sender="")
        handle()
        notice.refresh_from_db()
        assert notice.state == Notice.State.QUEUED


def mixed(*parts: bytes) -> bytes:
    head = answer("", Content_Type="multipart/mixed; boundary=frontiere")
    return head + b"".join(b"--frontiere\r\n" + part + b"\r\n" for part in parts) + b"--frontiere--\r\n"


def report(recipient: str, action: str, code: str) -> bytes:
    """Write what Postfix sends back (RFC 3464)."""
    return (
        "From: MAILER-DAEMON@ailleurs.example (Mail Delivery System)\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\r\n\r\n'
        f"--B\r\nContent-Type: text/plain\r\n\r\n<{recipient}>: host said: {code}\r\n\r\n"
        "--B\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; ailleurs.example\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {code}\r\n\r\n"
        "--B--\r\n"
    ).encode()


# --- Killed ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Yield a function that starts `manage.py receive_mail` on a socket file; leave none behind."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": database.geturl(),
        "INBOUND_LMTP": f"unix:{path}",
    }
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        one = subprocess.Popen(
            [sys.executable, "manage.py", "receive_mail"], cwd=ROOT, env=environment, stdout=subprocess.PIPE
        )
        running.append(one)
        assert one.stdout is not None
        assert b"Receiving" in one.stdout.readline()
        return one

    try:
        yield start
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
            one.wait()
            if one.stdout:
                one.stdout.close()


@pytest.mark.slow
def test_a_receiver_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    asked: Notice, dossier: Dossier, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "lmtp"
    settings.INBOUND_LMTP = f"unix:{path}"
    # Each answer to a notice of its own, as no address takes many.
    notices = [
        NoticeFactory.create(
            sent=True, event=asked.event, recipient=SECRETARY, answers_until=asked.answers_until, kind="thread_message"
        )
        for _ in range(40)
    ]
    chance, said_yes, deaths = random.Random(), 0, 0  # noqa: S311 - when to kill
    with process(path) as start:
        running = start()
        for number, notice in enumerate(notices):
            raw = answer(f"Réponse {number}", Message_ID=f"<{number}@ailleurs.example>")
            if number % 8 == 3:
                victim = running
                threading.Timer(chance.uniform(0, 0.03), victim.send_signal, [signal.SIGKILL]).start()
            while True:
                try:
                    give(raw, addresses.answer_address(notice))
                except NotTaken:
                    if running.poll() is not None or running.wait(timeout=5) is not None:
                        deaths += 1
                        running = start()
                    continue
                said_yes += 1
                break
            if running.poll() is not None:
                deaths += 1
                running = start()
        assert Inbound.objects.count() == said_yes == 40
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0
    assert deaths >= 3
    handle()
    bodies = dossier.messages.filter(side=Message.Side.COMMUNE).values_list("body", flat=True)
    assert sorted(bodies) == sorted(f"Réponse {number}" for number in range(40))
