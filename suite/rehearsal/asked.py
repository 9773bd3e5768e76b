"""What a rehearsal was asked, as its processes are told it: one JSON object in their environment."""

import json
import os
from functools import cache
from typing import Any


@cache
def asked() -> dict[str, Any]:
    """Return it: the command's options, `backends` by role, and what was found of the machine."""
    found: dict[str, Any] = json.loads(os.environ["REHEARSAL"])
    return found


def backend(role: str) -> str:
    """Return the dotted path of the real backend of a role, behind the faults."""
    return str(asked()["backends"][role])
