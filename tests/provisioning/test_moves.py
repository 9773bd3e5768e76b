"""Moves are taken and given back as steps are: by one worker, and never against what a person did meanwhile."""

import datetime as dt

import pytest
from django.utils import timezone

from onboarding.provisioning import cutover_workflow, moves
from onboarding.provisioning.closing_workflow import open_closure
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.move_models import Cutover, MailImport
from suite.accounts import codes
from suite.accounts.models import User
from tests.factories.accounts import MembershipFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def built() -> Deployment:
    return deployment(external=True)


@pytest.fixture
def manager(built: Deployment) -> User:
    user: User = MembershipFactory.create(organization=built.organization, manager=True).user
    return user


@pytest.fixture
def row(built: Deployment, manager: User) -> Cutover:
    return cutover_workflow.begin(built, by=manager)


def test_two_workers_never_hold_one(row: Cutover) -> None:
    assert moves.take(Cutover, row.pk) is not None
    assert moves.take(Cutover, row.pk) is None


def test_a_dead_worker_s_move_comes_due_again_and_its_late_word_is_dropped(row: Cutover) -> None:
    late = moves.take(Cutover, row.pk)
    assert late is not None
    Cutover.objects.filter(pk=row.pk).update(held_until=timezone.now() - dt.timedelta(seconds=1))
    second = moves.take(Cutover, row.pk)
    assert second is not None
    assert not moves.still_held(late)
    assert not moves.give_back(late, None)
    assert moves.give_back(second, NotYet("later", "Plus tard.", after=dt.timedelta(hours=1)))
    row.refresh_from_db()
    assert (row.code, row.held_until) == ("later", None)


def test_what_a_person_did_meanwhile_wins_over_what_the_worker_thinks(row: Cutover, manager: User) -> None:
    held = moves.take(Cutover, row.pk)
    assert held is not None
    cutover_workflow.cancel(Cutover.objects.get(pk=row.pk), by=manager)
    assert not moves.still_held(held)
    moves.give_back(held, NotYet("later", "Plus tard.", after=dt.timedelta(hours=1)))
    row.refresh_from_db()
    assert (row.state, row.due_at, row.held_until, row.code) == ("cancelled", None, None, "")


def test_trouble_is_tried_again_slower_and_slower_and_never_given_up(row: Cutover) -> None:
    waits = []
    for outcome in [Unavailable("down", "Panne.")] * 14 + [Refused("no", "Non.")]:
        Cutover.objects.filter(pk=row.pk).update(due_at=timezone.now())
        held = moves.take(Cutover, row.pk)
        assert held is not None
        moves.give_back(held, outcome)
        row.refresh_from_db()
        assert row.due_at is not None
        waits.append(row.due_at - timezone.now())
    assert waits[0] < dt.timedelta(seconds=5)
    assert dt.timedelta(minutes=59) < waits[-2] <= moves.SLOWEST
    assert dt.timedelta(minutes=59) < waits[-1] <= moves.SLOWEST


def test_nothing_moves_in_a_suite_that_closes(built: Deployment, row: Cutover, manager: User) -> None:
    box = built.resources.get(key__startswith="mairie@")
    brought = MailImport.objects.create(
        resource=box, asked_by=manager, host="imap.ancien.example", login="m", sealed_password=codes.seal("x")
    )
    open_closure(built, by=manager, reason="Essai.")
    assert moves.run("cutover", row.pk)
    assert moves.run("mail_import", brought.pk)
    row.refresh_from_db()
    brought.refresh_from_db()
    assert (row.state, brought.state, brought.code) == ("cancelled", "stopped", "closing")
