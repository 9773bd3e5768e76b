"""Backends whose process dies, by SIGKILL, once after each call that changes something: the answer is lost.

Chosen by the BACKENDS variables of a worker's environment; DYING_FILE remembers, from one life to the next, which
calls have killed already.
"""

import os
import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar, LocalStorage


def dying(base: type) -> type:
    """Return the backend with its `ensure_*` deadly, the first time each is called with given arguments."""

    def deadly(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            memory = Path(os.environ["DYING_FILE"])
            key = repr((base.__name__, name, args[1:], sorted(kwargs.items())))
            if not memory.exists() or key not in memory.read_text().splitlines():
                with memory.open("a") as file:
                    file.write(f"{key}\n")
                    file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    deeds = {name: value for name, value in vars(base).items() if name.startswith("ensure_")}
    return type(f"Dying{base.__name__}", (base,), {name: deadly(name, method) for name, method in deeds.items()})


DyingRegistrar = dying(LocalRegistrar)
DyingDns = dying(LocalDns)
DyingMail = dying(LocalMail)
DyingStorage = dying(LocalStorage)
