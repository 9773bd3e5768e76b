"""A registry that answers, and one that misbehaves in every way: what is not a clear answer is « unknown »."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection
from pytest_django import Settings

from onboarding.intake import lookups, rdap
from onboarding.intake.name_models import NameLookup

Answer = Callable[[BaseHTTPRequestHandler, str], None]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def domain(name: str, **more: object) -> bytes:
    return json.dumps({"objectClassName": "domain", "ldhName": name, **more}).encode()


HOLDER = {
    "entities": [
        {"roles": ["registrar"], "vcardArray": ["vcard", [["fn", {}, "text", "Un bureau"]]]},
        {
            "roles": ["registrant"],
            "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Commune <b>d'Évreux"]]],
        },
    ],
    "events": [{"eventAction": "registration", "eventDate": "2001-02-03T00:00:00Z"}],
}


def slow(_handler: BaseHTTPRequestHandler, _name: str) -> None:
    time.sleep(6)


def drip(handler: BaseHTTPRequestHandler, _name: str) -> None:
    """Send a byte now and then: no single read is ever late."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(30):
        time.sleep(0.3)
        handler.wfile.write(b" ")
        handler.wfile.flush()


def huge(handler: BaseHTTPRequestHandler, name: str) -> None:
    send(handler, 200, domain(name, padding="x" * 1_000_000))


BEHAVIOURS: dict[str, Answer] = {
    "libre": lambda handler, _: send(handler, 404, b'{"errorCode": 404}'),
    "pris": lambda handler, name: send(handler, 200, domain(name.upper() + ".", **HOLDER)),
    "presse": lambda handler, _: send(handler, 429, Retry_After="60"),
    "panne": lambda handler, _: send(handler, 503),
    "interdit": lambda handler, _: send(handler, 403),
    "lent": slow,
    "goutte": drip,
    "enorme": huge,
    "charabia": lambda handler, _: send(handler, 200, b"<html>Bienvenue</html>"),
    "autre": lambda handler, _: send(handler, 200, domain("another.fr")),
    "profond": lambda handler, _: send(handler, 200, b"[" * 60_000),
    "liste": lambda handler, _: send(handler, 200, b"[1, 2]"),
    "bizarre": lambda handler, name: send(
        handler, 200, domain(name, entities=[{"roles": ["registrant"], "vcardArray": ["vcard", [[], [1]]]}], events={})
    ),
    "ailleurs": lambda handler, _: send(handler, 302, Location="http://127.0.0.1:1/domain/x"),
    "fichier": lambda handler, _: send(handler, 302, Location="file:///etc/passwd"),
    "boucle": lambda handler, _: send(handler, 302, Location=handler.path),
    "ici": lambda handler, _: send(handler, 301, Location="/rdap/domain/pris.fr"),
    "coupe": lambda handler, _: handler.connection.close(),
}


@pytest.fixture
def asked(settings: Settings) -> Iterator[list[str]]:
    """Run a registry, and return the paths it was asked."""
    paths: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            name = self.path.rpartition("/")[2]
            try:
                BEHAVIOURS.get(name.partition(".")[0], BEHAVIOURS["libre"])(self, name)
            except OSError:
                return

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.RDAP_BASE_URLS = {"fr": f"http://127.0.0.1:{server.server_address[1]}/rdap/"}
    yield paths
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "code", "detail"),
    [
        ("libre.fr", "free", "http_404"),
        ("pris.fr", "taken", "http_200"),
        ("bizarre.fr", "taken", "http_200"),
        ("presse.fr", "unknown", "http_429"),
        ("panne.fr", "unknown", "http_503"),
        ("interdit.fr", "unknown", "http_403"),
        ("lent.fr", "unknown", "timeout"),
        ("goutte.fr", "unknown", "timeout"),
        ("enorme.fr", "unknown", "too_large"),
        ("charabia.fr", "unknown", "not_json"),
        ("profond.fr", "unknown", "not_json"),
        ("autre.fr", "unknown", "not_rdap"),
        ("liste.fr", "unknown", "not_rdap"),
        ("ailleurs.fr", "unknown", "redirected_elsewhere"),
        ("fichier.fr", "unknown", "redirected_elsewhere"),
        ("boucle.fr", "unknown", "too_many_redirects"),
        ("libre.bzh", "unknown", "no_registry"),
    ],
)
def test_what_a_registry_does_has_one_meaning(asked: list[str], name: str, code: str, detail: str) -> None:
    began = time.monotonic()
    answer = rdap.ask(name)
    assert (answer.code, answer.detail) == (code, detail)
    assert time.monotonic() - began < 4.5


def test_a_redirect_on_the_registry_itself_is_followed(asked: list[str]) -> None:
    # What it ends at speaks of another name: no answer about this one.
    assert rdap.ask("ici.fr").detail == "not_rdap"
    assert asked == ["/rdap/domain/ici.fr", "/rdap/domain/pris.fr"]


def test_a_connection_cut_or_refused_is_unknown(asked: list[str], settings: Settings) -> None:
    assert rdap.ask("coupe.fr").code == "unknown"
    settings.RDAP_BASE_URLS = {"fr": "http://127.0.0.1:1/"}
    assert rdap.ask("libre.fr").code == "unknown"


def test_the_holder_is_kept_as_evidence(asked: list[str]) -> None:
    assert rdap.ask("pris.fr").evidence == {"registration": "2001-02-03t00:00:00z", "holder": "Commune <b>d'Évreux"}


@pytest.mark.parametrize(
    "name",
    ["../admin.fr", "a/b.fr", "a.fr?x=1", "a.fr#x", "a@127.0.0.1.fr", "a%2f.fr", "a b.fr", "a\r\nb.fr", "é.fr", ".fr",
     "http://x.fr", "-a.fr", "a..fr", "", "fr", "a.fr/../../x.fr", "A.FR"],
)  # fmt: skip
def test_r17_a_crafted_name_reaches_no_other_address(asked: list[str], name: str) -> None:
    assert rdap.ask(name).code == "unknown"
    assert asked == []


@pytest.mark.django_db(transaction=True)
class TestLookup:
    def test_a_worker_writes_what_the_world_said(self, asked: list[str]) -> None:
        lookups.ask(["libre.fr", "pris.fr", "presse.fr"])
        for row in NameLookup.objects.all():
            lookups.run(row.pk)
        assert dict(NameLookup.objects.values_list("fqdn", "code")) == {
            "libre.fr": "free",
            "pris.fr": "taken",
            "presse.fr": "unknown",
        }
        assert not NameLookup.objects.filter(due_at__isnull=False).exists()
        assert NameLookup.objects.get(pk="pris.fr").evidence["rdap"]["evidence"]["holder"].startswith("Commune")

    def test_r16_five_equal_queries_ask_once(self, asked: list[str]) -> None:
        for _ in range(5):
            lookups.ask(["libre.fr"])
            lookups.run("libre.fr")
        assert asked == ["/rdap/domain/libre.fr"]

    def test_two_workers_woken_at_once_ask_once(self, asked: list[str]) -> None:
        lookups.ask(["libre.fr"])
        barrier = threading.Barrier(2)

        def work() -> None:
            barrier.wait()
            lookups.run("libre.fr")
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert asked == ["/rdap/domain/libre.fr"]
