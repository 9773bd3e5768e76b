"""Real name servers for a test: PowerDNS, Knot and BIND, each on free ports of 127.0.0.1, its data in a folder."""

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import httpx
import pytest

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
_SCHEMAS = (
    "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
    "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
)
_START_SECONDS = 20


@dataclass(frozen=True)
class PowerDnsServer:
    """A PowerDNS that answers on `port`, and its API on `url` to whoever has `key`."""

    port: int
    url: str
    key: str
    folder: Path


def program(name: str) -> str:
    """Return where a server is installed, or leave the test out, plainly; under CI=true nothing may be left out."""
    found = shutil.which(name, path=PATH)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and {name} is not installed")
        pytest.skip(f"no {name} here: see NEEDS in tests/run.py")
    return found


def free_port() -> int:
    """Return a port free over UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


@contextlib.contextmanager
def running(command: list[str], folder: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; what it says is in `folder`/log, and in the failure when it does not start."""
    log = folder / "log"
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not ready():
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def powerdns(folder: Path, **options: str) -> Iterator[PowerDnsServer]:
    """Run PowerDNS on SQLite. `options` are lines of its configuration, "_" for "-"."""
    server = program("pdns_server")
    schema = next((Path(path) for path in _SCHEMAS if Path(path).exists()), None)
    if schema is None:
        program("pdns-backend-sqlite3")
    assert schema is not None
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "pdns.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.executescript(schema.read_text())
    connection.close()
    port, web = free_port(), free_port()
    lines = {
        "launch": "gsqlite3",
        "gsqlite3-database": str(database),
        "gsqlite3-dnssec": "yes",
        "gsqlite3-pragma-synchronous": "0",
        "local-address": "127.0.0.1",
        "local-port": str(port),
        "api": "yes",
        "api-key": "not-a-secret",
        "webserver-address": "127.0.0.1",
        "webserver-port": str(web),
        "webserver-allow-from": "127.0.0.1",
        "webserver-loglevel": "none",
        "zone-cache-refresh-interval": "0",
        "cache-ttl": "0",
        "query-cache-ttl": "0",
        "negquery-cache-ttl": "0",
        "socket-dir": str(folder),
        "receiver-threads": "1",
        "distributor-threads": "1",
        **{name.replace("_", "-"): value for name, value in options.items()},
    }
    (folder / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    url = f"http://127.0.0.1:{web}"

    def ready() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{url}/api/v1/servers/localhost", headers={"X-API-Key": "not-a-secret"}).is_success
        return False

    command = [server, f"--config-dir={folder}", "--daemon=no", "--guardian=no", "--write-pid=no"]
    with running(command, folder, ready):
        yield PowerDnsServer(port, url, "not-a-secret", folder)


@dataclass(frozen=True)
class UpdatedServer:
    """A server that takes updates on `port` from whoever has the TSIG key "suite" and its `secret`."""

    port: int
    secret: str
    folder: Path


SECRET = "bm90LWEtc2VjcmV0LWF0LWFsbC1pbi10ZXN0cw=="
CATALOG = "catalogue.suite.example"
_SOA = "@ 3600 SOA ns1.suite.example. hostmaster.suite.example. 1 3600 600 1209600 60\n"
_NS = "@ 3600 NS ns1.suite.example.\n@ 3600 NS ns2.suite.example.\n"


def _answers(port: int, zone: str) -> bool:
    with contextlib.suppress(dns.exception.DNSException, OSError):
        query = dns.message.make_query(zone, "SOA")
        return bool(dns.query.udp(query, "127.0.0.1", port=port, timeout=1).answer)
    return False


@contextlib.contextmanager
def knot(folder: Path, *zones: str) -> Iterator[UpdatedServer]:
    """Run Knot with these zones and a catalog, whose members start empty and signed."""
    server, port = program("knotd"), free_port()
    (folder / "database").mkdir(parents=True, exist_ok=True)
    for name in zones:
        (folder / f"{name}.zone").write_text(_SOA + _NS)
    (folder / "empty.zone").write_text(_SOA + _NS)
    (folder / "catalog.zone").write_text(_SOA + '@ 0 NS invalid.\nversion 0 TXT "2"\n')
    static = "".join(f'  - domain: {name}\n    file: "{name}.zone"\n    acl: suite\n' for name in zones)
    (folder / "knot.conf").write_text(
        f"""
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{folder}/database"
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 8M
    catalog-db-max-size: 16M
key:
  - id: suite
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: suite
    key: suite
    action: [transfer, update]
policy:
  - id: suite
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: "{folder}"
    journal-max-usage: 16M
  - id: commune
    storage: "{folder}"
    file: "empty.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    journal-max-usage: 16M
    acl: suite
    dnssec-signing: on
    dnssec-policy: suite
zone:
{static}  - domain: {CATALOG}
    file: "catalog.zone"
    acl: suite
    catalog-role: interpret
    catalog-template: commune
"""
    )
    command = [server, "-c", str(folder / "knot.conf")]
    with running(command, folder, lambda: all(_answers(port, zone) for zone in zones)):
        yield UpdatedServer(port, SECRET, folder)


@contextlib.contextmanager
def bind(folder: Path, *zones: str) -> Iterator[UpdatedServer]:
    """Run BIND with these zones, empty, signed by its default policy."""
    server, port = program("named"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    for name in zones:
        (folder / f"{name}.zone").write_text(_SOA + _NS)
    served = "".join(
        f'zone "{name}" {{ type primary; file "{name}.zone"; update-policy {{ grant suite zonesub ANY; }};'
        " dnssec-policy default; inline-signing yes; };\n"
        for name in zones
    )
    (folder / "named.conf").write_text(
        f"""
key "suite" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
options {{
    directory "{folder}"; pid-file none; session-keyfile none; managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; notify no; allow-transfer {{ key suite; }}; dnssec-validation no;
}};
controls {{ }};
{served}"""
    )
    command = [server, "-g", "-c", str(folder / "named.conf"), "-n", "1"]
    with running(command, folder, lambda: all(_answers(port, zone) for zone in zones)):
        yield UpdatedServer(port, SECRET, folder)
