"""Look at every collectivité of the public directory, or go on with the campaign that a kill interrupted."""

import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from onboarding.audits import tasks, workflow
from onboarding.audits.resolver import server_of


class Command(BaseCommand):
    """Exit status: 0 when the campaign is over; interrupted, the next call goes on."""

    help = "Audit the whole country on Celery's workers, showing progress; resume an interrupted campaign."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--here", action="store_true", help="work in this process instead of Celery's workers")
        parser.add_argument("--resolver", default="", help="with --here, the DNS server to ask: IP or IP:PORT")
        parser.add_argument("--every", type=float, default=5.0, help="seconds between two lines of progress")

    def handle(self, *, here: bool, resolver: str, every: float, **_: object) -> None:
        try:
            if resolver:
                server_of(resolver)
        except ValueError as error:
            raise CommandError(f"« {resolver} » n’est pas une adresse de serveur (IP ou IP:PORT).") from error
        if resolver and not here:
            raise CommandError("« --resolver » ne vaut qu’avec « --here » : les autres lisent DNS_RESOLVER.")
        run = workflow.start()
        first, started = workflow.progress(run.pk), time.monotonic()
        self._say(first, first, started)
        while not (now := workflow.progress(run.pk)).finished:
            waiting = workflow.due(run.pk)
            if here and waiting:
                workflow.work(waiting[0], server=resolver)
            else:
                for shard in waiting:
                    tasks.work.apply_async((shard,), expires=30, retry=False)
                time.sleep(every)
            self._say(workflow.progress(run.pk), first, started)
        self.stdout.write(f"Terminé : {now.done} collectivités.")

    def _say(self, now: workflow.Progress, first: workflow.Progress, started: float) -> None:
        """Say percent, rate and what remains."""
        rate = (now.done - first.done) / max(time.monotonic() - started, 0.001)
        percent = 100 * now.done / now.total if now.total else 100
        left = f", reste {(now.total - now.done) / rate / 60:.0f} min" if rate and now.done < now.total else ""
        self.stdout.write(f"{percent:.1f} % : {now.done} sur {now.total}, {rate:.1f} par seconde{left}")
