"""DATABASE_URL and REDIS_URL replace the embedded parts by real servers, and nothing else changes."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.demonstration import Demo

pytestmark = pytest.mark.slow

REDIS = shutil.which("redis-server")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    if REDIS is None:
        pytest.skip("no Redis here: install redis-server, or run as root on Debian or Ubuntu")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([REDIS, *options], stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@pytest.fixture
def database_url() -> Iterator[str]:
    """Make a database of its own on the tests' server, empty, as an administrator would."""
    server = os.environ["DATABASE_URL"]
    name = f"demonstration_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_journey_on_servers_of_ones_own(tmp_path: Path, redis_url: str, database_url: str) -> None:
    demo = Demo(tmp_path)
    demo.env |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    demo.start()
    try:
        result = demo.check()
    finally:
        demo.stop()
    assert result["ok"], result.get("error")
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "broker").exists()
