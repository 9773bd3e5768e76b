"""The table of moves: what the specification says, what the documentation draws, and no way around it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from onboarding.intake.management.commands import states as command
from onboarding.intake.models import Dossier
from onboarding.intake.moves import MOVES
from tests.house import calls, nothing, sources, where

S = Dossier.Status

# `requests.md` 2.1, written out: event, from, to. `save`, `lapse` and `propose_revocation` are what its words imply.
SPECIFIED = {
    ("submit", "draft", "submitted"),
    ("resubmit", "needs_changes", "in_review"),
    ("resubmit", "needs_changes", "submitted"),
    ("take", "submitted", "in_review"),
    ("assign", "in_review", "in_review"),
    ("release", "in_review", "submitted"),
    ("request_changes", "in_review", "needs_changes"),
    ("request_changes", "second_approval", "needs_changes"),
    ("propose_approval", "in_review", "second_approval"),
    ("approve", "in_review", "approved"),
    ("approve", "second_approval", "approved"),
    ("reject", "in_review", "rejected"),
    ("reject", "second_approval", "rejected"),
    ("withdraw", "draft", "withdrawn"),
    ("withdraw", "submitted", "withdrawn"),
    ("withdraw", "in_review", "withdrawn"),
    ("withdraw", "second_approval", "withdrawn"),
    ("withdraw", "needs_changes", "withdrawn"),
    ("expire", "draft", "expired"),
    ("expire", "needs_changes", "expired"),
    ("reopen", "rejected", "in_review"),
    ("reopen", "expired", "in_review"),
    ("revoke", "approved", "revoked"),
}
IMPLIED = {
    ("save", "draft", "draft"),
    ("save", "needs_changes", "needs_changes"),
    ("lapse", "second_approval", "in_review"),
    ("lapse", "approved", "approved"),
    ("propose_revocation", "approved", "approved"),
}


def test_the_moves_are_those_specified_and_no_other() -> None:
    table = {(move.event, str(source), str(move.target or source)) for move in MOVES for source in move.sources}
    assert table == SPECIFIED | IMPLIED


class TestDocumentation:
    def test_the_page_is_current(self) -> None:
        call_command("states", check=True)

    def test_it_says_when_it_is_not(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(command, "PAGE", tmp_path / "states.md")
        with pytest.raises(CommandError, match="plus à jour"):
            call_command("states", check=True)
        call_command("states")
        call_command("states", check=True)

    def test_the_diagram_draws_every_move(self) -> None:
        drawn = re.findall(r"^    (\w+) --> (\w+): (.+)$", command.page(), re.MULTILINE)
        arrows = {(event, source, target) for source, target, events in drawn for event in events.split(", ")}
        assert arrows == SPECIFIED | IMPLIED


INTAKE = {path: tree for path, tree in sources().items() if "intake" in path.parts}


def _sets_status(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yield each place that could change a dossier's state: an assignment, an update, raw SQL."""
    for node in ast.walk(tree):
        targets: list[Any] = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        yield from (where(path, node) for one in targets if isinstance(one, ast.Attribute) and one.attr == "status")
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if re.search(r"update\s+\"?intake_dossier", text, re.IGNORECASE):
            yield where(path, node)
    for name, call in calls(tree):
        if name in {"update", "update_or_create", "aupdate", "setattr", "bulk_update", "save"}:
            told = {keyword.arg for keyword in call.keywords} | {
                one.value for part in [*call.args, *(k.value for k in call.keywords)] for one in ast.walk(part)
                if isinstance(one, ast.Constant)
            }  # fmt: skip
            if "status" in told:
                yield where(path, call)


def test_r38_a_dossier_changes_state_in_one_place_only() -> None:
    found = {place for path, tree in INTAKE.items() for place in _sets_status(path, tree)}
    elsewhere = {place for place in found if not place.startswith("onboarding/intake/moves.py:")}
    nothing(elsewhere, "Only `moves.apply` sets the status of a dossier (rulings, 9).")
    assert len(found) == 1, "the scan no longer sees `moves.apply` itself"


@pytest.mark.parametrize(
    "code",
    [
        "Dossier.objects.filter(pk=1).update(status='approved')",
        "dossier.status = 'approved'",
        "dossier.save(update_fields=['status'])",
        "Dossier.objects.bulk_update(rows, ['status'])",
        "setattr(dossier, 'status', 'approved')",
        "cursor.execute('UPDATE intake_dossier SET status = 1')",
    ],
)
def test_r38_the_scan_sees_every_way(code: str) -> None:
    assert list(_sets_status(Path(__file__), ast.parse(code)))
