"""Backends that are watched, and that go wrong at one given call. Production code has no way to inject a fault."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ClassVar

import psycopg
from django.db import connection

from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar, LocalStorage
from onboarding.provisioning.errors import Unavailable
from onboarding.provisioning.models import Deployment


class Fate:
    """What happens next."""

    calls: ClassVar[list[str]] = []  # every call made, in order
    at: ClassVar[int | None] = None  # the number of the call that goes wrong; None: none does
    how: ClassVar[str] = ""
    lies: ClassVar[dict[str, int]] = {}  # by method: how many times it says done, and does nothing


def error_500(_call: Callable[[], Any]) -> Any:
    raise Unavailable("server_error", "Le fournisseur est en panne (réponse 500).")


def hangs(_call: Callable[[], Any]) -> Any:
    time.sleep(0.05)
    raise Unavailable("timeout", "Le fournisseur n’a pas répondu à temps.")


def drops_after_success(call: Callable[[], Any]) -> Any:
    call()
    raise Unavailable("unreachable", "La connexion a été coupée avant la réponse.")


def garbage(call: Callable[[], Any]) -> Any:
    call()
    raise ValueError("<html>502 Bad Gateway</html>")


def killed(call: Callable[[], Any]) -> Any:
    call()
    os.kill(os.getpid(), signal.SIGKILL)


def database_restarts(call: Callable[[], Any]) -> Any:
    """Cut our connections, as a server that restarts does, once the call had its effect."""
    answer = call()
    connection.ensure_connection()
    ours = connection.connection.info.backend_pid
    settings = connection.get_connection_params()
    with psycopg.connect(
        **{key: settings[key] for key in ("dbname", "user", "host", "port", "password") if settings.get(key)},
        autocommit=True,
    ) as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s)", [ours])
    return answer


FAULTS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    each.__name__: each for each in (error_500, hangs, drops_after_success, garbage, killed, database_restarts)
}


def watched(base: type) -> type:
    """Return the backend whose every public call is noted, and may go wrong."""

    def watch(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            Fate.calls.append(f"{base.__name__}.{name}")
            if Fate.lies.get(name):
                Fate.lies[name] -= 1
                return None
            if Fate.at == len(Fate.calls) - 1:
                return FAULTS[Fate.how](lambda: method(*args, **kwargs))
            return method(*args, **kwargs)

        return call

    public = {name: value for name, value in vars(base).items() if callable(value) and not name.startswith("_")}
    return type(f"Watched{base.__name__}", (base,), {name: watch(name, method) for name, method in public.items()})


WatchedRegistrar = watched(LocalRegistrar)
WatchedDns = watched(LocalDns)
WatchedMail = watched(LocalMail)
WatchedStorage = watched(LocalStorage)


def outside(built: Deployment) -> dict[str, list[str]]:
    """Return what the world holds of one deployment, told without its own names, keys and dates."""
    seen = world.listing()
    secret = {"access_key", "dkim_public", "at", "expires_at", "signing_key", "serial"}

    def told(rows: list[dict[str, Any]]) -> Iterator[str]:
        for row in rows:
            kept = {key: value for key, value in row.items() if key not in secret}
            if row.get("type") == "TXT" and "_domainkey" in row["name"]:
                kept.pop("contents")
            if row.get("type") == "DS":
                kept.pop("contents")
            if row.get("delegation"):
                kept["delegation"] = (row["delegation"][0], len(row["delegation"][1]))
            text = repr(sorted(kept.items()))
            if built.domain in text or str(built.organization_id) in text:
                yield text.replace(built.domain, "DOMAIN").replace(str(built.organization_id), "ORGANIZATION")

    return {what: sorted(told(rows)) for what, rows in seen.items()}
