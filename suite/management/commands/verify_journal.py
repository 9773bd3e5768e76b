"""The way to check, from outside the product, that nobody rewrote the journal."""

from django.core.management.base import BaseCommand, CommandError

from suite.journal.models import Event
from suite.journal.workflow import verify


class Command(BaseCommand):
    """Say whether every chain holds; else name the events that do not, and fail."""

    help = "Recompute every chain of the journal; list the events that do not hold, and exit with status 1 if any."

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002 - Django's signature
        broken = verify()
        for event in broken:
            self.stdout.write(f"{event.stream} {event.subject} #{event.seq}")
        if broken:
            raise CommandError(f"{len(broken)} event(s) do not hold: the journal was changed outside the product.")
        self.stdout.write(f"{Event.objects.count()} event(s), every chain holds.")
