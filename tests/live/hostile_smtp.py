"""A mail server that plays every bad one a probe may meet: each runs on a port of its own."""

import socket
import ssl
import threading
import time
from typing import Self

from tests.live.certificates import Authority


class HostileSmtp:
    """Serves one behaviour on loopback, until it leaves its `with`. `said` keeps what clients said."""

    def __init__(self, behaviour: str, authority: Authority) -> None:
        self._behave, self._authority = getattr(self, f"_{behaviour}"), authority
        self.said: list[str] = []
        self.sent = 0
        self._stop = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.1)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                link, _ = self._listening.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._meet, args=(link,), daemon=True).start()

    def _meet(self, link: socket.socket) -> None:
        link.settimeout(10)
        try:
            with link:
                self._behave(link)
        except OSError:
            pass

    def _hear(self, link: socket.socket) -> str:
        line = b""
        while not line.endswith(b"\n"):
            received = link.recv(1)
            if not received:
                raise OSError("hung up")
            line += received
        self.said.append(line.decode("latin-1").strip())
        return self.said[-1].upper()

    def _welcome(self, link: socket.socket, *offers: str) -> None:
        link.sendall(b"220 mx.example ESMTP\r\n")
        self._hear(link)
        lines = ["mx.example", "PIPELINING", *offers]
        last = len(lines) - 1
        link.sendall("".join(f"250{' ' if at == last else '-'}{line}\r\n" for at, line in enumerate(lines)).encode())

    def _cover(self, link: socket.socket, context: ssl.SSLContext) -> None:
        with context.wrap_socket(link, server_side=True) as covered:
            self._hear(covered)
            covered.sendall(b"250 mx.example\r\n")
            self._hear(covered)
            covered.sendall(b"221 bye\r\n")

    # --- Each behaviour -----------------------------------------------------------------------------------------------

    def _good(self, link: socket.socket) -> None:
        self._welcome(link, "STARTTLS", "8BITMIME")
        self._hear(link)
        link.sendall(b"220 go\r\n")
        self._cover(link, self._authority.context("mx.example"))

    def _good12(self, link: socket.socket) -> None:
        """Speaks TLS 1.2 at most, with an expired certificate: what encrypts is what counts."""
        self._welcome(link, "STARTTLS")
        self._hear(link)
        link.sendall(b"220 go\r\n")
        context = self._authority.context("mx12.example", start=-90, end=-1)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._cover(link, context)

    def _plain(self, link: socket.socket) -> None:
        self._welcome(link)
        self._hear(link)

    def _oneline(self, link: socket.socket) -> None:
        """Greets, and offers nothing at all."""
        link.sendall(b"220 mx\r\n")
        self._hear(link)
        link.sendall(b"250 STARTTLS\r\n")  # a name, not an offer
        self._hear(link)

    def _old(self, link: socket.socket) -> None:
        """Knows no EHLO."""
        link.sendall(b"220 mx\r\n")
        self._hear(link)
        link.sendall(b"502 what?\r\n")
        self._hear(link)

    def _liar(self, link: socket.socket) -> None:
        """Offers TLS, and refuses it."""
        self._welcome(link, "STARTTLS")
        self._hear(link)
        link.sendall(b"454 not now\r\n")
        self._hear(link)

    def _fake(self, link: socket.socket) -> None:
        """Agrees to TLS, and speaks something else."""
        self._welcome(link, "STARTTLS")
        self._hear(link)
        link.sendall(b"220 go\r\n")
        link.recv(10)
        link.sendall(b"250 this is no handshake\r\n" * 10)

    def _frozen(self, link: socket.socket) -> None:
        """Agrees to TLS, and says no more."""
        self._welcome(link, "STARTTLS")
        self._hear(link)
        link.sendall(b"220 go\r\n")
        self._mute(link)

    def _busy(self, link: socket.socket) -> None:
        link.sendall(b"421 too many connections\r\n")

    def _closed(self, link: socket.socket) -> None:
        link.sendall(b"554 no mail from you\r\n")

    def _mute(self, link: socket.socket) -> None:
        """Never greets."""
        while not self._stop.is_set():
            time.sleep(0.05)

    def _dripping(self, link: socket.socket) -> None:
        """A greeting of one line that never ends, byte by byte."""
        link.sendall(b"220 ")
        while not self._stop.is_set():
            link.sendall(b"a")
            time.sleep(0.05)

    def _longline(self, link: socket.socket) -> None:
        """A line without end, as fast as it is read."""
        link.sendall(b"220 ")
        while not self._stop.is_set():
            self.sent += link.send(b"a" * 65536)

    def _manylines(self, link: socket.socket) -> None:
        """A reply without end."""
        while not self._stop.is_set():
            self.sent += link.send(b"220-again\r\n" * 1000)

    def _garbage(self, link: socket.socket) -> None:
        link.sendall(bytes(range(256)) * 4 + b"\r\n")

    def _web(self, link: socket.socket) -> None:
        link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def _hangup(self, link: socket.socket) -> None:
        """Says nothing and leaves."""

    def _leaves(self, link: socket.socket) -> None:
        """Leaves in the middle of its offers."""
        link.sendall(b"220 mx\r\n")
        self._hear(link)
        link.sendall(b"250-mx\r\n250-START")

    def _injected(self, link: socket.socket) -> None:
        """Says in clear, before TLS, what should come after: it must be forgotten."""
        self._welcome(link, "STARTTLS")
        self._hear(link)
        link.sendall(b"220 go\r\n250 forged\r\n")
        self._cover(link, self._authority.context("mx.example"))
