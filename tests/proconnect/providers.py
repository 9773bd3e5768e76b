"""The three providers of the matrix, started for a test worker and killed by it."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import httpx
import pytest

from tests.live.proconnect import CLIENT_ID, CLIENT_SECRET, free_port

PEER = Path(__file__).parent / "peer"
# Where the product is, for the providers: nothing listens there, the tests take the redirections in.
PRODUCT = "http://127.0.0.1:8000"
DEMO, PEER_7, PEER_9 = "demo", "7.14.3", "9.13.3"
PROVIDERS = (DEMO, PEER_7, PEER_9)
OLDEST_NODE = 20


@dataclass(frozen=True)
class Provider:
    """A provider at work, and its control."""

    name: str
    base: str

    @property
    def issuer(self) -> str:
        return f"{self.base}/api/v2"

    @property
    def settings(self) -> dict[str, str]:
        """What the product must know of it."""
        return {
            "OIDC_OP_ISSUER": self.issuer,
            "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{self.issuer}/authorize",
            "OIDC_OP_TOKEN_ENDPOINT": f"{self.issuer}/token",
            "OIDC_OP_USER_ENDPOINT": f"{self.issuer}/userinfo",
            "OIDC_OP_JWKS_ENDPOINT": f"{self.issuer}/jwks",
            "OIDC_OP_LOGOUT_ENDPOINT": f"{self.issuer}/session/end",
            "OIDC_RP_CLIENT_ID": CLIENT_ID,
            "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET,
        }

    def order(self, **orders: Any) -> None:
        """Replace the faults; `peer/faults.mjs` lists them."""
        self._control("POST", orders)

    def forget(self) -> None:
        """Be faultless again, and forget who asked what."""
        self._control("DELETE")

    def seen(self, endpoint: str) -> list[dict[str, Any]]:
        """Return the requests an endpoint of the back-channel received."""
        return [request for request in self._control("GET") if request["endpoint"] == endpoint]

    def _control(self, method: str, orders: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        answer = httpx.request(method, f"{self.base}/control", json=orders, trust_env=False, timeout=20)
        seen: list[dict[str, Any]] = answer.raise_for_status().json()
        return seen


@contextmanager
def running(name: str, folder: Path) -> Iterator[Provider]:
    """Run a provider until the end of the block; skips the test, or fails it under CI=true, when that cannot be."""
    port = free_port()
    provider = Provider(name, f"http://127.0.0.1:{port}")
    environment = {"OIDC_RP_CLIENT_ID": CLIENT_ID, "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET, "PUBLIC_BASE_URL": PRODUCT}
    kept = {key: value for key, value in os.environ.items() if key not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}}
    if name == DEMO:
        environment |= {"PROCONNECT_DEMO": "1", "PROCONNECT_DIR": str(folder), "PROCONNECT_PORT": str(port)}
        program = [sys.executable, "-m", "gunicorn", "tests.proconnect.faulty_demo", "--no-control-socket"]
        command = [*program, "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4"]
    else:
        command = [node(), str(PEER / "peer.mjs"), name.partition(".")[0], str(port), PRODUCT]
    with (folder / "provider.log").open("w+") as log:
        # The peer ends with its standard input, should this process not live to stop it.
        process = subprocess.Popen(
            command, env={**kept, **environment}, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, provider, Path(log.name))
            yield provider
        finally:
            process.terminate()
            process.communicate(timeout=10)


def node() -> str:
    """Return the path of a Node that can run the peer, its packages installed as the lock file says."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        missing("Node and npm are needed to run the peer")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", said)[0]) < OLDEST_NODE:
        missing(f"Node {OLDEST_NODE} or later is needed to run the peer, this is {said.strip()}")
    mark = PEER / "node_modules" / ".installed"
    wanted = hashlib.sha256((PEER / "package-lock.json").read_bytes()).hexdigest()
    with (PEER / ".npm-install.lock").open("w") as lock:  # two test workers, one installation
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=PEER, capture_output=True, text=True, check=False)
            if done.returncode:
                missing(f"npm could not install the peer's packages: {done.stderr[-500:]}")
            mark.write_text(wanted)
    return program


def missing(why: str) -> Never:
    """Leave the test out and say why; under CI=true nothing may be left out."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def _wait(process: "subprocess.Popen[bytes]", provider: Provider, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{provider.issuer}/jwks", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())
