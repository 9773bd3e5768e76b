"""What the clock has to do, counted or done by hand; and due dates counted again in a calendar that changed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from onboarding.intake import deadlines, windows


class Command(BaseCommand):
    """The windows of the dossiers."""

    help = "Fait ce qui est échu (rappels, expirations, retards) ; --dry-run compte sans rien faire."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="compter, ne rien faire")
        parser.add_argument("--recount", action="store_true", help="recompter les échéances : le calendrier a changé")
        parser.add_argument("--cap", type=int, help="combien de demandes peuvent expirer à la fois")

    def handle(self, *, dry_run: bool, recount: bool, cap: int | None, **_: Any) -> None:  # noqa: ANN401 - Django's options
        if recount:
            self.stdout.write(f"{deadlines.recount()} due date(s) moved.")
            return
        try:
            due = windows.preview() if dry_run else windows.sweep(cap=cap)
        except windows.TooMany as stopped:
            raise CommandError(str(stopped)) from stopped
        for name, count in due._asdict().items():
            self.stdout.write(f"{name}: {count}")
