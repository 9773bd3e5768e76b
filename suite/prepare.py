"""What a fresh checkout needs before its first answer: tables, the shared cache's table, the territory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from suite.directory import importer, snapshot
from suite.directory.models import ImportRun

_LOCK = 0x7E221700  # any number, the same for everybody who prepares


class Voice(Protocol):
    """Where to say what is being done: stderr, or a command's own wrapper of it."""

    def write(self, text: str, /) -> object: ...


def prepare(said: Voice | None = None) -> None:
    """Migrate, create the cache's table, import the shipped territory; say on `said` (stderr) what is being done.

    Idempotent, safe to run twice at once, and well under a second when there is nothing to do. Raises SnapshotError
    when the shipped file is broken.
    """
    ensure_tables(said)
    ensure_directory(said)


def ensure_tables(said: Voice | None = None) -> None:
    """Create or update the tables, that of the shared cache included."""
    if not _lacks_tables():
        return
    with _alone():
        if _lacks_tables():
            _say(said, "Création des tables…")
            call_command("migrate", verbosity=0, interactive=False)
            call_command("createcachetable", verbosity=0)


def ensure_directory(said: Voice | None = None) -> None:
    """Import the shipped territory unless it is what the last import brought."""
    digest = snapshot.digest(snapshot.read_shipped())
    if _imported() == digest:
        return
    with _alone():
        if _imported() != digest:
            _say(said, "Chargement des communes et des intercommunalités (quelques secondes)…")
            territory, _ = snapshot.shipped()
            importer.load(territory, snapshot.mergers(), digest)


def _lacks_tables() -> bool:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return True
    cache = settings.CACHES["default"]
    return (
        cache["BACKEND"].endswith(".DatabaseCache") and cache["LOCATION"] not in connection.introspection.table_names()
    )


def _imported() -> str | None:
    return ImportRun.objects.order_by("-pk").values_list("digest", flat=True).first()


def _say(said: Voice | None, text: str) -> None:
    (said or sys.stderr).write(f"{text}\n")


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time prepare; the others wait, then find it done."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
