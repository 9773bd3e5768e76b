"""A stateful HTTP API on a thread, with faults to order: what each stand-in of a provider is built on."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]  # a status, and JSON or text

_HANGING = 30  # seconds
_NO_CONTENT = 204
_SILENT = {"drop", "drop_after", "hang"}
_GARBAGE = {"garbage": b"<html>\xff not what you think", "endless": b"[" + b"1," * 40_000_000}


class StandIn:
    """Remembers, answers by `answer`, and misbehaves as `faults` says.

    Each fault is used up by one request that matches its method ("*": any): "500", "429", "401" and other statuses;
    "hang"; "drop" (nothing is done, the connection closes), "drop_after" (it is done, and nobody is told); "garbage"
    (it is done, and the answer cannot be read); "lie" (nothing is done, and the answer says it was); "other" (the
    answer is about something else, as `altered` makes it); "endless" (an answer without end).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.faults: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    def answer(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Answer:
        """Return what the provider answers. Overridden; the lock is held."""
        raise NotImplementedError

    def pretended(self, method: str, path: list[str], body: Any) -> Answer:
        """Return what a liar answers. Overridden where a change has an answer of its own."""
        del method, path, body
        return 204, ""

    def altered(self, found: Any) -> Any:
        """Return an answer about something else."""
        return {**found, "name": "autre.example."} if isinstance(found, dict) else found

    def allowed(self, headers: dict[str, str]) -> bool:
        """Whether the caller has the key."""
        del headers
        return True

    @contextlib.contextmanager
    def running(self) -> Iterator["StandIn"]:
        """Serve on a free port of 127.0.0.1 until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)

    def judged(self, method: str, target: str, headers: dict[str, str], body: Any) -> tuple[str, int, Any]:
        """Return the fault met, if any, and the answer."""
        parts = urlsplit(target)
        path = [part for part in parts.path.split("/") if part]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.lock:
            fault = self.fault_for(method)
            self.requests.append((method, parts.path))
            if not self.allowed(headers):
                status, found = 401, {"error": "Unauthorized"}
            elif fault.isdigit():
                status, found = int(fault), {"error": f"fault {fault}"}
            elif fault in {"drop", "hang"}:
                status, found = 0, None
            elif fault == "lie":
                status, found = self.pretended(method, path, body)
            else:
                status, found = self.answer(method, path, query, body)
        return fault, status, self.altered(found) if fault == "other" else found

    def fault_for(self, method: str) -> str:
        """Take the next fault that matches."""
        for index, (wanted, fault) in enumerate(self.faults):
            if wanted in {"*", method}:
                del self.faults[index]
                return fault
        return ""


def _handler(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            fault, status, found = standin.judged(self.command, self.path, headers, json.loads(raw) if raw else None)
            if fault == "hang":
                time.sleep(_HANGING)
            if fault in _SILENT:
                self.close_connection = True
                return
            data = _GARBAGE.get(fault) or (found if isinstance(found, str) else json.dumps(found)).encode()
            if status == _NO_CONTENT:
                data = b""
            self.send_response(status)
            if status != _NO_CONTENT:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    return Handler
