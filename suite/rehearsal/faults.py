"""The outside world as it is on a bad day: each call may go wrong, at a rate and by a seed, before or after its effect.

What goes wrong depends on the call and on how often it was made, never on which worker makes it.
"""

import hashlib
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

import redis
from django.conf import settings
from django.utils.module_loading import import_string

from onboarding.provisioning.errors import Unavailable
from suite.rehearsal.asked import asked, backend

# What goes wrong, and how often beside the others.
KINDS = {"error_500": 30, "hang": 15, "drop_after_success": 30, "garbage": 20, "sigkill": 5}
HANG_SECONDS = 0.5  # a provider's silence, cut short: what matters is that it ends in a time-out
COUNTS, INJECTED, AGAIN = "rehearsal:calls", "rehearsal:faults", "rehearsal:again"


@cache
def _memory(_pid: int) -> Any:  # noqa: ANN401 - redis is half typed
    return redis.Redis.from_url(settings.CELERY_BROKER_URL)


def injected() -> dict[str, int]:
    """Return how many faults of each kind were injected."""
    found = _memory(os.getpid()).hgetall(INJECTED)
    return {kind.decode(): int(count) for kind, count in sorted(found.items())}


class Counted(logging.Handler):
    """Counts, by its reason, each step that did not end and will be run again."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count one; a step that failed by an exception has no code."""
        if record.levelno in {logging.INFO, logging.ERROR}:
            code = (
                record.args[-1] if isinstance(record.args, tuple) and record.levelno == logging.INFO else "unexpected"
            )
            _memory(os.getpid()).hincrby(AGAIN, str(code), 1)


def again() -> dict[str, int]:
    """Return how many times a step had to be run again, by reason."""
    found = _memory(os.getpid()).hgetall(AGAIN)
    return {code.decode(): int(count) for code, count in sorted(found.items())}


class Faulty:
    """A backend of the settings, each call of which may go wrong."""

    role = ""

    def __init__(self) -> None:
        real = import_string(backend(self.role))()
        for name in dir(real):
            method = getattr(real, name)
            if not name.startswith("_") and callable(method):
                setattr(self, name, _troubled(f"{self.role}.{name}", method))


def _troubled(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    rate, seed = float(asked()["faults"]), asked()["seed"]

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        key = f"{name}{args!r}{sorted(kwargs.items())!r}"
        count = _memory(os.getpid()).hincrby(COUNTS, hashlib.blake2b(key.encode(), digest_size=12).hexdigest(), 1)
        chance = random.Random(f"{seed}|{key}|{count}")  # noqa: S311 - the same each time, on purpose
        if chance.random() >= rate:
            return method(*args, **kwargs)
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        _memory(os.getpid()).hincrby(INJECTED, kind, 1)
        return _go_wrong(kind, chance, lambda: method(*args, **kwargs))

    return call if rate else method


def _go_wrong(kind: str, chance: random.Random, call: Callable[[], Any]) -> Any:  # noqa: ANN401
    match kind:
        case "error_500":
            raise Unavailable("http_500", "Le fournisseur a répondu une erreur (500).")
        case "hang":
            time.sleep(HANG_SECONDS)
            raise Unavailable("timeout", "Le fournisseur n’a pas répondu à temps.")
        case "drop_after_success":
            _exhausted(call())
            raise Unavailable("network", "La connexion a été coupée avant la réponse.")
        case "garbage":
            if chance.random() < 0.5:  # noqa: PLR2004 - one time in two
                _exhausted(call())
            raise ValueError("the provider answered something that no adapter understands")
        case "sigkill":
            _exhausted(call())
            os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(kind)


def _exhausted(answer: Any) -> None:  # noqa: ANN401
    if isinstance(answer, Iterator):
        list(answer)


class Registrar(Faulty):
    """The registrar of the settings."""

    role = "registrar"


class Dns(Faulty):
    """The DNS of the settings."""

    role = "dns"


class Mail(Faulty):
    """The mail of the settings."""

    role = "mail"


class Storage(Faulty):
    """The storage of the settings."""

    role = "storage"
