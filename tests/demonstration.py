"""The demonstration as a newcomer starts it: its real processes, in a folder and on ports of their own."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
READY_WITHIN = 180
STOPPED_WITHIN = 20


def three_ports_in_a_row() -> int:
    # Anywhere, so that two test runs of one machine do not fight over the first free place.
    for first in random.sample(range(21000, 31000, 3), 200):
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            try:
                for offset, probe in enumerate((a, b, c)):
                    probe.bind(("127.0.0.1", first + offset))
            except OSError:
                continue
            return first
    raise AssertionError("no three free ports in a row")


class Demo:
    """A demonstration with a folder and ports of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = three_ports_in_a_row()
        mine = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), "LANG": "C.UTF-8"}  # noqa: S108
        self.env = {**mine, "LOCAL_DIR": str(place), "PORT": str(self.port)}
        self.output = place / "output.log"
        self.process: subprocess.Popen[bytes]

    def start(self) -> float:
        """Start it and return the seconds it took to be ready."""
        began = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"], cwd=ROOT, env=self.env, stdout=output, stderr=output
            )
        while f"Ready: http://127.0.0.1:{self.port}/" not in self.said().splitlines():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - began < READY_WITHIN, self.said()
            time.sleep(0.1)
        return time.monotonic() - began

    def said(self) -> str:
        return self.output.read_text()

    def check(self) -> dict[str, Any]:
        """Walk the journey and return what `demo --check` printed."""
        walked = subprocess.run(
            [sys.executable, "manage.py", "demo", "--check"],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        result: dict[str, Any] = json.loads(walked.stdout.splitlines()[-1])
        assert walked.returncode == (0 if result["ok"] else 1)
        return result

    def worker(self) -> psutil.Process:
        (worker,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "worker" in child.cmdline() and "celery" in child.cmdline()
        ]
        return worker

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; fails when something it started goes on."""
        family = self.family()
        self.process.send_signal(number)
        self.process.wait(STOPPED_WITHIN)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert not alive
