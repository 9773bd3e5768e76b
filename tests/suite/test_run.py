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


def test_without_node_only_the_peers_rows_are_left_out_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    node = [need for need in run.NEEDS if need.package == "nodejs"]
    monkeypatch.setattr(
        run, "NEEDS", [run.Need(("no-such-program",), *(one.package, one.tests, one.whole)) for one in node]
    )
    monkeypatch.setattr(run, "provide", list)

    def note(command: list[str]) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(run, "run", note)
    monkeypatch.delenv("CI", raising=False)

    assert run.main([]) == 0

    assert "Left out: the peer's rows of tests/proconnect, which needs nodejs." in capsys.readouterr().out
    [command] = commands
    assert not [word for word in command if word.startswith("--ignore")]
    assert "--no-cov" in command


def test_the_deployment_checks_see_no_variable_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICIAL_SITE", "true")

    assert "OFFICIAL_SITE" not in deploy_check.environment()
