"""`manage.py notices`: what the ledger holds, or with `--preview DIR` every message the site can send, as files."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count

from suite import previews
from suite.notices import receiver
from suite.notices.models import Notice


class Command(BaseCommand):
    """Count the ledger's notices by state, or write the previews."""

    help = "Counts the notices by state; with --preview DIR, writes every message the site can send as files there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--preview", metavar="DIR", type=Path, help="a folder to write the messages in")

    def handle(self, *args: object, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        folder: Path | None = options["preview"]
        if folder is None:
            states = dict(Notice.objects.values_list("state").annotate(Count("pk")).order_by())
            self.stdout.write(json.dumps({"notices": states, "inbound_waiting": receiver.waiting()}))
            return
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for one in previews.previews():
            name = f"{one.kind}-{one.case}" if one.case else one.kind
            (folder / f"{name}.txt").write_text(f"{one.subject}\n\n{one.text}", encoding="utf-8")
            (folder / f"{name}.html").write_text(one.html, encoding="utf-8")
            count += 1
        self.stdout.write(f"{count} messages in {folder}.")
