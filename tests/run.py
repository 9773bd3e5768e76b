"""The whole suite in one command: `python -m tests.run [--fast]`. Its last line is pytest's summary.

What a test needs beyond Python (a Chromium for the browser) is installed where we may install it: as root on Debian
or Ubuntu. Elsewhere what is missing is left out, and said. Under CI=true nothing may be left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Debian keeps servers out of an ordinary person's PATH.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
# Never ask, and wait for another apt to finish rather than fail.
APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-y", "-q"]


@dataclass(frozen=True)
class Need:
    """A program that some tests drive, the Debian packages that bring it, and the tests that go without it.

    `whole`: they are the files or folders of that name; if not, a part of them, which leaves itself out.
    """

    programs: tuple[str, ...]
    package: str
    tests: str
    whole: bool = True

    @property
    def met(self) -> bool:
        """Whether one of the programs is on the PATH."""
        return any(shutil.which(program, path=PATH) for program in self.programs)


SWIFT = ("proxy", "account", "container", "object")

# On Ubuntu, `chromium` is a snap, of no use in a container: the name of the package says nothing of the outcome, so
# the program is looked for again after the installation.
NEEDS = (
    Need(("chromium", "chromium-browser", "google-chrome"), "chromium", "tests/browser"),
    Need(("redis-server",), "redis-server", "tests/live/test_real_servers.py"),
    Need(("nginx",), "nginx-light", "tests/live/test_proxy.py"),
    Need(("dovecot",), "dovecot-imapd", "tests/live/test_mail_import.py"),
    *(Need((f"swift-{kind}-server",), f"swift-{kind}", "tests/live/test_swift.py") for kind in SWIFT),
    Need(("memcached",), "memcached", "tests/live/test_swift.py"),
    Need(("postfix",), "postfix postfix-pgsql", "tests/live/test_postfix_dovecot.py"),
    Need(("dovecot",), "dovecot-imapd dovecot-lmtpd dovecot-pgsql", "tests/live/test_postfix_dovecot.py"),
    Need(("opendkim",), "opendkim libopendbx1-pgsql", "tests/live/test_postfix_dovecot.py"),
    Need(("pdns_server",), "pdns-server pdns-backend-sqlite3", "tests/live/test_powerdns.py"),
    Need(("pdns_server",), "pdns-server pdns-backend-sqlite3", "tests/live/test_signed_tree.py"),
    Need(("unbound",), "unbound", "a part of tests/live/test_signed_tree.py", whole=False),
    Need(("knotd",), "knot", "a part of tests/live/test_rfc2136.py", whole=False),
    Need(("named",), "bind9", "a part of tests/live/test_rfc2136.py", whole=False),
    # The ProConnect peer; `tests/proconnect/providers.py` says when they are too old, and installs its packages. The
    # demonstration's provider needs neither.
    Need(("node",), "nodejs", "the peer's rows of tests/proconnect", whole=False),
    Need(("npm",), "npm", "the peer's rows of tests/proconnect", whole=False),
)


def main(arguments: list[str] | None = None) -> int:
    """Install what can be, run pytest, and return its status."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out slow tests, the network's and the browser's")
    fast: bool = parser.parse_args(arguments).fast

    missing: list[Need] = []
    if not fast:
        provide([need for need in NEEDS if not need.met])
        missing = [need for need in NEEDS if not need.met]
    for need in missing:
        say(f"Left out: {need.tests}, which needs {need.package}. Install it, then run this command again.")
    if missing and os.environ.get("CI") == "true":
        say("CI=true: nothing may be left out.")
        return 1
    return run(pytest(fast=fast, without=[need.tests for need in missing if need.whole], partial=bool(missing)))


def pytest(*, fast: bool, without: list[str], partial: bool = False) -> list[str]:
    """Return the command: both cores, branch coverage when nothing is left out, the order of this run in its header."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-q"]
    # A part of the suite covers a part of the code: the threshold is the whole suite's.
    command += ["--cov", "--cov-branch"] if not (fast or without or partial) else ["--no-cov"]
    if fast:
        command += ["-m", "not slow"]
        without = ["tests/live", "tests/browser", "tests/proconnect", "tests/benchmarks"]
    return [*command, *(f"--ignore={folder}" for folder in without)]


def provide(needs: list[Need]) -> None:
    """Install the packages where that is ours to do; a failure is not the end: what is missing is said afterwards."""
    if not needs:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        say("Not root on Debian or Ubuntu: nothing is installed outside the checkout.")
        return
    say(f"Installing {', '.join(need.package for need in needs)}…")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        [*APT, "update"],
        [*APT, "install", "--no-install-recommends", *(name for need in needs for name in need.package.split())],
    ):
        status = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
        if status:
            say(f"`{' '.join(command)}` failed with status {status}.")
            return


def run(command: list[str]) -> int:
    """Run pytest in the checkout; what it prints last stays last."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def say(sentence: str) -> None:
    """Tell the person at the terminal, before pytest's own words."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
