"""The rehearsal itself, on the scratch servers: `python -m suite.rehearsal.drive`. Its last line is one JSON object."""

import json
import os
import sys
import time
from typing import Any

import django


def main() -> int:
    """Onboard, measure, check from outside, print; 1 when anything is missing, twice there, or foreign."""
    django.setup()
    from suite.rehearsal.rehearsal import Rehearsal  # noqa: PLC0415 - needs the settings

    started = time.monotonic()
    result, differences = Rehearsal().run()
    result["total_seconds"] = round(time.monotonic() - started, 1)
    for each in differences[:40]:
        say(each)
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    return int(bool(differences) or result["unfinished"] > 0)


def say(line: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def load() -> list[Any]:
    """Return the machine's load over 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


if __name__ == "__main__":
    sys.exit(main())
