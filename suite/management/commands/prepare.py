"""`manage.py prepare`: what a server needs before it serves, at each deployment."""

from typing import Any

from django.core.management.base import BaseCommand

from suite.prepare import prepare


class Command(BaseCommand):
    """Bring tables, shared cache and territory up to date."""

    help = "Migrates, makes the cache table, imports the shipped territory. May be run again, and twice at once."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        prepare(self.stderr)
        self.stdout.write("Prêt.")
