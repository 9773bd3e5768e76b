"""`manage.py demo`: the whole product on this machine; `--check`: the whole journey, walked through it."""

import json
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from suite.demo import check, product, supervisor


class Command(BaseCommand):
    """Run the demonstration, or check the one that runs."""

    help = "Runs the whole product on this machine; with --check, walks the journey through the one that runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="walk the whole journey over HTTP and print JSON")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        try:
            if options["check"]:
                self._check()
            else:
                self._run()
        except supervisor.CannotStart as error:
            raise CommandError(str(error)) from None

    def _check(self) -> None:
        port = int(os.environ["PORT"]) if "PORT" in os.environ else supervisor.running_port(product.LOCK)
        result = check.walk(f"http://127.0.0.1:{port or settings.PORT}")
        self.stdout.write(json.dumps(result, ensure_ascii=False))
        if not result["ok"]:
            sys.exit(1)

    def _run(self) -> None:
        product.LOCK.parent.mkdir(parents=True, exist_ok=True)
        with supervisor.claim(product.LOCK, settings.PORT):
            supervisor.require_free(*product.ports())
            product.prepare()
            supervisor.run(product.children(), on_ready=self._ready, say=self._say)

    def _ready(self) -> None:
        self._say(f"Ready: http://127.0.0.1:{settings.PORT}/")
        for line in product.roster():
            self._say(line)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
