"""A supervisor of two small children, run by test_supervisor.py as a process of its own."""

import os
import sys
from pathlib import Path

from suite.demo import supervisor
from suite.demo.supervisor import Child, says


def main(place: Path, *programs: str) -> None:
    children = []
    for number, program in enumerate(programs):
        log = place / f"{number}.log"
        command = [sys.executable, "-u", "-c", program]
        children.append(Child(f"child-{number}", command, says(log, "up"), log, dict(os.environ)))

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def ready() -> None:
        say("Ready " + " ".join(str(child.process.pid) for child in children if child.process))

    try:
        supervisor.run(children, on_ready=ready, say=say)
    except supervisor.CannotStart as error:
        say(f"CannotStart: {error}")
        sys.exit(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
