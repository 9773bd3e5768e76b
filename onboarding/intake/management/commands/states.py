"""Write `docs/states.md` from the table of moves, or check that it is current."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from onboarding.intake.models import Dossier
from onboarding.intake.moves import MOVES, Move
from onboarding.intake.rules import Capacity

PAGE = settings.BASE_DIR / "docs" / "states.md"
INTRODUCTION = """\
# The states of a request

Written by `manage.py states` from the table of moves in `onboarding/intake/moves.py`, through which every change of a
state goes; do not edit. A move is made in one statement that tests the state and the version, and its event is written
in the same transaction.
"""
WHO = {
    Capacity.REQUESTER: "demandeur",
    Capacity.OPERATOR: "opérateur du périmètre",
    Capacity.ASSIGNEE: "instructeur de la demande",
    Capacity.LEAD: "responsable",
    Capacity.SYSTEM: "l’horloge",
}


class Command(BaseCommand):
    """The documentation of the states."""

    help = "Écrit docs/states.md d’après la table des transitions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="dire seulement si la page est à jour")

    def handle(self, *, check: bool, **_: Any) -> None:  # noqa: ANN401 - Django's options
        if not check:
            PAGE.write_text(page())
        elif not PAGE.exists() or PAGE.read_text() != page():
            raise CommandError("docs/states.md n’est plus à jour : lancez « manage.py states ».")


def page() -> str:
    """Return the page: the diagram, the states, the moves."""
    lines = [INTRODUCTION, "```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{status.label}" as {status.value}' for status in Dossier.Status]
    lines += ["    [*] --> draft: create", *_arrows()]
    finals = [status.value for status in Dossier.Status if not any(status in move.sources for move in MOVES)]
    lines += [*(f"    {status} --> [*]" for status in finals), "```", "", "## Moves", ""]
    lines += ["| Event | From → to | Who | Guards |", "| --- | --- | --- | --- |"]
    lines += [f"| `{move.event}` | {_path(move)} | {_who(move)} | {move.guards or '–'} |" for move in MOVES]
    return "\n".join(lines) + "\n"


def _arrows() -> list[str]:
    """Return one arrow per pair of states, with every event that makes it."""
    events: dict[tuple[str, str], list[str]] = {}
    for status in Dossier.Status:
        for move in MOVES:
            if status in move.sources:
                events.setdefault((status.value, str(move.target or status)), []).append(move.event)
    return [
        f"    {source} --> {target}: {', '.join(dict.fromkeys(names))}" for (source, target), names in events.items()
    ]


def _path(move: Move) -> str:
    sources = [status.value for status in Dossier.Status if status in move.sources]
    return f"{', '.join(sources)} → {move.target or 'the same'}"


def _who(move: Move) -> str:
    return ", ".join(WHO[capacity] for capacity in Capacity if capacity in move.who)
