"""Judge the stored facts by the rules of today: what would change, and with --store, make it so."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from onboarding.audits import replay
from onboarding.audits.rules import RULESET


class Command(BaseCommand):
    """Without --store nothing is written."""

    help = "Replay the rules on the stored facts, and say which verdicts differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--store", action="store_true", help="store the verdicts")

    def handle(self, *, store: bool, **_: object) -> None:
        for (rule, before, after), number in sorted(replay.differences().items()):
            self.stdout.write(f"{rule} : {before} → {after}, {number}")
        if store:
            self.stdout.write(f"{replay.replay()} collectivités jugées autrement par les règles {RULESET}.")
