"""The servers of a rehearsal: a database, a broker, a DNS and workers of its own, in a folder that is thrown away."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import psycopg.conninfo

from onboarding.provisioning.backends.local import NAME_SERVERS
from suite import embedded
from suite.demo.supervisor import Child, answers, says
from suite.rehearsal import keys

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
SCHEMAS = (
    Path("/usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql"),
    Path("/usr/share/doc/pdns-backend-pgsql/schema.pgsql.sql"),
)
READY_WITHIN = 60.0
ROLES = ("registrar", "dns", "mail", "storage")
API_KEY = "rehearsal-only"
LOCAL_BACKENDS = "onboarding.provisioning.backends.local.Local"
CELERY = [sys.executable, "-m", "celery", "--app", "suite", "--quiet"]


class CannotRehearse(Exception):
    """The rehearsal cannot begin; the message says what to do."""


@dataclass
class Asked:
    """What the command line says."""

    communes: int
    workers: int
    faults: float
    seed: int
    dns: str  # "auto", "powerdns" or "local"
    mail: str  # a dotted path, or "local"
    storage: str
    keep: bool = False  # the folder of its logs


def rehearse(asked: Asked) -> int:
    """Start everything, rehearse in a process of its own, stop everything; return the exit status."""
    place = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    if asked.keep:
        sys.stderr.write(f"{place}\n")
    with contextlib.ExitStack() as stack:
        if not asked.keep:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "suite.rehearsal.settings",
            "DATABASE_URL": stack.enter_context(database()),
            "REDIS_URL": stack.enter_context(broker(place)),
            "LOCAL_WORLD": str(place / "world.sqlite3"),
            "LOCAL_DIR": str(place / "local"),
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "1",
        }
        facts = stack.enter_context(name_server(place, asked, environment))
        facts |= backends(asked, environment, place)
        named = {role: environment.get(f"{role.upper()}_BACKEND", f"{LOCAL_BACKENDS}{role.title()}") for role in ROLES}
        told = {**vars(asked), "rate": asked.faults, "backends": named, **facts}
        environment["REHEARSAL"] = json.dumps(told)
        # The tables first: a worker that starts on an empty database would only complain.
        prepared = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", _PREPARE], env=environment, cwd=embedded.ROOT, stdout=sys.stderr, check=False
        )
        if prepared.returncode:
            raise CannotRehearse("The scratch database could not be prepared; what it said is above.")
        for child in workers(asked, place, environment):
            stack.enter_context(running(child))
        driver = [sys.executable, "-m", "suite.rehearsal.drive"]
        return subprocess.run(driver, env=environment, cwd=embedded.ROOT, check=False).returncode  # noqa: S603 - idem


_PREPARE = "import django; django.setup(); from suite.prepare import prepare; prepare()"


def backends(asked: Asked, environment: dict[str, str], place: Path) -> dict[str, object]:
    """Name the backends of mail and storage, and make the signing keys of the local mail ahead."""
    facts: dict[str, object] = {"mail": asked.mail, "storage": asked.storage, "dkim_keys": "made by the provider"}
    if asked.mail == "local":
        environment["MAIL_BACKEND"] = "suite.rehearsal.keys.PooledMail"
        count = min(asked.communes, 200)
        started = time.monotonic()
        keys.make(count, asked.workers, place / "keys.json")
        facts["keys"] = str(place / "keys.json")
        facts["dkim_keys"] = (
            f"{count} RSA-2048 keys made ahead in {time.monotonic() - started:.1f} s, out of the time measured; "
            f"each serves {-(-asked.communes // count)} communes at most or about"
        )
    else:
        environment["MAIL_BACKEND"] = asked.mail
    environment["STORAGE_BACKEND"] = f"{LOCAL_BACKENDS}Storage" if asked.storage == "local" else asked.storage
    local = [role for role, chosen in (("mail", asked.mail), ("storage", asked.storage)) if chosen == "local"]
    return {**facts, "local": local}


@contextlib.contextmanager
def database() -> Iterator[str]:
    """Give an empty database: on the server that DATABASE_URL names when it holds nothing real, else embedded."""
    refuse_a_live_one(os.environ["DATABASE_URL"])
    with scratch(f"rehearsal_{os.getpid()}") as url:
        yield url


@contextlib.contextmanager
def scratch(name: str) -> Iterator[str]:
    """Make a database on the server of DATABASE_URL, and drop it at the end."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


def refuse_a_live_one(server: str) -> None:
    """Raise when the server's own database has deployments: a rehearsal would take its time from people."""
    with psycopg.connect(server) as connection:
        there = connection.execute("SELECT to_regclass('provisioning_deployment')").fetchone()
        if not there or there[0] is None:
            return
        held = connection.execute("SELECT count(*) FROM provisioning_deployment").fetchone()
    if held and held[0]:
        raise CannotRehearse(
            f"This server holds {held[0]} real deployments: a rehearsal would weigh on them. "
            "Run it with a DATABASE_URL of another server, or in another checkout."
        )


@contextlib.contextmanager
def broker(place: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing."""
    program = shutil.which("redis-server", path=PATH)
    if program is None:
        raise CannotRehearse("The rehearsal needs redis-server: apt-get install --no-install-recommends redis-server.")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(place)]
    with running(Child("redis", command, answers(port), place / "redis.log", os.environ)):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def name_server(place: Path, asked: Asked, environment: dict[str, str]) -> Iterator[dict[str, object]]:
    """Run PowerDNS where it is installed, else the DNS of the local world; say which."""
    program = shutil.which("pdns_server", path=PATH)
    schema = next((path for path in SCHEMAS if path.exists()), None)
    port = free_port()
    environment["DNS_RESOLVER"] = f"127.0.0.1:{port}"
    if asked.dns == "local" or (asked.dns == "auto" and not (program and schema)):
        environment["DNS_BACKEND"] = f"{LOCAL_BACKENDS}Dns"
        why = "" if asked.dns == "local" else " (pdns_server or its PostgreSQL backend is not installed)"
        command = [sys.executable, "manage.py", "local_dns", "--port", str(port)]
        with running(
            Child(
                "dns",
                command,
                answers(port),
                place / "dns.log",
                {**environment, "DJANGO_SETTINGS_MODULE": "suite.settings"},
            )
        ):
            yield {"dns": f"local{why}", "zones": []}
        return
    if not (program and schema):
        raise CannotRehearse(
            "PowerDNS is not here: apt-get install --no-install-recommends pdns-server pdns-backend-pgsql."
        )
    web = free_port()
    with scratch(f"rehearsal_dns_{os.getpid()}") as held:
        with psycopg.connect(held, autocommit=True) as connection:
            connection.execute(schema.read_text().encode())
        told = psycopg.conninfo.conninfo_to_dict(held)
        with _powerdns(place, program, told, port, web):
            environment |= {
                "DNS_BACKEND": "onboarding.provisioning.backends.powerdns.PowerDns",
                "POWERDNS_URL": f"http://127.0.0.1:{web}",
                "POWERDNS_API_KEY": API_KEY,
                "DNS_NAME_SERVERS": ",".join(NAME_SERVERS),
            }
            yield {"dns": "powerdns", "zones": ["mail.suite.example"]}


@contextlib.contextmanager
def _powerdns(place: Path, program: str, held: Mapping[str, object], port: int, web: int) -> Iterator[None]:
    """Run PowerDNS on a scratch database of PostgreSQL: its SQLite refuses one of two writers that cross."""
    names = {"host": "host", "port": "port", "dbname": "dbname", "user": "user", "password": "password"}
    lines = {
        "launch": "gpgsql",
        "gpgsql-dnssec": "yes",
        **{f"gpgsql-{ours}": str(held[theirs]) for ours, theirs in names.items() if held.get(theirs)},
        "local-address": "127.0.0.1",
        "local-port": str(port),
        "api": "yes",
        "api-key": API_KEY,
        "webserver-address": "127.0.0.1",
        "webserver-port": str(web),
        "webserver-allow-from": "127.0.0.1",
        "webserver-loglevel": "none",
        "zone-cache-refresh-interval": "0",
        "cache-ttl": "0",
        "query-cache-ttl": "0",
        "negquery-cache-ttl": "0",
        "socket-dir": str(place),
    }
    (place / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    command = [program, f"--config-dir={place}", "--daemon=no", "--guardian=no", "--write-pid=no"]
    with running(Child("pdns", command, answers(web), place / "pdns.log", os.environ)):
        yield


def workers(asked: Asked, place: Path, environment: dict[str, str]) -> Iterator[Child]:
    """Describe the pool of workers, and the beat that wakes what is due."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    pool = ["worker", "--loglevel", "INFO", "--pool", "prefork", "--concurrency", str(asked.workers)]
    log = place / "worker.log"
    ready = _pinged(environment)
    yield Child("workers", [*CELERY, *pool, "--queues", "celery", *quiet], ready, log, environment)
    beat = [*CELERY, "beat", "--loglevel", "INFO", "--pidfile=", "--schedule", str(place / "beat")]
    yield Child("beat", beat, says(place / "beat.log", "Starting"), place / "beat.log", environment)


def _pinged(environment: dict[str, str]) -> Callable[[], bool]:
    """Return a check that the workers answer: at this level, their log does not say so."""

    def check() -> bool:
        command = [*CELERY, "inspect", "ping", "--timeout", "2"]
        asked = subprocess.run(command, env=environment, cwd=embedded.ROOT, capture_output=True, check=False)  # noqa: S603 - our own command
        return asked.returncode == 0

    return check


@contextlib.contextmanager
def running(child: Child) -> Iterator[None]:
    """Run a process until the block ends."""
    child.start()
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not child.ready():
            if not child.alive or time.monotonic() > deadline:
                raise CannotRehearse(f"{child.name} did not come up. Its log ends so:\n{child.last_lines()}")
            time.sleep(0.05)
        yield
    finally:
        if child.process is not None:
            child.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=5)
            child.signal_group(signal.SIGKILL)
            child.process.wait()


def free_port() -> int:
    """Return a port free over UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port
