"""The end of a deployment: two people for each deletion, a copy first, the right order, and nobody else's things."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from onboarding.provisioning import engine, exporting, workflow
from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.closing_workflow import (
    confirm,
    is_copied,
    open_closure,
    propose,
    take_back,
    waive_copy,
)
from onboarding.provisioning.closure_models import Closure, ClosureStep
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Step
from suite.catalog.models import Subscription
from suite.journal.models import Event
from tests.factories.accounts import OperatorRoleFactory
from tests.provisioning.living import lead, live, manager
from tests.provisioning.test_changes import at_once

pytestmark = pytest.mark.django_db


def closing(**plan: object) -> tuple[Deployment, Closure]:
    """Return a suite whose closure was opened a month ago, and that does without a copy."""
    suite = live(**plan)
    closure = open_closure(suite, by=lead(suite), reason="Commune réunie.", cause="merged")
    Closure.objects.filter(pk=closure.pk).update(opened_at=timezone.now() - timedelta(days=31))
    waive_copy(closure, by=lead(suite), reason="Tout a été remis.")
    return Deployment.objects.get(pk=suite.pk), Closure.objects.get(pk=closure.pk)


def all_of(closure: Closure, **which: object) -> list[object]:
    return list(closure.steps.filter(**which).values_list("pk", flat=True))


def listed() -> tuple[int, int, int, int]:
    there = world.listing()
    zones = [one for one in there["zones"] if one["owner"] != "suite"]
    return len(zones), len(there["mail_domains"]), len(there["mailboxes"]), len(there["spaces"])


class TestWhole:
    def test_everything_goes_in_order_and_the_deployment_is_closed(self) -> None:
        suite, closure = closing()
        assert suite.status == "closing"
        propose(closure, all_of(closure), by=manager(suite))
        engine.advance(suite.pk)
        assert listed() == (1, 1, 2, 1)
        confirm(closure, all_of(closure), by=lead(suite))
        engine.advance(suite.pk)
        assert listed() == (0, 0, 0, 0)
        suite = Deployment.objects.get(pk=suite.pk)
        assert (suite.status, suite.closed_at is not None) == ("closed", True)
        assert not Subscription.objects.filter(organization=suite.organization, active=True).exists()
        assert Event.objects.filter(subject=suite.pk, kind="closed").count() == 1
        again = live(organization=suite.organization, operator=suite.operator)
        assert again.status == "live"

    def test_others_things_stay(self) -> None:
        other = live()
        suite, closure = closing()
        propose(closure, all_of(closure), by=manager(suite))
        confirm(closure, all_of(closure), by=lead(suite))
        engine.advance(suite.pk)
        assert listed() == (1, 1, 2, 1)
        assert LocalStorage().space(f"org-{other.organization_id}").quota
        assert Subscription.objects.filter(organization=other.organization, active=True).count() == 3

    def test_what_stands_on_something_goes_first_whatever_is_confirmed_first(self) -> None:
        suite, closure = closing()
        zone = all_of(closure, resource__kind="zone")
        propose(closure, all_of(closure), by=manager(suite))
        confirm(closure, zone, by=lead(suite))
        engine.advance(suite.pk)
        assert listed() == (1, 1, 2, 1)
        assert Step.objects.get(deployment=suite, name="deletion").code == "something_stands_on_it"
        confirm(closure, [pk for pk in all_of(closure) if pk not in zone], by=lead(suite))
        engine.advance(suite.pk)
        Step.objects.filter(deployment=suite, status="waiting").update(due_at=timezone.now())
        engine.advance(suite.pk)
        assert listed() == (0, 0, 0, 0)
        assert Deployment.objects.get(pk=suite.pk).status == "closed"

    def test_nothing_goes_before_its_day(self) -> None:
        suite, closure = closing()
        Closure.objects.filter(pk=closure.pk).update(opened_at=timezone.now() - timedelta(days=29))
        propose(closure, all_of(closure), by=manager(suite))
        confirm(closure, all_of(closure), by=lead(suite))
        engine.advance(suite.pk)
        assert listed() == (1, 1, 2, 1)

    def test_a_thing_of_somebody_else_is_left_and_the_rest_ends(self) -> None:
        suite, closure = closing()
        with world.changing() as there:
            there.execute("UPDATE spaces SET owner = 'somebody else'")
        propose(closure, all_of(closure), by=manager(suite))
        confirm(closure, all_of(closure), by=lead(suite))
        engine.advance(suite.pk)
        step = Step.objects.select_related("deployment").get(deployment=suite, name="deletion", status="blocked")
        assert step.code == "conflict"
        assert Deployment.objects.get(pk=suite.pk).status == "closing"
        instructor = OperatorRoleFactory.create(operator=suite.operator).user
        workflow.skip(step, by=instructor, reason="L’espace est à un autre.")
        Step.objects.filter(deployment=suite, status="waiting").update(due_at=timezone.now())
        engine.advance(suite.pk)
        assert listed() == (0, 0, 0, 1)
        assert Deployment.objects.get(pk=suite.pk).status == "closed"


class TestConfirm:
    def test_it_takes_two_people(self) -> None:
        suite, closure = closing()
        one = lead(suite)
        propose(closure, all_of(closure), by=one)
        with pytest.raises(WrongState, match="une autre personne"):
            confirm(closure, all_of(closure), by=one)
        assert not Step.objects.filter(name="deletion").exists()

    def test_nothing_is_confirmed_without_a_copy_or_a_waiver(self) -> None:
        suite = live()
        closure = open_closure(suite, by=lead(suite), reason="Départ.")
        propose(closure, all_of(closure), by=manager(suite))
        with pytest.raises(WrongState, match="copie"):
            confirm(closure, all_of(closure), by=lead(suite))
        export = exporting.ask(suite, by=manager(suite))
        assert exporting.run(export.pk)
        assert is_copied(closure)
        assert confirm(closure, all_of(closure), by=lead(suite)) == closure.steps.count()

    def test_what_is_not_asked_is_not_confirmed(self) -> None:
        suite, closure = closing()
        with pytest.raises(WrongState, match="n’attend plus"):
            confirm(closure, all_of(closure), by=lead(suite))

    @pytest.mark.django_db(transaction=True)
    def test_two_operators_who_confirm_at_once_make_one_plan(self) -> None:
        suite, closure = closing()
        propose(closure, all_of(closure), by=manager(suite))
        wanted = all_of(closure)
        results = at_once(
            partial(confirm, closure, wanted, by=lead(suite)), partial(confirm, closure, wanted, by=lead(suite))
        )
        assert sorted(results) == ["WrongState", "done"]
        assert Step.objects.filter(deployment=suite, name="deletion").count() == len(wanted)


class TestTakeBack:
    def test_both_signatures_go_and_nothing_is_deleted(self) -> None:
        suite, closure = closing()
        Closure.objects.filter(pk=closure.pk).update(opened_at=timezone.now())
        propose(closure, all_of(closure), by=manager(suite))
        confirm(closure, all_of(closure), by=lead(suite))
        take_back(closure, all_of(closure), by=manager(suite))
        Step.objects.filter(deployment=suite, status="waiting").update(due_at=timezone.now())
        engine.advance(suite.pk)
        assert listed() == (1, 1, 2, 1)
        assert not ClosureStep.objects.filter(proposed_by__isnull=False).exists()
        propose(closure, all_of(closure), by=manager(suite))
        Closure.objects.filter(pk=closure.pk).update(opened_at=timezone.now() - timedelta(days=31))
        confirm(closure, all_of(closure), by=lead(suite))
        engine.advance(suite.pk)
        assert listed() == (0, 0, 0, 0)

    def test_what_was_never_asked_cannot_be_given_up(self) -> None:
        suite, closure = closing()
        with pytest.raises(WrongState):
            take_back(closure, all_of(closure), by=manager(suite))
