"""A web server that plays every bad site a probe may meet: the first label of the name says which (« www. » apart)."""

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Self

from tests.live.certificates import Authority

PAGE = b"<!doctype html><title>Mairie</title><p>Bonjour"


def answer(body: bytes = PAGE, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: text/html", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class HostileWeb:
    """Serves http and https on loopback, until it leaves its `with`. `asked` counts the requests, by address."""

    def __init__(self, place: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.heads: list[str] = []
        self.sent: Counter[str] = Counter()  # bytes, by name
        self.authority = Authority(place)
        self._stop = threading.Event()
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.http, self.https = (each.getsockname()[1] for each in self._sockets)
        for each in self._sockets:
            each.settimeout(0.1)
        self._threads = [
            threading.Thread(target=self._accept, args=(each, secure), daemon=True)
            for each, secure in zip(self._sockets, (False, True), strict=True)
        ]
        self._tls = self.authority.context("default.example")
        self._tls.sni_callback = self._choose

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self, listening: socket.socket, secure: bool) -> None:  # noqa: FBT001 - a thread's argument
        while not self._stop.is_set():
            try:
                link, _ = listening.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._meet, args=(link, secure), daemon=True).start()

    def _choose(self, link: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        name = name or "default.example"
        label = _label(name)
        validity = {"expired": (-100, -10), "notyet": (5, 90), "soon": (-87, 3), "fresh": (-3, 3)}.get(label, (-10, 80))
        shown = "somebody-else.example" if label == "wrongname" else name
        link.context = self.authority.context(shown, start=validity[0], end=validity[1])

    def _meet(self, link: socket.socket, secure: bool) -> None:  # noqa: FBT001 - a thread's argument
        link.settimeout(20)
        try:
            with link:
                if not secure:
                    self._serve(link, "http")
                    return
                with self._tls.wrap_socket(link, server_side=True) as covered:
                    self._serve(covered, "https")
        except (OSError, ValueError):
            pass

    def _serve(self, link: socket.socket, scheme: str) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = link.recv(4096)
            if not received:
                return
            head += received
        lines = head.decode("latin-1").split("\r\n")
        path = lines[0].split(" ")[1]
        host = next((line[6:] for line in lines if line.lower().startswith("host: ")), "").partition(":")[0]
        self.asked[f"{scheme}://{host}{path}"] += 1
        self.heads.append(head.decode("latin-1"))
        getattr(self, f"_{_label(host)}", self._honest)(link, scheme, host, path)

    def _home(self, scheme: str, host: str) -> str:
        return f"{scheme}://{host}:{self.http if scheme == 'http' else self.https}/"

    # --- Each behaviour -----------------------------------------------------------------------------------------------

    def _honest(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        if scheme == "http" or host.startswith("www."):
            to = self._home("https", host.removeprefix("www."))
            link.sendall(answer(b"", "301 Moved Permanently", f"Location: {to}"))
            return
        link.sendall(answer(PAGE, "200 OK", "Strict-Transport-Security: max-age=31536000"))

    def _plain(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        link.sendall(answer())

    def _broken(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"", "500 Oops"))

    def _filtered(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"robot", "403 Forbidden"))

    def _empty(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b""))

    def _endless(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        """A page without end, as fast as it is read."""
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not self._stop.is_set():
            self.sent[host] += link.send(b"a" * 65536)

    def _dripping(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        """A page without end, one byte at a time."""
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not self._stop.is_set():
            link.sendall(b"a")
            time.sleep(0.05)

    def _slowheaders(self, link: socket.socket, *_: str) -> None:
        """Headers that always go on, one byte at a time: no read ever waits long."""
        link.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self._stop.is_set():
            link.sendall(b"a")
            time.sleep(0.05)

    def _manyheaders(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        """Headers without end, as fast as they are read."""
        link.sendall(b"HTTP/1.1 200 OK\r\n")
        while not self._stop.is_set():
            self.sent[host] += link.send(b"X-More: " + b"a" * 1000 + b"\r\n")

    def _hugeheader(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        """One header of 10 MB."""
        link.sendall(b"HTTP/1.1 200 OK\r\nX-Huge: ")
        for _ in range(160):
            self.sent[host] += link.send(b"a" * 65536)
        link.sendall(b"\r\n\r\n")

    def _mute(self, link: socket.socket, *_: str) -> None:
        """Accepts and never says a word."""
        while not self._stop.is_set():
            time.sleep(0.05)

    def _hangup(self, link: socket.socket, *_: str) -> None:
        """Hangs up without a word."""

    def _garbage(self, link: socket.socket, *_: str) -> None:
        link.sendall(b"\x00\xff\x01 220 what is this\r\n\r\n" * 20)

    def _circle(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        to = "b" if path.endswith("a") else "a"
        link.sendall(answer(b"", "302 Found", f"Location: /{to}"))

    def _inside(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        link.sendall(answer(b"", "302 Found", "Location: http://intranet.private.example/admin"))

    def _literal(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"", "302 Found", "Location: http://169.254.169.254/latest/meta-data/"))

    def _script(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"", "302 Found", "Location: javascript:alert(1)"))

    def _lowport(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        link.sendall(answer(b"", "302 Found", f"Location: http://{host}:25/"))

    def _nowhere(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"", "302 Found"))

    def _strange(self, link: socket.socket, *_: str) -> None:
        """A redirect in bytes that are no text."""
        link.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe\xe9.example/\xc3\r\nContent-Length: 0\r\n\r\n")

    def _bomb(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        """A gigabyte of blanks in a megabyte."""
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/html\r\n\r\n")
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        for _ in range(1024):
            piece = packer.compress(b" " * 1024 * 1024)
            if piece:
                self.sent[host] += link.send(piece)
        link.sendall(packer.flush())

    def _notgzip(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(b"not gzip at all", "200 OK", "Content-Encoding: gzip"))

    def _gzipped(self, link: socket.socket, *_: str) -> None:
        link.sendall(answer(gzip.compress(PAGE), "200 OK", "Content-Encoding: gzip"))

    def _charset(self, link: socket.socket, *_: str) -> None:
        body = "<p>Mairie d’Évreux".encode("utf-16")
        link.sendall(answer(body, "200 OK", "Content-Type: text/html; charset=klingon-8"))

    def _cookies(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        if path == "/":
            link.sendall(answer(b"", "302 Found", "Set-Cookie: a=b; Path=/", "Location: /in"))
            return
        link.sendall(answer())

    def _policy(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        link.sendall(answer(PAGE))


def _label(host: str) -> str:
    return host.removeprefix("www.").split(".")[0].lower()
