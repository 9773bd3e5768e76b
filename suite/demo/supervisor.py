"""Starts the whole product on one machine, keeps it running, and stops all that it started.

Each child runs in a session of its own, so that a Ctrl-C in the terminal reaches only this process, which then stops
the children in order. A child that dies is started again: the database remembers what it was doing.
"""

import ctypes
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Never

READY_WITHIN = 90.0
STOP_WITHIN = 5.0
# A child that dies this often in a row, each time so young, will not live: better to say so than to try for ever.
EARLY_DEATHS = 5
YOUNG = 5.0
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """The demonstration cannot run; the message says what to do."""


@dataclass
class Child:
    """One process of the product. `ready` tells, without waiting, whether it serves."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    log: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    early_deaths: int = 0

    def start(self) -> None:
        """Start it, its output in its log."""
        self.born = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.env),
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal_group(self, number: int) -> None:
        """Send a signal to the child and to whatever it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return

    def last_lines(self, count: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def _die_with_parent() -> None:
    """Ask Linux to stop the child when this process is killed without a chance to do it; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def claim(lock: Path, port: int) -> IO[str]:
    """Take the checkout's lock for as long as the returned file stays open.

    Raises CannotStart when a demonstration already runs here.
    """
    handle = lock.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        running = json.loads(handle.read() or "{}")
        handle.close()
        raise CannotStart(
            f"A demonstration of this checkout already runs: {running.get('url', 'unknown address')} "
            f"(process {running.get('pid', '?')})."
        ) from None
    handle.truncate(0)
    json.dump({"pid": os.getpid(), "url": f"http://127.0.0.1:{port}/", "port": port}, handle)
    handle.flush()
    return handle


def running_port(lock: Path) -> int | None:
    """Return the web port of the demonstration that runs in this checkout, None when none does."""
    if not lock.exists():
        return None
    with lock.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(json.loads(handle.read())["port"])
    return None


def require_free(*ports: int) -> None:
    """Raise CannotStart, naming the remedy, when one of the ports is taken."""
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise CannotStart(
                    f"Port {port} of 127.0.0.1 is taken by another program. "
                    "Choose another first port: `PORT=8100 make demo` (it uses three in a row)."
                ) from None


def answers(port: int) -> Callable[[], bool]:
    """Return a check that something accepts connections on a loopback port."""

    def check() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return check


def serves(port: int, path: str) -> Callable[[], bool]:
    """Return a check that a page of a loopback port is served: a port may listen before anything answers."""

    def check() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    return check


def says(log: Path, words: str) -> Callable[[], bool]:
    """Return a check that the log has come to contain the words since the check was made."""
    start = log.stat().st_size if log.exists() else 0

    def check() -> bool:
        with log.open("rb") as handle:
            handle.seek(start)
            return words.encode() in handle.read()

    return check


def run(children: list[Child], *, on_ready: Callable[[], None], say: Callable[[str], None]) -> None:
    """Start the children, call `on_ready` once when all serve, and keep them alive until SIGINT or SIGTERM.

    Raises CannotStart when one does not come up or keeps dying; in every case nothing is left running.
    """

    def stop(_number: int, _frame: object) -> Never:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        for child in children:
            child.start()
        _wait_until_ready(children)
        on_ready()
        while True:
            time.sleep(0.5)
            for child in children:
                if not child.alive:
                    _revive(child, say)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _stop(children)


def _wait_until_ready(children: list[Child]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    waiting = list(children)
    while waiting:
        for child in waiting:
            if not child.alive:
                raise CannotStart(f"{child.name} ended by itself. The end of {child.log}:\n{child.last_lines()}")
        waiting = [child for child in waiting if not child.ready()]
        if waiting and time.monotonic() > deadline:
            slow = waiting[0]
            raise CannotStart(f"{slow.name} did not come up. The end of {slow.log}:\n{slow.last_lines()}")
        time.sleep(0.1)


def _revive(child: Child, say: Callable[[str], None]) -> None:
    child.early_deaths = child.early_deaths + 1 if time.monotonic() - child.born < YOUNG else 0
    if child.early_deaths > EARLY_DEATHS:
        raise CannotStart(f"{child.name} keeps dying. The end of {child.log}:\n{child.last_lines()}")
    # What the dead process had started (Celery's own children) must not go on beside the new one.
    child.signal_group(signal.SIGKILL)
    say(f"{child.name} stopped; started again.")
    child.start()


def _stop(children: list[Child]) -> None:
    for child in children:
        if child.process is not None:
            # Not its group: gunicorn and Celery stop their own children in order, and wait long for any that vanish.
            child.process.terminate()
    deadline = time.monotonic() + STOP_WITHIN
    while any(child.alive for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    for child in children:
        child.signal_group(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()
