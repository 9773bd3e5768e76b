"""Compare what ProConnect announces with our settings, and look at the site: a sentence per thing."""

import argparse
import json

from django.core.management.base import BaseCommand

from suite import doctor as site
from suite.accounts import doctor
from suite.accounts.diagnosis import judge

MARKS = {"ok": "ok     ", "information": "       ", "warning": "WARNING", "error": "ERROR  "}


class Command(BaseCommand):
    """`manage.py doctor`: reports, never changes anything; no secret is printed."""

    help = (
        "Compare ProConnect's discovery document with the settings, and look at the database, the broker, the outbox. "
        "Ends with 0 when all is well, 1 after a warning, 2 after an error."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the lines as a JSON object")
        parser.add_argument("--probe", action="store_true", help="also present our credentials with a code of nothing")

    def handle(self, *args: object, **options: bool) -> None:  # noqa: ARG002 - Django's signature
        """Print, and end with the worst level seen."""
        lines = [*judge(doctor.gather(probe=options["probe"]), doctor.ours()), *site.look()]
        levels = {line.level for line in lines}
        status = 2 if "error" in levels else 1 if "warning" in levels else 0
        if options["json"]:
            self.stdout.write(json.dumps({"status": status, "lines": [line._asdict() for line in lines]}, indent=2))
        else:
            for line in lines:
                self.stdout.write(f"{MARKS[line.level]}  {line.name:<22} {line.text}")
        if status:
            raise SystemExit(status)
