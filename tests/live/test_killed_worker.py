"""Real Celery workers, on the broker made of files, killed by SIGKILL: everything ends up built, and built once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from pytest_django import Settings

from onboarding.provisioning.backends.world import listing
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.workflow import MailboxPlan
from suite.catalog.models import Subscription
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.provisioning import deployment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """Starts a worker at a time, in a process group of its own, and leaves none behind."""

    def __init__(self, place: Path, world: Path, *, pool: str, lease: int, backends: dict[str, str]) -> None:
        (place / "messages").mkdir(parents=True)
        (place / "control").mkdir()
        self.arguments = ["--pool", pool, "--concurrency", "2" if pool == "prefork" else "1"]
        self.log = place / "log"
        self.process: subprocess.Popen[bytes] | None = None
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        self.environment = {
            **os.environ,
            **backends,
            "DJANGO_SETTINGS_MODULE": "tests.provisioning.worker_settings",
            "DATABASE_URL": database.geturl(),
            "LOCAL_WORLD": str(world),
            "TEST_BROKER": str(place),
            "DYING_FILE": str(place / "deaths"),
            "PROVISIONING_LEASE_SECONDS": str(lease),
        }

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "suite", "worker", "--beat", "--without-mingle",
                 "--without-gossip", "--loglevel", "WARNING", *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill the worker, its pool and its beat, all at the same instant."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)

    @property
    def dead(self) -> bool:
        return self.process is not None and self.process.poll() is not None


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Path:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    return tmp_path / "world.sqlite3"


@contextlib.contextmanager
def stopped(workers: Workers) -> Iterator[Workers]:
    try:
        yield workers
    finally:
        workers.kill()


def finished(built: Deployment) -> bool:
    return Deployment.objects.get(pk=built.pk).finished


def assert_built_once(built: Deployment, boxes: int, log: str) -> None:
    assert finished(built), [(step.name, step.status, step.code, step.note) for step in built.steps.all()] + [log]
    assert built.status == Deployment.Status.LIVE
    state = listing()
    created = [(each["what"], each["key"]) for each in state["created"]]
    assert len(created) == len(set(created))
    assert len(state["mailboxes"]) == boxes
    assert len(state["spaces"]) == len(state["mail_domains"]) == 1
    assert [zone["name"] for zone in state["zones"]].count(built.domain) == 1
    assert state["messages"] == []
    assert Subscription.objects.filter(organization=built.organization).count() == 3
    assert Notice.objects.filter(kind="welcome").count() == 1
    assert Event.objects.filter(subject=built.pk, kind="completed").count() == 1


def test_r26_a_worker_that_dies_after_each_outside_call_builds_everything_once(world: Path, tmp_path: Path) -> None:
    backends = {f"{role}_BACKEND".upper(): f"tests.provisioning.dying.Dying{role.title()}"
                for role in ("registrar", "dns", "mail", "storage")}  # fmt: skip
    workers = Workers(tmp_path / "broker", world, pool="solo", lease=2, backends=backends)
    built = deployment(registered=True)
    deaths, until = 0, time.monotonic() + 240
    with stopped(workers):
        workers.start()
        while not finished(built) and time.monotonic() < until:
            if workers.dead:
                workers.kill()  # its beat lived on
                deaths += 1
                workers.start()
            time.sleep(0.1)
    assert_built_once(built, 2, workers.log.read_text()[-3000:])
    assert deaths >= 13, workers.log.read_text()[-3000:]


def test_a_pool_killed_at_any_moment_builds_everything_once(world: Path, tmp_path: Path) -> None:
    boxes = tuple(MailboxPlan(f"boite{number}", f"Boîte {number}", "shared") for number in range(30))
    built = deployment(mailboxes=boxes)
    workers = Workers(tmp_path / "broker", world, pool="prefork", lease=4, backends={})
    chance = random.Random()  # noqa: S311 - when to kill, not a secret
    until = time.monotonic() + 180
    with stopped(workers):
        for _ in range(5):
            workers.start()
            done = built.steps.filter(status="done").count()
            # Not before it has begun: a worker takes seconds to start, and killing that proves nothing.
            while built.steps.filter(status="done").count() == done and not finished(built):
                assert time.monotonic() < until, workers.log.read_text()[-3000:]
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.25))
            workers.kill()
            if finished(built):
                break
        if not finished(built):
            workers.start()
        while not finished(built) and time.monotonic() < until:
            time.sleep(0.1)
    assert_built_once(built, 30, workers.log.read_text()[-3000:])
