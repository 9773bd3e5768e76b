"""What our stand-ins share: an HTTP server on a free port of 127.0.0.1, its calls, and the faults a test asks for."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = 30.0  # seconds: longer than any client of a test waits
_NONSENSE = {"garbage": b'{"a": ', "html": b"<html><h1>Maintenance</h1></html>", "truncated": b'{"a"}', "list": b"[[]]"}


@dataclass
class Fault:
    """Something that goes wrong with the next `times` calls that match."""

    method: str
    path: str  # a regular expression, searched in the path
    kind: str  # "hang", "drop", "drop_after", "garbage", "html", "truncated", "list", "slow", or a status
    times: int = 1


@dataclass(frozen=True)
class Call:
    """One call as received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Reply(Exception):
    """A status and the JSON that goes with it: raised or returned by the stand-in's own code."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class StandIn:
    """Serves `answer` over real HTTP. Subclasses keep their state in a store of their own."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self._one_at_a_time = threading.Lock()
        self.over = threading.Event()

    def answer(self, call: Call) -> Reply:
        raise NotImplementedError

    def fail(self, method: str, path: str, kind: str | int, times: int = 1) -> None:
        """Ask for a fault."""
        self.faults.append(Fault(method, path, str(kind), times))

    def called(self, method: str, path: str) -> int:
        """Return how many calls matched."""
        return sum(call.method == method and re.search(path, call.path) is not None for call in self.calls)

    def fault_of(self, call: Call) -> str:
        """Use up one fault that the call meets."""
        for fault in self.faults:
            if fault.times > 0 and fault.method == call.method and re.search(fault.path, call.path):
                fault.times -= 1
                return fault.kind
        return ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve until the end of the block; give the base URL."""
        server = _Server(self)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def reply(self, call: Call) -> Reply:
        """Answer one call at a time."""
        with self._one_at_a_time:
            try:
                return self.answer(call)
            except Reply as reply:
                return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand_in = stand_in


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(self.command, self.path, dict(self.headers), json.loads(raw) if raw else None)
        self.server.stand_in.calls.append(call)
        self._answer(self.server.stand_in.fault_of(call), call)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def _answer(self, kind: str, call: Call) -> None:
        stand_in = self.server.stand_in
        if kind == "hang":
            stand_in.over.wait(HANG)
        elif kind == "drop":
            self._drop()
        elif kind == "drop_after":
            stand_in.reply(call)
            self._drop()
        elif kind in _NONSENSE:
            self._send(200, _NONSENSE[kind], claimed=len(_NONSENSE[kind]) + 100 * (kind == "truncated"))
        elif kind.isdigit():
            self._send(int(kind), _NONSENSE["html"])
        else:
            if kind == "slow":
                time.sleep(0.3)
            reply = stand_in.reply(call)
            self._send(reply.status, b"" if reply.body is None else json.dumps(reply.body).encode())

    def _send(self, status: int, content: bytes, *, claimed: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if content.startswith(b"<") else "application/json")
        self.send_header("Content-Length", str(len(content) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(content)

    def _drop(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
