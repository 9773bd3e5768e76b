"""R11. Upstream undoes an approval by deleting the domain. Here no move of a dossier takes anything away outside.

Only a confirmed step of a plan of closure may; deciding to stop opens the plan, and deletes nothing.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.intake import workflow
from onboarding.intake.models import Dossier
from onboarding.intake.moves import MOVES
from onboarding.provisioning import backends, engine
from onboarding.provisioning.backends import protocols
from onboarding.provisioning.backends.world import listing
from onboarding.provisioning.closure_models import ClosureStep
from onboarding.provisioning.models import Deployment
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from tests.house import calls, nothing, sources, where
from tests.intake.conftest import staff
from tests.intake.situations import situation

S = Dossier.Status
TAKES_AWAY = re.compile(r"(delete|remove|drop|purge|close|suspend|release|destroy|revoke|cancel|retire|withdraw)_")
ROLES = ("Registrar", "Dns", "Mail", "Storage", "Identity")


@pytest.fixture(autouse=True)
def _calm(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    backends.renew()
    yield
    backends.renew()


def outside() -> dict[str, object]:
    """Return what stands outside; what was made is only ever added to, so the order of making is told apart."""
    return {name: rows for name, rows in listing().items() if name != "created"}


@pytest.mark.django_db
def test_r11_undoing_an_approval_deletes_nothing_outside(
    commune: Organization,
    agent: User,
    anct: Operator,
    instructor: User,
    lead: User,
) -> None:
    dossier = workflow.approve(situation(S.IN_REVIEW, commune, agent, anct, instructor), by=instructor, version=1)
    built = Deployment.objects.get()
    engine.advance(built.pk)
    before = outside()
    assert before["mail_domains"]
    assert before["mailboxes"]
    other = staff(anct, OperatorRole.Role.LEAD)
    waiting = workflow.propose_revocation(dossier, by=lead, version=dossier.version, reason="Fusion de communes.")
    ended = workflow.revoke(waiting, by=other, version=waiting.version)
    assert ended.status == S.REVOKED
    for _ in range(3):
        engine.advance(built.pk)
    assert outside() == before
    assert ClosureStep.objects.exists(), "what would go is listed"
    assert not ClosureStep.objects.filter(confirmed_at__isnull=False).exists()


def taking_away() -> set[str]:
    """Return the methods of the backends that take something away."""
    found = {name for role in ROLES for name in vars(getattr(protocols, role, object)) if TAKES_AWAY.match(name)}
    return found | {name for name in vars(protocols.Mail) if TAKES_AWAY.match(name)}


def test_r11_no_move_of_a_dossier_reaches_a_backend() -> None:
    """The moves, their verbs and all that they call in intake: none asks a backend anything, deleting least of all."""
    intake = {path: tree for path, tree in sources().items() if "intake" in path.parts}
    assert len(intake) > 100
    reached = [
        where(path, node)
        for path, tree in intake.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onboarding.provisioning.backends")
    ]
    nothing(reached, "A dossier reaches the outside by a plan of steps, never by a backend.")
    deleting = [
        where(path, call) for path, tree in intake.items() for name, call in calls(tree) if name in taking_away()
    ]
    nothing(deleting, "Only a confirmed step of a closure takes something away.")
    assert {move.event for move in MOVES} >= {"revoke", "withdraw", "reject", "expire"}


def test_r11_the_database_holds_that_a_deletion_is_confirmed_by_another() -> None:
    held = {constraint.name for constraint in ClosureStep._meta.constraints}  # noqa: SLF001 - documented
    assert held >= {"closure_step_confirmed_by_another", "closure_step_done_only_if_confirmed"}
