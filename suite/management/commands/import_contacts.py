"""Import the official contacts of town halls: `import_contacts FILE`, the JSON export of the public directory."""

import datetime as dt
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from suite.directory import contacts


class Command(BaseCommand):
    """Exit status 1, and nothing changed, when the file is refused."""

    help = "Import the declared e-mail and postal addresses of communes and EPCI from the DILA's JSON export."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the export, in JSON")
        parser.add_argument(
            "--minimum", type=int, default=contacts.MINIMUM, help="fewest records for the file to be believed whole"
        )
        parser.add_argument("--date", type=dt.date.fromisoformat, help="day of the file, YYYY-MM-DD (today)")

    def handle(self, *, file: Path, minimum: int, date: dt.date | None, **_: object) -> None:
        try:
            report = contacts.load(file, observed_on=date or timezone.localdate(), minimum=minimum)
        except contacts.ContactsError as error:
            raise CommandError(f"Import refusé, rien n’a changé. {error}") from error
        self.stdout.write(
            f"{report.records} fiches lues, {report.matched} collectivités avec un contact, {report.removed} retirées."
        )
        for issue, count in sorted(report.issues.items()):
            self.stdout.write(f"Sans contact, {issue} : {count}")
