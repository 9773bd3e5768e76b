"""Serve the zones of the local world over DNS."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.provisioning.backends.local_dns import serve


class Command(BaseCommand):
    """`manage.py local_dns --port 5300`: point DNS_RESOLVER at 127.0.0.1:5300."""

    help = "Answer DNS questions on 127.0.0.1 (UDP and TCP) from the local world, until SIGTERM."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=5300, help="0 takes a free port, and says which.")

    def handle(self, *_args: Any, port: int, **_options: Any) -> None:
        try:
            asyncio.run(serve(port, self._say))
        except OSError as error:
            raise CommandError(f"127.0.0.1:{port}: {error}") from error

    def _say(self, port: int) -> None:
        self.stdout.write(f"Listening: 127.0.0.1:{port}")
        self.stdout.flush()
