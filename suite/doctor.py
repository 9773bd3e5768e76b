"""How the site itself is: its database, its broker, what waits to be sent, who answers for the outside world."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.module_loading import import_string

from suite.accounts.diagnosis import Level, Line
from suite.accounts.models import BreakGlass
from suite.celery import app
from suite.notices.models import Notice

WAITING_WARNS, WAITING_FAILS = timedelta(minutes=15), timedelta(days=1)
DRILL = timedelta(days=100)  # a quarter, and the time to do it


def look() -> Iterator[Line]:
    """Yield a line for each part of the site; without a database, nothing else can be said."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            (version,) = cursor.fetchone()
    except DatabaseError as error:
        yield Line("error", "database", f"The database does not answer ({type(error).__name__}).")
    else:
        yield Line("ok", "database", f"PostgreSQL {version} answers.")
        for part in (_migrations, _cache, _notices, _break_glass):
            yield from _safely(part)
    yield _broker()
    yield from _backends()


def _safely(part: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """A table that is not there yet is a finding, not an accident."""
    try:
        yield from list(part())
    except DatabaseError as error:
        yield Line("error", part.__name__.strip("_").replace("_", "-"), f"Cannot be read ({type(error).__name__}).")


def _migrations() -> Iterator[Line]:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in pending[:5])
        yield Line("error", "migrations", f"{len(pending)} migrations are pending: {names}. Run manage.py prepare.")
    else:
        yield Line("ok", "migrations", "Every migration is applied.")


def _cache() -> Iterator[Line]:
    try:
        cache.set("doctor", "here", 30)
        kept = cache.get("doctor") == "here"
    except OSError as error:
        yield Line("error", "cache", f"The shared cache does not answer ({type(error).__name__}).")
    else:
        yield Line("ok" if kept else "error", "cache", "The shared cache keeps." if kept else "The cache forgets.")


def _notices() -> Iterator[Line]:
    oldest = Notice.objects.due().first()
    waiting = timezone.now() - oldest.created_at if oldest else timedelta()
    level: Level = "error" if waiting > WAITING_FAILS else "warning" if waiting > WAITING_WARNS else "ok"
    if level == "ok":
        yield Line("ok", "notices", "No notice has waited for long.")
    else:
        minutes = waiting // timedelta(minutes=1)
        yield Line(level, "notices", f"The oldest notice has waited for {minutes} minutes: is a worker running?")
    failed = Notice.objects.filter(state=Notice.State.FAILED).count()
    if failed:
        yield Line("warning", "notices-failed", f"{failed} notices could not be delivered.")


def _break_glass() -> Iterator[Line]:
    accounts = list(BreakGlass.objects.select_related("user").order_by("place"))
    if not accounts:
        yield Line("warning", "break-glass", "There is no break-glass account: manage.py break_glass create NAME.")
    for account in accounts:
        used = account.user.last_login
        if used is None or timezone.now() - used > DRILL:
            yield Line("warning", "break-glass", f"{account.name} has not been tried for a quarter: hold a drill.")
        else:
            yield Line("ok", "break-glass", f"{account.name} was last used on {used:%Y-%m-%d}.")


def _broker() -> Line:
    scheme = str(app.conf.broker_url).partition(":")[0]  # the address may hold a password
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=5)
    except Exception as error:  # noqa: BLE001 - each transport has its own
        return Line("error", "broker", f"The broker ({scheme}) does not answer ({type(error).__name__}).")
    return Line("ok", "broker", f"The broker ({scheme}) answers.")


def _backends() -> Iterator[Line]:
    for role, name in settings.BACKENDS.items():
        try:
            import_string(name)
        except ImportError:
            yield Line("error", f"backend-{role}", f"{name} cannot be imported.")
        else:
            yield Line("information", f"backend-{role}", f"{role}: {name}")
