"""The way to check, from outside the product, that nobody rewrote the journal."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from suite.journal.models import Event
from suite.journal.workflow import Head, heads, verify


class Command(BaseCommand):
    """Say whether every chain holds; else name the events that do not, and fail.

    A chain cut at its end still holds: keep its head elsewhere (`--keep`) and compare with it later (`--against`).
    """

    help = "Recompute every chain of the journal; list the events that do not hold, and exit with status 1 if any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--against", type=Path, help="a file of heads kept before: what it names must still be there"
        )
        parser.add_argument("--keep", type=Path, help="write the heads of today to this file, once all holds")

    def handle(self, *, against: Path | None, keep: Path | None, **_: Any) -> None:  # noqa: ANN401 - Django's options
        broken = verify(_read(against) if against else ())
        for event in broken:
            self.stdout.write(f"{event.stream} {event.subject} #{event.seq}")
        if broken:
            raise CommandError(f"{len(broken)} event(s) do not hold: the journal was changed outside the product.")
        if keep:
            keep.write_text("".join(f"{one.stream} {one.subject} {one.seq} {one.hash}\n" for one in heads()))
        self.stdout.write(f"{Event.objects.count()} event(s), every chain holds.")


def _read(path: Path) -> list[Head]:
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        return [Head(stream, UUID(subject), int(seq), sha256) for stream, subject, seq, sha256 in rows]
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} is not a file of heads: {error}") from error
