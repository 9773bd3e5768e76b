"""The matrix in one command: `python -m tests.proconnect.matrix [--vanilla] [--record]` prints it and judges.

Ours must be as expected everywhere, and as `docs/proconnect-conformance.md` says; --record writes the column of this
run in that page. --vanilla runs the library as shipped, which is expected to fail: its verdicts are what is recorded.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.proconnect import document
from tests.proconnect.rows import Verdict

HERE = Path(__file__).parent


@dataclass
class Collector:
    """Gathers the verdicts that the test workers send."""

    verdicts: list[Verdict] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: list[Verdict] = [
            Verdict(**held)
            for name, held in report.user_properties
            if name == "proconnect" and isinstance(held, dict) and report.when == "call"
        ]
        self.verdicts += found
        if report.skipped and isinstance(report.longrepr, tuple):
            self.left_out.add(report.longrepr[2])
        if report.failed and not found:
            self.broken.append(report.nodeid)


def main(arguments: list[str] | None = None) -> int:
    """Run it, print the table, and return 1 when something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.proconnect.matrix", description=__doc__)
    parser.add_argument("--vanilla", action="store_true", help="the library as shipped, in place of ours")
    parser.add_argument("--record", action="store_true", help="write the verdicts in the documentation")
    parser.add_argument("rest", nargs="*", help="handed to pytest")
    options = parser.parse_args(arguments)

    collector = Collector()
    pytest.main(command(options.vanilla, options.record, options.rest), plugins=[collector])
    verdicts = sorted(collector.verdicts, key=document.order)
    say(table(verdicts))
    for why in sorted(collector.left_out):
        say(f"Left out: {why.removeprefix('Skipped: ')}")
    for name in collector.broken:
        say(f"No verdict: {name}")
    wrong = [verdict for verdict in verdicts if not verdict.passed]
    say(f"{len(verdicts)} verdicts, {len(verdicts) - len(wrong)} as expected, {len(wrong)} not.")
    if options.record:
        document.write(verdicts, vanilla=options.vanilla, whole=not options.rest)
        say(f"Recorded in {document.PAGE.name}.")
    stale = document.differences(verdicts, vanilla=options.vanilla)
    for line in stale:
        say(f"{document.PAGE.name} says otherwise: {line}")
    if stale:
        say("Run the command again with RECORD=1 once the difference is understood.")
    if options.vanilla:
        # Nobody promised anything: what counts is that every row got a verdict. Its races may end otherwise each time.
        return 1 if not verdicts or collector.broken else 0
    return 1 if not verdicts or collector.broken or stale or wrong else 0


def command(vanilla: bool, record: bool, rest: list[str]) -> list[str]:  # noqa: FBT001 - options
    """Return pytest's arguments: both cores, one worker per provider at a time."""
    base = [str(HERE), "-n", "2", "--dist", "loadgroup", "-q", "--no-cov", "--durations=10"]
    if vanilla or record:
        # The page is being written, or is not about this run.
        base += ["--ignore", str(HERE / "test_document.py")]
    if vanilla:
        # Its failures are the result: no traceback is wanted.
        base += ["--ds", "tests.proconnect.vanilla", "--tb=no", "-r", "N", "--show-capture=no"]
    return [*base, *rest]


def table(verdicts: list[Verdict]) -> str:
    """Lay the verdicts out: a line per row and provider."""
    head = ("Row", "Test", "Expected", "Provider", "Got", "")
    lines = [
        (one.number, one.title, one.expected, one.provider, one.got, "" if one.passed else "<- differs")
        for one in verdicts
    ]
    widths = [max(len(line[place]) for line in [head, *lines]) for place in range(5)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)).rstrip()
        for line in [head, *lines]
    ]
    return "\n".join(["", *shown, ""])


def say(text: str) -> None:
    """Print for the person at the terminal."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
