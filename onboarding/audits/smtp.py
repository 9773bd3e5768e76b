"""Asks a mail server whether it encrypts: EHLO, STARTTLS, EHLO, QUIT, and nothing that looks like a message.

Every word is bounded: in bytes, in lines, and in time for the whole conversation.
"""

import socket
import ssl
import time

from onboarding.audits import tls

LINES_MAX, BYTES_MAX = 64, 16 * 1024
CONNECT, READ = 5.0, 10.0  # seconds
_READY, _OK = 220, 250


class _Silence(Exception):
    """The server said nothing that can be judged."""


class _Talk:
    """One conversation, until its deadline."""

    def __init__(self, link: socket.socket, deadline: float) -> None:
        self.link, self._deadline, self._buffer = link, deadline, b""

    def say(self, line: str) -> None:
        self._wait()
        self.link.sendall(f"{line}\r\n".encode("ascii"))

    def hear(self) -> tuple[int, list[str]]:
        """Return the code and the lines of one reply."""
        lines: list[str] = []
        while len(lines) < LINES_MAX:
            line = self._line()
            if len(line) < 3 or not line[:3].isdigit():  # noqa: PLR2004 - a code has three digits
                raise _Silence
            lines.append(line[4:].strip())
            if line[3:4] != "-":
                return int(line[:3]), lines
        raise _Silence

    def cover(self, context: ssl.SSLContext, host: str) -> str:
        """Start TLS, and return the version agreed upon. What was said in clear before is forgotten."""
        self._wait()
        self._buffer = b""
        covered = context.wrap_socket(self.link, server_hostname=host)
        self.link = covered
        return covered.version() or ""

    def _line(self) -> str:
        while b"\n" not in self._buffer:
            if len(self._buffer) > BYTES_MAX:
                raise _Silence
            self._wait()
            received = self.link.recv(4096)
            if not received:
                raise _Silence
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("ascii", "replace").rstrip("\r")

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _Silence
        self.link.settimeout(min(left, READ))


def negotiate(host: str, address: str, port: int, deadline: float, *, named: str) -> str | None:
    """Return the version of TLS that a mail server agrees to ("TLSv1.3"), "" when it does not encrypt.

    None when nothing can be said: nobody answers, or what answers is no mail server. `named` is who we say we are;
    `deadline` is a time of `time.monotonic()`.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    try:
        with socket.create_connection((address, port), min(left, CONNECT)) as link:
            talk = _Talk(link, deadline)
            try:
                return _negotiate(talk, host, named)
            finally:
                talk.link.close()
    except (OSError, UnicodeError, _Silence):
        return None


def _negotiate(talk: _Talk, host: str, named: str) -> str:
    code, _ = talk.hear()
    if code != _READY:
        raise _Silence  # « not now » and « not to you » say nothing of encryption
    talk.say(f"EHLO {named}")
    code, offers = talk.hear()
    if code != _OK or not any(offer.upper().split(" ")[0] == "STARTTLS" for offer in offers[1:]):
        talk.say("QUIT")
        return ""
    talk.say("STARTTLS")
    code, _ = talk.hear()
    if code != _READY:
        talk.say("QUIT")
        return ""
    try:
        version = talk.cover(tls.blind(ssl.TLSVersion.TLSv1), host)
    except ssl.SSLError:
        return ""
    talk.say(f"EHLO {named}")
    talk.hear()
    talk.say("QUIT")
    return version
