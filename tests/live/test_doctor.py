"""`manage.py doctor` in front of a real provider, of one that differs, and of none."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import call_command
from django.test.utils import override_settings

from tests.live.proconnect import free_port, proconnect
from tests.live.test_sign_in import endpoints

pytestmark = pytest.mark.django_db

PRODUCT = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proconnect(tmp_path_factory.mktemp("proconnect"), PRODUCT) as address:
        yield address


def examine(issuer: str, *arguments: str, **changes: Any) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Run the command; return its status, its lines by name, and all it printed."""
    out = StringIO()
    status = 0
    with override_settings(PUBLIC_BASE_URL=PRODUCT, OIDC_TIMEOUT=5, **{**endpoints(issuer), **changes}):
        try:
            call_command("doctor", "--json", *arguments, stdout=out)
        except SystemExit as ended:
            status = int(str(ended.code))
    said = json.loads(out.getvalue())
    assert said["status"] == status
    return status, {line["name"]: (line["level"], line["text"]) for line in said["lines"]}, out.getvalue()


class TestDemonstration:
    def test_the_provider_of_the_demonstration_agrees_with_the_settings(self, provider: str) -> None:
        _, lines, printed = examine(f"{provider}/api/v2", "--probe", OIDC_REQUIRE_CALLBACK_ISS=True)
        wrong = {name: text for name, (level, text) in lines.items() if level == "error"}
        assert wrong == {}
        assert lines["credentials"][0] == "ok"
        assert lines["keys"][0] == "ok"
        assert lines["clock"][0] == "ok"
        assert lines["certificate"] == ("warning", lines["certificate"][1])  # http, on a laptop
        assert lines["redirect-uri"][1].endswith(f" {PRODUCT}/connexion/retour/")
        assert "a-secret-of-the-tests" not in printed

    def test_it_announces_what_proconnect_announces(self, provider: str) -> None:
        _, lines, _ = examine(f"{provider}/api/v2", OIDC_REQUIRE_CALLBACK_ISS=True)
        for name in ("id-token", "userinfo", "client", "pkce", "scopes", "levels", "claims", "callback-iss"):
            assert lines[name][0] == "ok", lines[name]

    def test_a_wrong_secret_is_found_by_the_probe(self, provider: str) -> None:
        status, lines, printed = examine(f"{provider}/api/v2", "--probe", OIDC_RP_CLIENT_SECRET="quite-another")
        assert (status, lines["credentials"][0]) == (2, "error")
        assert "quite-another" not in printed

    def test_a_setting_that_differs_is_named(self, provider: str) -> None:
        elsewhere = f"{provider}/api/v2/other"
        status, lines, _ = examine(f"{provider}/api/v2", OIDC_OP_TOKEN_ENDPOINT=elsewhere)
        assert (status, lines["token-endpoint"][0]) == (2, "error")
        assert elsewhere in lines["token-endpoint"][1]


class Answering(ThreadingHTTPServer):
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")


class Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def answering(context: ssl.SSLContext | None = None) -> Iterator[Answering]:
    server = Answering(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class TestElsewhere:
    def test_nobody_there_is_a_sentence(self) -> None:
        status, lines, _ = examine(f"http://127.0.0.1:{free_port()}/api/v2", "--probe")
        assert status == 2
        assert "cannot be reached" in lines["discovery"][1]
        assert "cannot be reached" in lines["keys"][1]

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            ((500, {}, b""), "answers 500"),
            ((302, {"Location": "http://127.0.0.1:1/"}, b""), "answers 302"),
            ((200, {}, b"<html>"), "is not JSON"),
            ((200, {}, b"[]"), "is no JSON object"),
            ((200, {}, b"[" * 100_000), "is not JSON"),
        ],
        ids=["500", "redirected", "html", "a list", "deep"],
    )
    def test_an_answer_that_is_none_is_a_sentence(self, answer: tuple[int, dict[str, str], bytes], why: str) -> None:
        with answering() as server:
            server.answer = answer
            _, lines, _ = examine(f"http://127.0.0.1:{server.server_port}/api/v2")
        assert why in lines["discovery"][1]
        assert why in lines["keys"][1]

    def test_a_certificate_that_nobody_signed_is_refused(self, tmp_path: Path) -> None:
        with answering(self_signed(tmp_path)) as server:
            _, lines, _ = examine(f"https://127.0.0.1:{server.server_port}/api/v2")
        assert lines["certificate"][0] == "error"
        assert "self-signed" in lines["certificate"][1] or "self signed" in lines["certificate"][1]
        assert "SSLError" in lines["discovery"][1]


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate for this machine that no authority knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "provider.pem"
    no_password = serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
