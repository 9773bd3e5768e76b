"""Old servers that lie, drip, swell or say nonsense: each ends in one of our own outcomes, and in bounded time."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.provisioning.backends import imap
from onboarding.provisioning.backends.local import LocalDns
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused, Unavailable
from tests.live.old_server import HOST, certificate

pytestmark = pytest.mark.django_db
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"
Say = Callable[[socket.socket, str, str], None]


class Hostile:
    """Answers one connection after the other; `says` maps a command to what is sent back, TAG standing for its tag."""

    def __init__(self, place: Path) -> None:
        certificate(place)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(place / "cert.pem", place / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.greeting = GREETING
        self.says: dict[str, bytes] = {
            "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n",
            "AUTHENTICATE": b"+ \r\n",
            "LIST": b'* LIST () "/" INBOX\r\nTAG OK done\r\n',
            "EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK [READ-ONLY] done\r\n",
            "FETCH": b'* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 10 INTERNALDATE "01-Jan-2020 00:00:00 +0000")\r\n'
            b"TAG OK done\r\n",
        }
        self.heard: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            with (
                contextlib.suppress(OSError, ssl.SSLError),
                self.context.wrap_socket(plain, server_side=True) as secure,
            ):
                self._talk(secure)

    def _talk(self, secure: ssl.SSLSocket) -> None:
        secure.sendall(self.greeting)
        lines, waiting = secure.makefile("rb"), ""
        for line in lines:
            if waiting:  # the proof that follows AUTHENTICATE
                secure.sendall(f"{waiting} OK in\r\n".encode())
                waiting = ""
                continue
            tag, _, rest = line.decode().strip().partition(" ")
            self.heard.append(rest)
            command = rest.removeprefix("UID ").split(" ")[0].upper()
            if "BODY" in rest:
                command = "BODY"
            answer = self.says.get(command)
            if answer is None:
                return
            if command == "AUTHENTICATE" and answer == b"+ \r\n":
                waiting = tag
            secure.sendall(answer.replace(b"TAG", tag.encode()))


@pytest.fixture
def hostile(settings: Settings, tmp_path: Path) -> Iterator[Hostile]:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    settings.AUDIT_PRIVATE_ADDRESSES = True
    server = Hostile(tmp_path)
    settings.AUDIT_CA_FILE = str(tmp_path / "cert.pem")
    LocalDns().ensure_zone("ancien.example", owner="tests")
    LocalDns().ensure_records("ancien.example", [Record(HOST, "A", ("127.0.0.1",))], owner="tests")
    yield server
    server.listener.close()


def visit(server: Hostile, *, seconds: float = 5) -> list[tuple[int, bytes]]:
    found = []
    account = imap.Account(HOST, "mairie", "secret", server.port)
    with imap.opened(account, seconds=seconds) as source:
        for folder in source.folders():
            source.enter(folder)
            found += [(old.uid, source.message(old)) for old in source.after(0)]
    return found


def test_an_honest_answer_is_read(hostile: Hostile) -> None:
    hostile.says["BODY"] = b"* 1 FETCH (UID 5 BODY[] {5}\r\nHello)\r\nTAG OK done\r\n"
    assert visit(hostile) == [(5, b"Hello")]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("BODY", b"* 1 FETCH (UID 5 BODY[] {99999999999}\r\n"),
        ("BODY", b"* 1 FETCH (UID 5 BODY[] {5}\r\nHel"),
        ("LIST", b"* LIST () " + b"x" * 200_000),
        ("LIST", b'* LIST () "/" {99999999}\r\n'),
        ("EXAMINE", b"nonsense\r\n"),
        ("CAPABILITY", b"\xff\xfe\x00\r\n"),
        ("AUTHENTICATE", b"* BYE too many connections\r\n"),
    ],
)
def test_what_swells_breaks_off_or_is_nonsense_is_a_trouble_of_the_old_server(
    hostile: Hostile, command: str, answer: bytes
) -> None:
    hostile.says[command] = answer
    started = time.monotonic()
    with pytest.raises((Unavailable, imap.Unreadable)):
        visit(hostile, seconds=2)
    assert time.monotonic() - started < 6


def test_a_server_that_says_nothing_is_left_in_time(hostile: Hostile) -> None:
    hostile.greeting = b"* "
    started = time.monotonic()
    with pytest.raises(Unavailable, match="imap_"):
        visit(hostile, seconds=1)
    assert time.monotonic() - started < 5


def test_another_message_than_the_one_asked_is_not_taken(hostile: Hostile) -> None:
    hostile.says["BODY"] = b"* 1 FETCH (UID 6 BODY[] {5}\r\nHello)\r\nTAG OK done\r\n"
    with pytest.raises(imap.Unreadable, match="gone"):
        visit(hostile)


def test_a_refused_password_is_told_apart_from_a_server_in_trouble(hostile: Hostile) -> None:
    hostile.says["AUTHENTICATE"] = b"TAG NO [AUTHENTICATIONFAILED] no\r\n"
    with pytest.raises(Refused, match="bad_password"):
        visit(hostile)
    hostile.says["AUTHENTICATE"] = b"TAG NO [UNAVAILABLE] later\r\n"
    with pytest.raises(Unavailable):
        visit(hostile)


def test_nothing_but_reading_is_ever_asked(hostile: Hostile) -> None:
    hostile.says["BODY"] = b"* 1 FETCH (UID 5 BODY[] {5}\r\nHello)\r\nTAG OK done\r\n"
    visit(hostile)
    commands = {line.removeprefix("UID ").split(" ")[0].upper() for line in hostile.heard}
    assert commands <= {"CAPABILITY", "AUTHENTICATE", "NAMESPACE", "LIST", "EXAMINE", "FETCH"}
    assert all("PEEK" in line for line in hostile.heard if "BODY" in line)
