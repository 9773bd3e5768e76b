"""The README's first command, as a newcomer runs it: the real processes, over real sockets, from an empty folder."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.demonstration import ROOT, Demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demonstration")]


def test_it_says_once_that_it_is_ready_and_whom_one_may_be(demo: Demo) -> None:
    assert demo.said().count("Ready: ") == 1
    assert "Rochefort-en-Terre" in demo.said()


def test_the_journey_may_be_walked_again_and_again(demo: Demo) -> None:
    first, second = demo.check(), demo.check()
    assert first["ok"], first.get("error")
    assert second["ok"], second.get("error")
    assert set(first["seconds"]) == {"login", "request", "approval", "provisioned"}
    assert first["commune"] != second["commune"]
    assert first["domain"] != second["domain"]
    assert first["steps"]


def test_a_worker_killed_during_the_journey_loses_and_doubles_nothing(demo: Demo) -> None:
    walking = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--check"], cwd=ROOT, env=demo.env, stdout=subprocess.PIPE, text=True
    )
    killed = 0
    while walking.poll() is None:
        time.sleep(0.9)
        try:
            demo.worker().kill()
            killed += 1
        except (ValueError, psutil.NoSuchProcess):
            continue  # being started again
        if killed == 4:  # the supervisor gives up on a child that never lives long
            break
    result = json.loads(walking.communicate(timeout=180)[0].splitlines()[-1])
    assert result["ok"], result.get("error")
    assert killed


def test_a_second_start_is_quick_and_finds_the_data_again(demo: Demo) -> None:
    before = demo.check()
    demo.stop(signal.SIGINT)
    assert demo.start() < 10
    listing = subprocess.run(
        [sys.executable, "manage.py", "world"], cwd=ROOT, env=demo.env, capture_output=True, text=True, check=True
    )
    assert before["domain"] in listing.stdout
