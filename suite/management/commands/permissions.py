"""Write `docs/permissions.md` from the table of rights, or check that it is current."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from suite.accounts.permissions import ACTS, ADDRESSES, Act, Role, answer

PAGE = settings.BASE_DIR / "docs" / "permissions.md"
INTRODUCTION = """\
# Who may do what

Written by `manage.py permissions` from `suite/accounts/permissions.py`, which the pages and the verbs read too; do not
edit. ● may; « connexion »: is sent to sign in; 403: sees the thing, has not the right; 404: out of sight.

A draft is in the sight of its commune only. An operator sees the requests of its départements until their approval,
then the organizations it serves; the ANCT sees all. « Hors périmètre » is the same staff before another's request.
A commune's role counts while the right is active or awaits its confirmation, not while it is suspended. Who wrote a
request without any right yet is a « Demandeur » of that request. A person decides nothing about its own commune.
A superadmin looks everywhere, manages the operators' staff, and decides nothing.
"""


class Command(BaseCommand):
    """The documentation of the rights."""

    help = "Écrit docs/permissions.md d’après la table des droits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="dire seulement si la page est à jour")

    def handle(self, *, check: bool, **_: Any) -> None:  # noqa: ANN401 - Django's options
        if not check:
            PAGE.write_text(page())
        elif not PAGE.exists() or PAGE.read_text() != page():
            raise CommandError("docs/permissions.md n’est plus à jour : lancez « manage.py permissions ».")


def page() -> str:
    """Return the page: the acts by role, then the addresses by act."""
    lines = [INTRODUCTION, "## Acts", ""]
    lines += _table(["Acte", *Role], [[act.label, *(answer(act, {role}) for role in Role)] for act in ACTS.values()])
    lines += ["", "## Addresses", "", "Reading is GET, writing is POST; a dash: the method does not exist there.", ""]
    rows = [[f"`{name}`", _label(one.get), _label(one.post)] for name, one in ADDRESSES.items()]
    return "\n".join([*lines, *_table(["Address", "Reading", "Writing"], rows)]) + "\n"


def _label(act: Act | None) -> str:
    return act.label if act else "–"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
