"""The command that runs the suite never hides what it leaves out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import deploy_check, run

ROOT = Path(__file__).resolve().parent.parent.parent


def test_under_ci_a_missing_program_fails_before_any_test(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {"PATH": "/nonexistent", "CI": "true", "DATABASE_URL": os.environ["DATABASE_URL"]}

    done = subprocess.run(
        [sys.executable, "-m", "tests.run"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "Left out: tests/browser, which needs chromium." in done.stdout
    assert done.stdout.splitlines()[-1] == "CI=true: nothing may be left out."


def test_the_fast_part_leaves_out_the_slow_the_network_and_the_browser() -> None:
    command = run.pytest(fast=True, without=[])

    assert command[command.index("-m", 3) + 1] == "not slow"
    assert {"--ignore=tests/live", "--ignore=tests/browser"} <= set(command)


def test_the_whole_suite_ignores_nothing_and_measures_branches() -> None:
    command = run.pytest(fast=False, without=[])

    assert "--cov-branch" in command
    assert not [word for word in command if word.startswith("--ignore")]


def test_the_deployment_checks_see_no_variable_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICIAL_SITE", "true")

    assert "OFFICIAL_SITE" not in deploy_check.environment()
