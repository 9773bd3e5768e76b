"""`manage.py retention`: keep nothing longer than said, by hand, or say what would go."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.intake import retention_jobs


class Command(BaseCommand):
    """Run the jobs of the beat once; `--dry-run` counts and touches nothing."""

    help = "Erases what is kept longer than the page on personal data says. Fails (1) if a job stopped at its cap."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and touch nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--cap", type=int, default=retention_jobs.CAP, help="the most one job may erase in a run")
        parser.add_argument("--job", default="", choices=["", *(job.code for job in retention_jobs.JOBS)])

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        if options["cap"] < 1:
            raise CommandError("--cap est un nombre d’au moins 1.")
        results = retention_jobs.run(dry=options["dry_run"], cap=options["cap"], only=options["job"])
        if not results:
            raise CommandError("Un autre effacement est en cours : recommencez dans un moment.")
        if options["json"]:
            found = {"dry_run": options["dry_run"], "jobs": retention_jobs.as_dict(results)}
            self.stdout.write(json.dumps(found, ensure_ascii=False))
        else:
            for one in results:
                stopped = ", arrêté : plus que le plafond" if one.stopped else ""
                self.stdout.write(f"{one.job} : {one.due} à effacer, {one.done} effacé(s){stopped}")
        if any(one.stopped for one in results):
            sys.exit(1)
