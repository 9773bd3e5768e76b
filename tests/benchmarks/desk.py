"""`make bench-desk`: the desk's pages with 35,000 dossiers and 400,000 events, in databases of their own.

    DOSSIERS=3500 python -m tests.benchmarks.desk

Two processes serve the real stack, middleware and templates included: one over the full data, one over a tenth of it.
They take turns, an empty view among the pages of each turn: what slows the machine slows them all, and the ratios hold.
The last line printed is JSON; `growth` is the queue's p50 at full size over its p50 at a tenth. KEEP=1 keeps the data.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from suite import embedded

FULL = int(os.environ.get("DOSSIERS", "35000"))
EVENTS_EACH = 400_000 / 35_000
ROUNDS = int(os.environ.get("ROUNDS", "40"))
WARM_UP = 5
KEEP = bool(os.environ.get("KEEP"))
ROOT = Path(__file__).resolve().parents[2]


class Measure(NamedTuple):
    """One page: the time of each request in milliseconds, and the most queries that one of them made."""

    times: list[float]
    queries: int

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    def told(self) -> dict[str, float]:
        p95 = statistics.quantiles(self.times, n=20)[-1]
        return {"p50_ms": round(self.p50, 1), "p95_ms": round(p95, 1), "queries": self.queries}


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# --- The process that conducts ----------------------------------------------------------------------------------------


class Size:
    """The process that serves one size of data, and what it measured."""

    def __init__(self, name: str, dossiers: int, home: str) -> None:
        self.database, self.home = f"bench_desk_{name}", home
        self.drop()
        with psycopg.connect(home, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        environment = os.environ | {
            "DATABASE_URL": urlunsplit(urlsplit(home)._replace(path=f"/{self.database}")),
            "DJANGO_SETTINGS_MODULE": "suite.settings",
            "LOG_LEVEL": "ERROR",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.desk", "serve", str(dossiers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        self.facts: dict[str, Any] = {}
        self.times: dict[str, list[float]] = {}
        self.queries: dict[str, int] = {}

    def read(self) -> dict[str, Any]:
        """Return the next line that the process says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.database} stopped before its answer.")
        said: dict[str, Any] = json.loads(line)
        return said

    def turn(self, *, count: bool = False, note: bool = True) -> None:
        """Have each page asked for once; `count` counts queries instead of time."""
        assert self.process.stdin is not None
        self.process.stdin.write("count\n" if count else "turn\n")
        self.process.stdin.flush()
        for name, values in self.read().items():
            if count:
                self.queries[name] = max(values)
            elif note:
                self.times.setdefault(name, []).extend(values)

    def measures(self) -> dict[str, Measure]:
        """Return what each page took."""
        return {name: Measure(times, self.queries[name]) for name, times in self.times.items()}

    def stop(self) -> None:
        """Stop the process, and take its data away."""
        self.process.kill()
        self.process.wait()
        if not KEEP:
            self.drop()

    def drop(self) -> None:
        """Take the database away."""
        with psycopg.connect(self.home, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.database)))


def main() -> None:
    """Build both sizes, measure them in turn, and say."""
    embedded.connect()
    home = os.environ["DATABASE_URL"]
    started = time.monotonic()
    tenth = Size("tenth", FULL // 10, home)
    try:
        tenth.facts = tenth.read()
        full = Size("full", FULL, home)
        try:
            full.facts = full.read()
            say(f"Built in {time.monotonic() - started:.0f} s: {full.facts}")
            for turn in range(-WARM_UP, ROUNDS):
                for size in (tenth, full):
                    size.turn(note=turn >= 0)
            for size in (tenth, full):
                size.turn(count=True)
            report(full, tenth)
        finally:
            full.stop()
    finally:
        tenth.stop()


def report(full: Size, tenth: Size) -> None:
    """Print each page beside an empty view, then the line that machines read."""
    large, small = full.measures(), tenth.measures()
    for name, one in large.items():
        ratio, before = one.p50 / large["empty"].p50, small[name].p50 / small["empty"].p50
        say(f"{name}: {one.told()}, {ratio:.1f} empty views; at a tenth {small[name].told()}, {before:.1f}")
    result = {
        "dossiers": full.facts["dossiers"],
        "events": full.facts["events"],
        "queue": large["queue"].told(),
        "dossier": large["dossier"].told(),
        "growth": round(large["queue"].p50 / small["queue"].p50, 2),
    }
    say(json.dumps(result))


# --- A process that serves --------------------------------------------------------------------------------------------


def serve(dossiers: int) -> None:
    """Build one size of data in the database of the environment, then measure a turn for each line read."""
    import django

    django.setup()

    from django.conf import settings
    from django.core.management import call_command

    from tests.benchmarks.desk_data import Builder, count

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    builder = Builder()
    builder.territory()
    builder.dossiers(dossiers, EVENTS_EACH)
    made, events = count()
    say(json.dumps({"dossiers": made, "events": events, "broken events": builder.broken()}))
    ask = asker(builder)
    for line in sys.stdin:
        say(json.dumps(ask(count=line.strip() == "count")))


def asker(builder: Any) -> Callable[..., dict[str, list[float]]]:
    """Return what asks once for every page, as each of its readers."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from suite.accounts import sessions
    from suite.accounts.models import UserSession

    clients = []
    for user in builder.readers():
        client = Client(headers={"host": urlsplit(settings.PUBLIC_BASE_URL).netloc})
        client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
        # As a sign-in does: each page looks whether the session was closed from elsewhere.
        session = client.session
        session[sessions.KEY] = str(UserSession.objects.create(user=user).pk)
        session.save()
        clients.append(client)
    pages: dict[str, Callable[[], Iterator[str]]] = {
        "empty": lambda: iter(["/healthz"]),
        "queue": builder.queue_addresses,
        "filtered": builder.filtered_addresses,
        "dossier": builder.dossier_addresses,
    }

    def ask(*, count: bool) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {name: [] for name in pages}
        for client in clients:
            for name, addresses in pages.items():
                for url in addresses():
                    began = time.perf_counter()
                    if count:
                        with CaptureQueriesContext(connection) as captured:
                            response = client.get(url)
                    else:
                        response = client.get(url)
                    spent = 1000 * (time.perf_counter() - began)
                    if response.status_code != 200:
                        raise SystemExit(f"{url} answers {response.status_code}")
                    found[name].append(len(captured) if count else spent)
        return found

    return ask


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
