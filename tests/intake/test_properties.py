"""Random sequences by random people: never outside the table, never a closed dossier, and events tell all."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from onboarding.intake import clock_workflow, windows, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.moves import MOVES, Refusal
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.replay import replay, stored
from suite.accounts.models import OperatorRole, User
from suite.journal.models import Event
from suite.journal.workflow import verify
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, OperatorFactory
from tests.factories.intake import DossierFactory

S = Dossier.Status
START = dt.datetime(2026, 1, 12, 9, 0, tzinfo=dt.UTC)
TABLE = {(move.event, str(source), str(move.target or source)) for move in MOVES for source in move.sources}
# What nothing moves any more, but for the leads' own acts.
CLOSED: dict[str, set[str]] = {
    S.WITHDRAWN: set(),
    S.REVOKED: set(),
    S.APPROVED: {"propose_revocation", "revoke", "lapse"},
    S.REJECTED: {"reopen"},
    S.EXPIRED: {"reopen"},
}
POINTS = [workflow.Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil.")]
PEOPLE = (
    "author",
    "colleague",
    "reader",
    "stranger",
    "instructor",
    "other instructor",
    "lead",
    "other lead",
    "auditor",
)
ACTS = (
    "save", "allocation", "submit", "resubmit", "withdraw", "take", "assign", "release", "request_changes",
    "propose_approval", "approve", "reject", "reopen", "propose_revocation", "revoke", "a week", "two months", "touch",
)  # fmt: skip


def people() -> dict[str, User]:
    """Return a commune's people and its operator's."""
    commune = CommuneFactory.create(name="Rochefort-en-Terre", department__code="56")
    DeclaredContactFactory.create(organization=commune)
    anct = OperatorFactory.create(national_one=True, email="anct@anct.example")
    roles = OperatorRole.Role
    staff = {
        "instructor": roles.INSTRUCTOR,
        "other instructor": roles.INSTRUCTOR,
        "lead": roles.LEAD,
        "other lead": roles.LEAD,
        "auditor": roles.READER,
    }
    return {
        "author": MembershipFactory.create(organization=commune).user,
        "colleague": MembershipFactory.create(organization=commune).user,
        "reader": MembershipFactory.create(organization=commune, role="reader").user,
        "stranger": UserFactory.create(),
        **{name: OperatorRoleFactory.create(operator=anct, role=role).user for name, role in staff.items()},
    }


def act(name: str, dossier: Dossier, by: User, to: User) -> object:
    """Make one move with all that its guards want, or let time pass."""
    version = dossier.version
    shared = {"id": "", "kind": "shared", "given_name": "", "family_name": "", "function": "Mairie"}
    row = shared | {"local_part": "mairie", "recovery_email": "", "administrator": False, "targets": ""}
    calls: dict[str, Callable[[], Any]] = {
        "save": lambda: workflow.save_step(dossier, 3, {"mailboxes": [row]}, by=by, version=version),
        "allocation": lambda: workflow.save_step(
            dossier, 4, {"storage_gb": 21, "allocation_reason": "Archives."}, by=by, version=version
        ),
        "submit": lambda: workflow.submit(dossier, by=by, version=version),
        "resubmit": lambda: workflow.resubmit(dossier, by=by, version=version),
        "withdraw": lambda: workflow.withdraw(dossier, by=by, version=version),
        "take": lambda: workflow.take(dossier, by=by, version=version),
        "assign": lambda: workflow.assign(dossier, to=to, by=by, version=version),
        "release": lambda: workflow.release(dossier, by=by, version=version),
        "request_changes": lambda: workflow.request_changes(dossier, POINTS, by=by, version=version),
        "propose_approval": lambda: workflow.propose_approval(dossier, by=by, version=version, reason="Archives."),
        "approve": lambda: workflow.approve(dossier, by=by, version=version),
        "reject": lambda: workflow.reject(dossier, ["other"], by=by, version=version, message="Non."),
        "reopen": lambda: workflow.reopen(dossier, by=by, version=version, reason="Pièce reçue."),
        "propose_revocation": lambda: workflow.propose_revocation(dossier, by=by, version=version, reason="Fusion."),
        "revoke": lambda: workflow.revoke(dossier, by=by, version=version),
        "a week": windows.sweep,
        "two months": lambda: expire(dossier),
        "touch": lambda: dossier.remarks.update(touched=True),
    }
    return calls[name]()


def expire(dossier: Dossier) -> None:
    """Close as the clock does at the end of a wait."""
    clock_workflow.expire(dossier, due_at=dossier.changed_at)


@contextmanager
def undone() -> Iterator[None]:
    """Run one example in a transaction of its own."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


Step = tuple[str, str, str]
steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)), min_size=1, max_size=25
)
# Chance alone seldom walks far: each example starts with some way towards a decision.
OPENINGS: list[list[Step]] = [
    [],
    [("submit", "author", "author"), ("take", "instructor", "lead")],
    [("allocation", "author", "lead"), ("submit", "author", "lead"), ("take", "instructor", "lead"),
     ("propose_approval", "instructor", "lead")],
    [("submit", "author", "lead"), ("take", "instructor", "lead"), ("request_changes", "instructor", "lead"),
     ("touch", "author", "lead")],
    [("submit", "author", "lead"), ("take", "instructor", "lead"), ("approve", "instructor", "lead")],
    [("submit", "author", "lead"), ("take", "instructor", "lead"), ("reject", "instructor", "lead")],
]  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(opening=st.sampled_from(OPENINGS), chosen=steps)
def test_any_sequence_keeps_to_the_table_and_events_rebuild_it(opening: list[Step], chosen: list[Step]) -> None:
    with undone(), time_machine.travel(START, tick=False) as clock:
        who = people()
        dossier = workflow.create(who["author"].memberships.get().organization, by=who["author"])
        Dossier.objects.filter(pk=dossier.pk).delete()
        ready = DossierFactory.create(pk=dossier.pk, organization=dossier.organization, author=who["author"])
        for name, by, to in [*opening, *chosen]:
            clock.shift(dt.timedelta(days=7 if name == "a week" else 0, hours=1))
            step(ready.pk, name, who[by], who[to])
        assert verify() == []


def step(pk: UUID, name: str, by: User, to: User) -> None:
    """Try one act, and check all that must hold after it."""
    before, count = Dossier.objects.get(pk=pk), Event.objects.count()
    sign, last = by.pk, Event.objects.about("dossier", pk).last()
    try:
        with transaction.atomic():
            act(name, before, User.objects.get(pk=by.pk), User.objects.get(pk=to.pk))
    except Refusal:
        assert Dossier.objects.get(pk=pk) == before
        assert Event.objects.count() == count, "a refusal left an event"
        assert Dossier.objects.get(pk=pk).version == before.version
        return
    now = Dossier.objects.get(pk=pk)
    new = list(Event.objects.about("dossier", pk).filter(seq__gt=last.seq if last else 0))
    moves = [one for one in new if "from" in one.payload]
    at = before.status
    for moved in moves:
        assert (moved.kind, moved.payload["from"], moved.payload["to"]) in TABLE
        assert moved.payload["from"] == at
        assert moved.kind in CLOSED.get(at, {moved.kind}), f"{moved.kind} moved a closed dossier"
        assert moved.actor == (None if moved.kind in {"expire", "lapse"} else sign)  # R37
        at = moved.payload["to"]
        event(f"{moved.kind} to {at}")
    assert now.status == at
    assert replay(Event.objects.about("dossier", pk)) == stored(now)
    assert (now.due_at is None) == (now.status not in {S.SUBMITTED, S.IN_REVIEW, S.SECOND_APPROVAL})
    waiting = Proposal.objects.filter(dossier=pk, closed_at__isnull=True)
    assert waiting.filter(kind="approval").exists() == (now.status == S.SECOND_APPROVAL)
    assert not waiting.filter(kind="revocation").exists() or now.status == S.APPROVED
    assert not now.four_eyed or now.decided_by_id != now.assignee_id
