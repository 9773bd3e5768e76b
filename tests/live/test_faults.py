"""Everything that may go wrong, at each outside call of each step: the end state is always the fault-free one."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import time_machine
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import backends, circuits, engine
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.provider_models import Slot
from suite.catalog.models import Subscription
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.provisioning import deployment
from tests.provisioning.faulty import Fate, outside

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.xdist_group("faults"),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _watched(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    named = {
        role: f"tests.provisioning.faulty.Watched{role.title()}" for role in ("registrar", "dns", "mail", "storage")
    }
    settings.BACKENDS = {**settings.BACKENDS, **named}
    fine()
    yield
    fine()


def fine() -> None:
    """Let nothing go wrong any more."""
    Fate.calls.clear()
    Fate.lies.clear()
    Fate.at, Fate.how = None, ""
    backends.renew()
    circuits.forget()


def due(built: Deployment) -> None:
    """Let every lease and delay of a deployment be over."""
    Step.objects.filter(deployment=built, status="waiting").update(due_at=timezone.now())
    Slot.objects.update(until=timezone.now())


def work(built: Deployment) -> None:
    """Run what is due, as a worker's task: whatever comes out of it, the connection is given up."""
    with contextlib.suppress(OperationalError, InterfaceError):
        engine.advance(built.pk)
    close_old_connections()


def work_apart(built: Deployment) -> int:
    """Run what is due in a process of its own, and return how it ended: -9 when it was killed."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            work(built)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child of pytest ends here, whatever happened
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def reference() -> tuple[dict[str, list[str]], list[str]]:
    """Build once without any fault; return what is there, and every call it took."""
    fine()
    built = deployment(registered=True)
    engine.advance(built.pk)
    assert built.status == Deployment.Status.LIVE
    return outside(built), list(Fate.calls)


def assert_as_without_faults(built: Deployment, wanted: dict[str, list[str]], what: str) -> None:
    steps = [(step.name, step.status, step.code) for step in built.steps.all()]
    assert Deployment.objects.get(pk=built.pk).status == Deployment.Status.LIVE, (what, steps)
    assert outside(built) == wanted, what
    assert Subscription.objects.filter(organization=built.organization).count() == 3, what
    assert Notice.objects.filter(kind="welcome", body_text__contains=built.domain).count() == 1, what
    assert Event.objects.filter(subject=built.pk, kind="completed").count() == 1, what


def test_killed_after_each_outside_call_of_each_step() -> None:
    wanted, calls = reference()
    assert len(calls) > 20
    for number, call in enumerate(calls):
        fine()
        built = deployment(registered=True)
        Fate.at, Fate.how = number, "killed"
        assert work_apart(built) == -signal.SIGKILL, call
        assert not built.finished, call
        fine()
        due(built)
        work(built)
        assert_as_without_faults(built, wanted, f"killed after {call} (call {number})")


@pytest.mark.parametrize("how", ["error_500", "hangs", "drops_after_success", "garbage", "database_restarts"])
def test_one_fault_at_each_outside_call(how: str) -> None:
    wanted, calls = reference()
    for number, call in enumerate(calls):
        fine()
        built = deployment(registered=True)
        Fate.at, Fate.how = number, how
        work(built)
        for _ in range(3):
            if built.finished:
                break
            Fate.at = None
            due(built)
            work(built)
        assert_as_without_faults(built, wanted, f"{how} at {call} (call {number})")


LIES = ("ensure_registered", "ensure_zone", "ensure_records", "ensure_domain", "ensure_mailbox", "ensure_space")


@pytest.mark.parametrize("lie", LIES)
def test_a_provider_that_says_done_and_does_nothing(lie: str) -> None:
    wanted, _ = reference()
    fine()
    built = deployment(registered=True)
    Fate.lies[lie] = 2
    for _ in range(6):
        work(built)
        if built.finished:
            break
        due(built)
    assert not Fate.lies[lie], [(step.name, step.status, step.code, step.note) for step in built.steps.all()]
    # What was looked for and not found leaves a trace in no listing.
    assert_as_without_faults(built, wanted, lie)


def test_the_clock_stops_for_three_days_in_the_middle() -> None:
    wanted, calls = reference()
    for number in range(3, len(calls), 7):
        fine()
        built = deployment(registered=True)
        Fate.at, Fate.how = number, "killed"
        assert work_apart(built) == -signal.SIGKILL
        fine()
        late = Step.objects.filter(deployment=built, status="waiting").order_by("position").first()
        assert late is not None
        with time_machine.travel(timezone.now() + timedelta(days=3)):
            assert engine.sweep() >= 1
            work(built)
            # The worker of three days ago comes back: its word is worth nothing.
            assert not engine.finish(late, None)
            assert_as_without_faults(built, wanted, f"three days after call {number}")


# --- Real workers on a real Redis -------------------------------------------------------------------------------------


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true, and redis-server is not installed")
        pytest.skip("no Redis here: install redis-server, or run as root on Debian or Ubuntu")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@contextlib.contextmanager
def two_workers(place: Path, world: Path, broker: str) -> Iterator[Path]:
    """Run two workers, one with the beat, on everything there is."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.provisioning.worker_settings",
        "DATABASE_URL": database.geturl(),
        "REDIS_URL": broker,
        "LOCAL_WORLD": str(world),
        "TEST_BROKER": str(place),
        "PROVISIONING_LEASE_SECONDS": "4",
        "CELERY_SKIP_CHECKS": "1",
    }
    log = place / "log"
    started = []
    with log.open("ab") as said:
        for number in range(2):
            beat = ["--beat"] if number == 0 else []
            command = [sys.executable, "-m", "celery", "-A", "suite", "worker", *beat, "--without-mingle",
                       "--without-gossip", "--loglevel", "WARNING", "--pool", "solo",
                       "-n", f"faults{number}@%h"]  # fmt: skip
            started.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True)
            )
    try:
        yield log
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


def test_redis_is_emptied_again_and_again_under_two_workers(settings: Settings, tmp_path: Path, redis_url: str) -> None:
    wanted, _ = reference()
    built = [deployment(registered=True) for _ in range(12)]
    broker = redis.Redis.from_url(redis_url)
    until = time.monotonic() + 90
    with two_workers(tmp_path, Path(settings.LOCAL_WORLD), redis_url) as log:
        emptied = 0
        while not all(each.finished for each in Deployment.objects.with_steps()) and time.monotonic() < until:
            if emptied < 20:
                broker.flushall()
                emptied += 1
            # The lost connections of this process are its own; the workers have theirs.
            time.sleep(0.3)
    for each in built:
        assert_as_without_faults(each, wanted, log.read_text()[-2000:])
