"""ProConnect's partners' API as services.md (4.2) describes it: stateful, on loopback, and able to misbehave.

It checks each signature over the bytes it received, replaces the whole list at each PATCH, and keeps an allow-list per
provider.
"""

import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "stand-in-secret"
PREFIX = "/partenaires"


@dataclass
class Provider:
    """One identity provider there."""

    domains: list[str] = field(default_factory=list)
    allowed: set[str] | None = None  # None: every domain
    editable: bool = True


@dataclass
class Partners:
    """The server's state, and how it misbehaves next: a name of `_Handler.faults`, once each."""

    providers: dict[str, Provider] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    slow: float = 0  # seconds before each answer
    url: str = ""


@contextmanager
def partners() -> Iterator[Partners]:
    """Run it until the end of the block."""
    state = Partners()

    class Handler(_Handler):
        partners = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    partners: Partners

    def do_GET(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.partners.requests.append((self.command, self.path, body))
        time.sleep(self.partners.slow)
        fault = self.partners.faults.pop(0) if self.partners.faults else ""
        if fault == "redirect":
            self.send_response(307)
            self.send_header("Location", f"{self.partners.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault == "garbage":
            self._send(200, b"<html>oups</html>")
        elif fault == "error":
            self._send(500, b"{}")
        elif fault == "hang":
            time.sleep(8)
        elif fault == "other":
            self._json(200, {"uid": "idp-other", "attached_email_domains": []})
        elif fault == "lie":
            self._json(200, {**self._seen(self._provider() or Provider()), "attached_email_domains": ["menteur.fr"]})
        elif fault == "drop":
            self._judge(body)  # it is done; the answer is lost
            self.close_connection = True
        else:
            self._json(*self._judge(body))

    def _judge(self, body: bytes) -> tuple[int, dict[str, object]]:
        if not self._signed(body):
            return 403, {"error": "invalid_signature"}
        provider = self._provider()
        if provider is None:
            return 404, {"error": "not_found"}
        if self.command == "PATCH":
            if not provider.editable:
                return 403, {"error": "uid_not_editable"}
            try:
                wanted = json.loads(body)["attached_email_domains"]
            except (ValueError, KeyError, TypeError):
                return 422, {"error": "invalid_body"}
            offenders = [] if provider.allowed is None else sorted(set(wanted) - provider.allowed)
            if offenders:
                return 422, {"error": "attached_email_domain_not_allowed", "attached_email_domains": offenders}
            provider.domains = list(wanted)
        return 200, self._seen(provider)

    def _seen(self, provider: Provider) -> dict[str, object]:
        return {"uid": self._uid(), "name": "Essai", "attached_email_domains": provider.domains}

    def _uid(self) -> str:
        path = self.path.partition("?")[0]
        before, _, rest = path.partition("/api/oidc_providers/")
        uid, _, end = rest.partition("/")
        return uid if before == PREFIX and end == "configuration" else ""

    def _provider(self) -> Provider | None:
        return self.partners.providers.get(self._uid())

    def _signed(self, body: bytes) -> bool:
        path, _, query = self.path.partition("?")
        stamp = self.headers.get("X-Timestamp", "")
        message = f"{stamp}:{self.command}:{path}?{query}".encode() + (b":" + body if body else b"")
        right = hmac.new(SECRET.encode(), message, sha256).hexdigest()
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) < 60
        return fresh and hmac.compare_digest(right, self.headers.get("X-Signature", ""))

    def _json(self, status: int, said: dict[str, object]) -> None:
        self._send(status, json.dumps(said).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
