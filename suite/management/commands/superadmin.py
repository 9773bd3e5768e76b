"""Make somebody a superadmin, or no longer one: the one place that no page gives."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from suite.accounts import staff
from suite.accounts.models import User


class Command(BaseCommand):
    """Give or take back the place of superadmin."""

    help = "Donne la place de superadministrateur au compte d’une adresse (il doit s’être connecté une fois)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--retirer", action="store_true", help="la retirer")

    def handle(self, *, email: str, retirer: bool, **_: Any) -> None:  # noqa: ANN401 - Django's options
        found = list(User.objects.filter(email__iexact=email, is_active=True)[:2])
        if len(found) != 1:
            raise CommandError(
                f"{'Plusieurs comptes actifs portent' if found else 'Aucun compte actif ne porte'} l’adresse {email}."
            )
        if retirer:
            staff.dismiss_superadmin(found[0])
        else:
            staff.appoint_superadmin(found[0])
        self.stdout.write(f"{found[0].get_full_name()} {'n’est plus' if retirer else 'est'} superadministrateur.")
