"""`make bench-desk`: the desk's pages with 35,000 dossiers and 400,000 events, in a database of its own.

    DOSSIERS=3500 python -m tests.benchmarks.desk

Each page is asked of the real stack, middleware and templates included, in turn with an empty view of the same process;
the last line printed is JSON. `growth` is the queue's p50 at full size over its p50 at a tenth.
"""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from suite import embedded

DATABASE = "bench_desk"
FULL = int(os.environ.get("DOSSIERS", "35000"))
EVENTS_EACH = 400_000 / 35_000
ROUNDS = int(os.environ.get("ROUNDS", "40"))
WARM_UP = 5


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


def main() -> None:
    """Build, measure at a tenth, build the rest, measure, and take the database away."""
    embedded.connect()
    home = os.environ["DATABASE_URL"]
    with psycopg.connect(home, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(home)._replace(path=f"/{DATABASE}"))
    os.environ["LOG_LEVEL"] = "ERROR"
    os.environ["DJANGO_SETTINGS_MODULE"] = "suite.settings"
    try:
        run()
    finally:
        from django.db import connections  # noqa: PLC0415 - after its settings

        connections.close_all()
        with psycopg.connect(home, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))


def run() -> None:
    """Measure in the database that the environment names."""
    import django  # noqa: PLC0415 - after its settings

    django.setup()

    from django.core.management import call_command  # noqa: PLC0415 - idem

    from tests.benchmarks.desk_data import Builder, count  # noqa: PLC0415 - idem

    started = time.monotonic()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    builder = Builder()
    builder.territory()
    say(f"Territory: {time.monotonic() - started:.0f} s")

    builder.dossiers(FULL // 10, EVENTS_EACH)
    small = measure(builder)
    builder.dossiers(FULL - FULL // 10, EVENTS_EACH)
    say(f"Data: {time.monotonic() - started:.0f} s")
    broken = builder.broken()
    say(f"Chains of events that do not hold: {broken}")
    full = measure(builder)

    dossiers, events = count()
    empty = full["empty"].p50
    for name, one in full.items():
        say(f"{name}: {one.told()}, {one.p50 / empty:.1f} times an empty view; at a tenth: {small[name].told()}")
    result = {
        "dossiers": dossiers,
        "events": events,
        "queue": full["queue"].told(),
        "dossier": full["dossier"].told(),
        "growth": round(full["queue"].p50 / small["queue"].p50, 2),
    }
    say(json.dumps(result))


def measure(builder: Any) -> dict[str, Measure]:
    """Ask for each page in turn, so that what slows the machine slows them all."""
    from django.conf import settings  # noqa: PLC0415 - after its settings
    from django.db import connection  # noqa: PLC0415 - idem
    from django.test import Client  # noqa: PLC0415 - idem
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415 - idem

    settings.ALLOWED_HOSTS = ["*"]
    clients = []
    for user in builder.readers():
        client = Client()
        client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
        clients.append(client)
    pages: dict[str, Callable[[], Iterator[str]]] = {
        "empty": lambda: iter(["/healthz"]),
        "queue": builder.queue_addresses,
        "filtered": builder.filtered_addresses,
        "dossier": builder.dossier_addresses,
    }
    times: dict[str, list[float]] = {name: [] for name in pages}
    queries = dict.fromkeys(pages, 0)
    for turn in range(-WARM_UP, ROUNDS):
        for client in clients:
            for name, addresses in pages.items():
                for url in addresses():
                    began = time.perf_counter()
                    response = client.get(url)
                    spent = 1000 * (time.perf_counter() - began)
                    if response.status_code != 200:
                        raise SystemExit(f"{url} answers {response.status_code}")
                    if turn >= 0:
                        times[name].append(spent)
                    if turn == -1:
                        with CaptureQueriesContext(connection) as captured:
                            client.get(url)
                        queries[name] = max(queries[name], len(captured))
    return {name: Measure(times[name], queries[name]) for name in pages}


if __name__ == "__main__":
    random.seed(20_251)
    main()
