"""Notices over a real socket, to a server that speaks SMTP: what arrives, and what each refusal becomes."""

import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from suite.notices import delivery
from suite.notices.models import Notice
from tests.factories.notices import NoticeFactory

pytestmark = pytest.mark.django_db


class MailServer(socketserver.ThreadingTCPServer):
    """Keep what is sent; `answers` replaces the usual reply to a verb, `hang_up` ends the talk after a message."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.received: list[bytes] = []
        self.answers: dict[str, str] = {}
        self.hang_up = False

    def messages(self) -> list[EmailMessage]:
        """Return what arrived, parsed."""
        return [message_from_bytes(raw, policy=policy.default) for raw in self.received]


class Conversation(socketserver.StreamRequestHandler):
    """The part of RFC 5321 that one client needs."""

    server: MailServer

    def handle(self) -> None:
        self.say("220 essai ESMTP")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(":")[0].split()[0].upper()
            if verb == "DATA" and verb not in self.server.answers:
                self.say("354 go on")
                self.server.received.append(self.message())
                if self.server.hang_up:
                    return
                self.say(self.server.answers.get("END", "250 kept"))
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say(self.server.answers.get(verb, "250 fine"))

    def message(self) -> bytes:
        """Read until the lone dot."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def say(self, words: str) -> None:
        """Answer one line."""
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    """Run a mail server and point the site at it."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.server_address[1]
        settings.EMAIL_TIMEOUT = 2
        yield server
        server.shutdown()
        thread.join()


def test_a_message_arrives_in_text_and_html_under_the_notice_s_id(server: MailServer) -> None:
    notice = NoticeFactory.create(subject="L’Île-d’Yeu : c’est prêt", body_text="Bonjour,\n.\nÀ bientôt.\n")

    delivery.deliver(notice.pk)

    [message] = server.messages()
    assert message["Subject"] == "L’Île-d’Yeu : c’est prêt"
    assert message["To"] == notice.recipient
    assert message["Message-ID"] == f"<{notice.pk}@suite.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == ["Bonjour,", ".", "À bientôt."]
    assert "<p>Bonjour,</p>" in html.get_content()
    notice.refresh_from_db()
    assert notice.state == Notice.State.SENT


@pytest.mark.parametrize(
    ("verb", "answer", "state", "cause"),
    [
        ("RCPT TO", "550 5.1.1 mairie unknown", Notice.State.FAILED, "Adresse refusée par le serveur d’envoi (550)."),
        ("RCPT TO", "451 4.7.1 greylisted", Notice.State.QUEUED, "pour le moment (451)."),
        ("DATA", "554 5.7.1 spam", Notice.State.FAILED, "Message refusé par le serveur d’envoi (554)."),
        ("END", "552 too big", Notice.State.FAILED, "Message refusé par le serveur d’envoi (552)."),
        ("END", "452 no room", Notice.State.QUEUED, "pour le moment (452)."),
        ("MAIL FROM", "550 who are you", Notice.State.QUEUED, "Notre adresse d’expéditeur est refusée"),
    ],
)
def test_each_refusal_is_permanent_or_not_as_the_server_says(
    server: MailServer, verb: str, answer: str, state: Notice.State, cause: str
) -> None:
    server.answers[verb.partition(" ")[0]] = answer
    notice = NoticeFactory.create()

    delivery.deliver(notice.pk)

    notice.refresh_from_db()
    assert (notice.state, cause in notice.error) == (state, True)
    assert notice.recipient not in notice.error


def test_a_server_that_dies_before_its_answer_gets_the_same_message_again(server: MailServer) -> None:
    notice = NoticeFactory.create()
    server.hang_up = True
    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.state == Notice.State.QUEUED

    server.hang_up = False
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        delivery.deliver(notice.pk)

    notice.refresh_from_db()
    assert notice.state == Notice.State.SENT
    first, second = server.messages()
    assert first["Message-ID"] == second["Message-ID"]


def test_a_server_that_is_down_keeps_the_notice_for_later(server: MailServer, settings: Settings) -> None:
    port = settings.EMAIL_PORT
    settings.EMAIL_PORT = 1
    notice = NoticeFactory.create()

    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert (notice.state, notice.error) == (
        Notice.State.QUEUED,
        "Serveur d’envoi injoignable (ConnectionRefusedError).",
    )

    settings.EMAIL_PORT = port
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        delivery.deliver(notice.pk)
        delivery.deliver(notice.pk)

    assert len(server.received) == 1
