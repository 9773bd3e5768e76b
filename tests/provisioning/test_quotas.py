"""Quotas: asked for, decided, pushed; the entitlement is always the same figure."""

from functools import partial

import pytest
from pytest_django import Settings

from onboarding.provisioning import engine, quotas
from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.change_models import MoreRequest
from onboarding.provisioning.changes import ChangeRefused
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import entitlement
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.catalog.models import GB, Subscription
from suite.journal.models import Event
from tests.provisioning.living import lead, live, manager
from tests.provisioning.test_changes import at_once

pytestmark = pytest.mark.django_db
WHY = "Nouveaux agents."


def entitled(suite: Deployment, service: int) -> int | None:
    return Subscription.objects.get(organization=suite.organization, service=service).quota


def store(suite: Deployment) -> str:
    return f"org-{suite.organization_id}"


def fill(suite: Deployment, size: int) -> None:
    key = LocalStorage().reissue_key(store(suite))
    LocalStorage().put(key, store(suite), "plan.pdf", b"x" * size)


class TestSetSpace:
    def test_the_store_and_the_entitlement_change_together(self) -> None:
        suite = live()
        quotas.set_space(suite, "storage", 20 * GB, by=lead(suite), reason=WHY)
        quotas.set_space(suite, "mail", 30 * GB, by=lead(suite), reason=WHY)
        engine.advance(suite.pk)
        assert LocalStorage().space(store(suite)).quota == entitled(suite, 12) == 20 * GB
        assert entitled(suite, 2) == entitlement(suite).mail == 30 * GB
        assert Deployment.objects.get(pk=suite.pk).status == "live"

    def test_under_the_use_that_we_know_it_is_refused_with_a_sentence(self) -> None:
        suite = live()
        storage = Resource.objects.get(deployment=suite, kind="storage")
        Resource.objects.filter(pk=storage.pk).update(observed={"quota": 10 * GB, "used": 6 * GB})
        with pytest.raises(ChangeRefused, match="sont déjà utilisés"):
            quotas.set_space(suite, "storage", 5 * GB, by=lead(suite), reason=WHY)

    def test_under_the_use_that_only_the_store_knows_nothing_moves_either(self) -> None:
        suite = live()
        fill(suite, 5000)
        quotas.set_space(suite, "storage", 1000, by=lead(suite), reason=WHY)
        engine.advance(suite.pk)
        step = Step.objects.get(deployment=suite, name="quota")
        assert (step.status, step.code) == ("blocked", "below_use")
        assert LocalStorage().space(store(suite)).quota == entitled(suite, 12) == 10 * GB
        assert Deployment.objects.get(pk=suite.pk).status == "live"
        with pytest.raises(WrongState, match="déjà en cours"):
            quotas.set_space(suite, "storage", 20 * GB, by=lead(suite), reason=WHY)

    @pytest.mark.parametrize("quota", [0, -1, 10 * GB, 10**18])
    def test_no_quota_and_no_change_are_refused(self, quota: int) -> None:
        suite = live()
        with pytest.raises(ChangeRefused):
            quotas.set_space(suite, "storage", quota, by=lead(suite), reason=WHY)


class TestMore:
    def test_what_is_granted_is_pushed(self) -> None:
        suite = live()
        asked = quotas.ask_more(suite, "storage", 50 * GB, by=manager(suite), reason=WHY)
        quotas.answer_more(asked, granted=True, by=lead(suite), answer="Accordé.")
        engine.advance(suite.pk)
        assert LocalStorage().space(store(suite)).quota == entitled(suite, 12) == 50 * GB

    def test_more_mailboxes_are_the_allocation_from_then_on(self, settings: Settings) -> None:
        suite = live()
        had = entitlement(suite).mailboxes
        asked = quotas.ask_more(suite, "mailboxes", had + 7, by=manager(suite), reason=WHY)
        assert entitlement(suite).mailboxes == had
        quotas.answer_more(asked, granted=True, by=lead(suite), answer="Accordé.")
        assert entitlement(suite).mailboxes == had + 7
        assert had == settings.INTAKE_STANDARD_MAILBOXES

    def test_a_refusal_changes_nothing(self) -> None:
        suite = live()
        asked = quotas.ask_more(suite, "mail", 50 * GB, by=manager(suite), reason=WHY)
        quotas.answer_more(asked, granted=False, by=lead(suite), answer="Trop pour cette année.")
        engine.advance(suite.pk)
        assert entitled(suite, 2) == 10 * GB
        assert not Step.objects.filter(deployment=suite, plan__gt=0).exists()

    def test_one_asks_once_for_more_than_one_has_and_does_not_answer_oneself(self) -> None:
        suite, asker = live(), None
        asker = manager(suite)
        with pytest.raises(ChangeRefused, match="ou moins"):
            quotas.ask_more(suite, "storage", 10 * GB, by=asker, reason=WHY)
        asked = quotas.ask_more(suite, "storage", 11 * GB, by=asker, reason=WHY)
        with pytest.raises(WrongState, match="déjà en attente"):
            quotas.ask_more(suite, "storage", 12 * GB, by=asker, reason=WHY)
        with pytest.raises(WrongState, match="une autre personne"):
            quotas.answer_more(asked, granted=True, by=asker, answer="Oui.")

    @pytest.mark.django_db(transaction=True)
    def test_two_operators_who_answer_at_once_give_one_answer(self) -> None:
        suite = live()
        asked = quotas.ask_more(suite, "storage", 50 * GB, by=manager(suite), reason=WHY)
        results = at_once(
            partial(quotas.answer_more, asked, granted=True, by=lead(suite), answer="Accordé."),
            partial(quotas.answer_more, asked, granted=False, by=lead(suite), answer="Refusé."),
        )
        assert sorted(results) == ["WrongState", "done"]
        answered = MoreRequest.objects.get()
        assert Event.objects.filter(subject=suite.pk, kind="more.answered").count() == 1
        assert Step.objects.filter(deployment=suite, plan__gt=0).exists() == answered.granted
