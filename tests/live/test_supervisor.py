import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from suite.demo import supervisor

ROOT = Path(__file__).parents[2]
LIVES = "import time; print('up'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
DIES = "print('up'); print('my last words')"


class Supervised:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, place: Path, *programs: str) -> None:
        command = [sys.executable, "-m", "tests.live.supervised", str(place), *programs]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def children(self) -> list[int]:
        word, *pids = self.line().split()
        assert word == "Ready"
        return [int(pid) for pid in pids]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Run supervisors, and find nothing of theirs afterwards."""
    started: list[Supervised] = []

    def start(*programs: str) -> Supervised:
        started.append(Supervised(tmp_path, *programs))
        return started[-1]

    yield start
    for supervised in started:
        supervised.process.kill()
        supervised.process.communicate()
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])
    ]


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_that_was_started(
    supervise: Callable[..., Supervised], number: signal.Signals
) -> None:
    supervised = supervise(LIVES, LIVES)
    children = supervised.children()
    supervised.process.send_signal(number)
    assert supervised.process.wait(10) == 0
    assert all(gone(pid) for pid in children)


def test_a_child_that_ignores_sigterm_is_killed_in_time(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(STUBBORN)
    (child,) = supervised.children()
    began = time.monotonic()
    supervised.process.terminate()
    supervised.process.wait(supervisor.STOP_WITHIN + 5)
    assert gone(child)
    assert time.monotonic() - began < supervisor.STOP_WITHIN + 3


def test_a_killed_child_is_started_again(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(LIVES, LIVES)
    first, _ = supervised.children()
    os.kill(first, signal.SIGKILL)
    assert supervised.line() == "child-0 stopped; started again."
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0


def test_children_end_with_a_supervisor_that_was_killed(supervise: Callable[..., Supervised]) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux can ask to die with the parent")
    supervised = supervise(LIVES)
    (child,) = supervised.children()
    supervised.process.kill()
    supervised.process.wait(5)
    assert gone(child)


def test_a_child_that_ends_at_once_is_reported_with_its_last_words(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(DIES, LIVES)
    output = supervised.process.communicate(timeout=30)[0]
    assert supervised.process.returncode == 3
    assert "child-0" in output
    assert "my last words" in output


def test_a_child_that_never_lives_long_is_given_up(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise("import time; print('up'); time.sleep(0.7)", LIVES)
    output = supervised.process.communicate(timeout=60)[0]
    assert supervised.process.returncode == 3
    assert output.count("child-0 stopped; started again.") == supervisor.EARLY_DEATHS
    assert "child-0 keeps dying" in output


def test_a_taken_port_is_named_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(supervisor.CannotStart, match=rf"Port {port} .*PORT="):
            supervisor.require_free(port)


def test_a_checkout_runs_one_demonstration_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "demo.lock"
    assert supervisor.running_port(lock) is None
    with supervisor.claim(lock, 8123):
        assert supervisor.running_port(lock) == 8123
        with pytest.raises(supervisor.CannotStart, match=r"127\.0\.0\.1:8123/"):
            supervisor.claim(lock, 9000)
    assert supervisor.running_port(lock) is None
