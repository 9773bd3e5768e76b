"""What a fresh checkout needs before its first answer: tables, the shared cache's table, the territory."""

import sys
from typing import TextIO

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from suite.directory import importer, snapshot
from suite.directory.models import ImportRun


def prepare(said: TextIO | None = None) -> None:
    """Migrate, create the cache's table, import the shipped territory; says on `said` (stderr) what it does, if anything.

    Idempotent, and under a second when there is nothing to do. Raises SnapshotError on a broken shipped file.
    """
    out = said or sys.stderr
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Première utilisation : création des tables…", file=out)
        call_command("migrate", verbosity=0, interactive=False)
    if "db" in settings.CACHES["default"]["BACKEND"] and _cache_table() not in connection.introspection.table_names():
        call_command("createcachetable", verbosity=0)
    ensure_directory(out)


def ensure_directory(said: TextIO | None = None) -> None:
    """Import the shipped territory unless it is what the last import brought."""
    data = snapshot.SHIPPED.read_bytes()
    digest = snapshot.digest(data)
    last = ImportRun.objects.order_by("-pk").values_list("digest", flat=True).first()
    if last == digest:
        return
    print("Chargement des communes et des EPCI (quelques secondes)…", file=said or sys.stderr)
    importer.load(snapshot.unpack(data, snapshot.SHIPPED.name), snapshot.mergers(), digest)


def _cache_table() -> str:
    return str(settings.CACHES["default"].get("LOCATION", ""))
