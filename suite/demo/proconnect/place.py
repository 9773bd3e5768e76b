"""Where the demonstration's provider keeps its things, and when it refuses to exist."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from suite import embedded

LOCAL = Path(os.environ.get("PROCONNECT_DIR", embedded.LOCAL / "proconnect"))
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def guard(*addresses: str) -> None:
    """Refuse to start but for a demonstration, on this machine or on a host declared for it.

    Anybody may sign in here as anybody. Raises SystemExit with what to do.
    """
    if os.environ.get("PROCONNECT_DEMO") != "1":
        raise SystemExit(
            "This provider lets anybody sign in as anybody: it is for demonstrations only. "
            "Set PROCONNECT_DEMO=1 to start it."
        )
    allowed = LOOPBACK | set(os.environ.get("PROCONNECT_DEMO_HOSTS", "").split())
    for address in addresses:
        if urlsplit(address).hostname not in allowed:
            raise SystemExit(
                f"The demonstration's provider serves this machine only, not {address}: "
                "name the hosts of a public demonstration in PROCONNECT_DEMO_HOSTS."
            )


@contextmanager
def alone() -> Iterator[Path]:
    """Give the folder, to one process at a time."""
    LOCAL.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (LOCAL / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield LOCAL


def secret_key() -> str:
    """Return this provider's own secret, made at its first start."""
    return _kept("secret", lambda: secrets.token_urlsafe(50))


def signing_key() -> str:
    """Return the private key in PEM, made at the first start, never committed.

    Kept from one start to the next: clients remember keys, and a key that changed twice in a minute is one they refuse.
    """
    return _kept("signing-key.pem", _new_key)


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


def _kept(name: str, make: Callable[[], str]) -> str:
    with alone() as folder:
        path = folder / name
        if not path.exists():
            fresh = folder / f"{name}.new"
            fresh.touch(mode=0o600)
            fresh.write_text(make())
            fresh.rename(path)
        return path.read_text()
