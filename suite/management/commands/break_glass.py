"""Make, list and close the accounts of last resort."""

import argparse
import re

from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables

from suite.accounts import breakglass
from suite.accounts.models import BreakGlass

NAME = re.compile(r"[a-z0-9][a-z0-9-]{2,39}")


class Command(BaseCommand):
    """`break_glass create NAME` prints, once, what goes into the envelope."""

    help = "Make, list and close the break-glass accounts: two at most, for the day ProConnect does not answer."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, help_text in (("create", "make an account and print its envelope, once"), ("remove", "close it")):
            verbs.add_parser(verb, help=help_text).add_argument("name", help="its name, such as coffre-1")
        verbs.add_parser("list", help="name the accounts")

    def handle(self, *args: object, verb: str, name: str = "", **options: object) -> None:  # noqa: ARG002 - Django's
        """Do what is asked."""
        if verb == "list":
            for account in BreakGlass.objects.select_related("user").order_by("place"):
                last = account.user.last_login
                used = f"last used {last:%Y-%m-%d %H:%M} UTC" if last else "never used"
                self.stdout.write(f"{account.name}: made {account.created_at:%Y-%m-%d}, {used}")
        elif verb == "create":
            self._create(name)
        else:
            try:
                breakglass.remove(name)
            except BreakGlass.DoesNotExist:
                raise CommandError(f"There is no break-glass account named {name}.") from None
            self.stdout.write(f"{name} is closed, its sessions with it. Every operator is told.")

    @sensitive_variables()
    def _create(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise CommandError("A name has 3 to 40 small letters, digits and dashes: coffre-1.")
        try:
            envelope = breakglass.create(name)
        except breakglass.TooMany:
            raise CommandError("There are two break-glass accounts already: remove one first.") from None
        except breakglass.Taken:
            raise CommandError(f"There is already an account named {name}.") from None
        self.stdout.write(f"Name             {envelope.name}")
        self.stdout.write(f"Password         {envelope.password}")
        self.stdout.write(f"TOTP secret      {envelope.totp_secret}")
        self.stdout.write(f"TOTP address     {envelope.totp_url}")
        self.stdout.write(f"Recovery codes   {' '.join(envelope.recovery_codes)}")
        self.stderr.write("Shown this once, kept nowhere in clear. Print it, try it, seal it; every operator is told.")
