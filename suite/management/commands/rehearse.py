"""`manage.py rehearse`: onboard the first eligible communes for rehearsal, with faults, on servers of its own."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from suite.rehearsal.servers import Asked, CannotRehearse, rehearse


class Command(BaseCommand):
    """Progress goes to stderr; the last line of stdout is one JSON object. Status 1 when anything differs."""

    help = "Onboards the first eligible communes through the real engine, on servers of its own, with faults injected."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--communes", type=int, default=1000, help="how many, by INSEE code (31615: all)")
        parser.add_argument("--workers", type=int, default=2, help="processes of the Celery pool")
        parser.add_argument("--faults", type=float, default=0.05, help="how often a call goes wrong, from 0 to 1")
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same plans and faults")
        parser.add_argument("--json", action="store_true", help="accepted: the last line is always JSON")
        parser.add_argument("--dns", choices=["auto", "powerdns", "local"], default="auto")
        parser.add_argument("--mail", default="local", help="local, or the dotted path of a backend set up elsewhere")
        parser.add_argument("--storage", default="local", help="idem")
        parser.add_argument("--keep", action="store_true", help="leave the folder of the logs, and say where it is")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        if options["communes"] < 1 or options["workers"] < 1 or not 0 <= options["faults"] < 1:
            raise CommandError("Give at least one commune and one worker, and a rate of faults from 0 to under 1.")
        names = ("communes", "workers", "faults", "seed", "dns", "mail", "storage", "keep")
        try:
            status = rehearse(Asked(**{name: options[name] for name in names}))
        except CannotRehearse as error:
            raise CommandError(str(error)) from None
        if status:
            sys.exit(status)
