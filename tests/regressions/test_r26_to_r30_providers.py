"""R26 to R30. What a provider does to us: it dies, closes our session, answers too late, answers nonsense, is silent.

R26 (a worker killed after each call of each step) is played with real workers in `tests/live/test_killed_worker.py`.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import backends, engine, observation
from onboarding.provisioning.backends.local import LocalMail
from onboarding.provisioning.backends.world import changing, listing
from onboarding.provisioning.errors import Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.models import User
from suite.catalog.models import GB
from tests.factories.accounts import MembershipFactory
from tests.factories.provisioning import deployment
from tests.regressions.providers import LOCAL, Faults, methods

pytestmark = pytest.mark.django_db
HERE = "tests.regressions.providers"
# What the building never asks: what later acts do (a first access, a change, a closing, a renewal), and what only looks
# read.
UNASKED = {
    "dns.ensure_absent", "dns.ensure_no_zone", "dns.ensure_undelegated", "dns.records", "dns.zone_file", "dns.zones",
    "mail.domains", "mail.ensure_active", "mail.ensure_mailbox_quota", "mail.ensure_no_domain",
    "mail.ensure_no_mailbox", "mail.export_messages", "mail.import_message", "mail.issue_access", "mail.opens",
    "registrar.delegation", "registrar.ensure_renewed", "registrar.expires_at",
    "storage.delete", "storage.ensure_no_key", "storage.ensure_no_space", "storage.export_objects", "storage.get",
    "storage.put", "storage.reissue_key", "storage.spaces",
}  # fmt: skip
CALLS = [f"{role}.{name}" for role, base in LOCAL.items() for name in methods(base)]
LOOKS = ["dns.delegation", "dns.records", "mail.spec", "mail.mailboxes", "storage.space"]


@pytest.fixture(autouse=True)
def _calm(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    Faults.clear()
    backends.renew()
    yield
    Faults.clear()
    backends.renew()


@pytest.fixture
def _faulty(settings: Settings) -> None:
    settings.BACKENDS = {**settings.BACKENDS, **{role: f"{HERE}.Faulty{role.title()}" for role in LOCAL}}


def carry_on(built: Deployment, rounds: int = 60) -> None:
    """Let time pass and the workers work, until nothing moves by itself."""
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(rounds):
            engine.advance(built.pk)
            if built.finished:
                return
            clock.shift(engine.BACKOFF_MAX)


def test_r27_a_session_the_provider_closed_is_never_used_again(settings: Settings) -> None:
    settings.BACKENDS = {**settings.BACKENDS, "registrar": f"{HERE}.PooledRegistrar"}
    built = deployment(registered=True)
    Faults.poisoned = True
    engine.advance(built.pk)
    step = built.steps.get(name="registration")
    assert (step.status, step.code) == ("waiting", "not_logged_in")
    assert Faults.logins == 1
    carry_on(built)
    assert built.status == Deployment.Status.LIVE
    assert Faults.logins == 2


@pytest.mark.parametrize("plan", [{}, {"registered": True}], ids=["shared", "registered"])
def test_r28_an_answer_lost_after_the_work_was_done_makes_exactly_one_object(
    settings: Settings, plan: dict[str, bool]
) -> None:
    settings.BACKENDS = {**settings.BACKENDS, **{role: f"{HERE}.Forgetful{role.title()}" for role in LOCAL}}
    built = deployment(**plan)
    carry_on(built)
    assert built.status == Deployment.Status.LIVE
    assert len(Faults.late) > 10
    state = listing()
    created = [(each["what"], each["key"]) for each in state["created"]]
    assert len(created) == len(set(created))
    assert len(state["mailboxes"]) == 2
    assert len(state["spaces"]) == len(state["mail_domains"]) == 1


@pytest.mark.usefixtures("_faulty")
class TestR29:
    @pytest.mark.parametrize("call", sorted(set(CALLS) - UNASKED))
    def test_r29_nonsense_from_any_call_is_a_typed_failure_and_no_step_is_lost(self, call: str) -> None:
        built = deployment(registered="ensure_delegated" not in call or call.startswith("registrar"))
        steps = built.steps.count()
        Faults.raises[call] = ValueError("surprise du fournisseur")
        engine.advance(built.pk)
        failed = list(built.steps.filter(code="unexpected"))
        assert call in Faults.called
        assert failed
        assert {(step.status, step.failures) for step in failed} == {("waiting", 1)}
        assert all("surprise" not in step.note for step in failed)
        Faults.raises.clear()
        carry_on(built)
        assert built.status == Deployment.Status.LIVE
        assert built.steps.count() == steps

    @pytest.mark.parametrize("call", LOOKS)
    def test_r29_nonsense_from_any_look_never_breaks_the_page(self, call: str, client: Client) -> None:
        built, member = in_service()
        Faults.raises[call] = ValueError("surprise du fournisseur")
        assert observation.observe(built.pk) > 0
        client.force_login(member)
        page = client.get(reverse("provisioning:detail", args=[built.pk]))
        assert page.status_code == 200
        assert "surprise" not in page.content.decode()


def in_service() -> tuple[Deployment, User]:
    built = deployment(registered=True)
    engine.advance(built.pk)
    assert built.status == Deployment.Status.LIVE
    return built, MembershipFactory.create(organization=built.organization, manager=True).user


@pytest.mark.usefixtures("_faulty")
class TestR30:
    def test_r30_a_failed_look_is_unknown_with_the_last_known_value_and_its_date(self, client: Client) -> None:
        built, member = in_service()
        space = Resource.objects.get(deployment=built, kind="storage")
        seen_at = space.observed_at
        Faults.raises["storage.space"] = Unavailable("timeout", "Le stockage ne répond pas.")
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            assert built.pk in observation.due()
            assert observation.observe(built.pk) == 1
        space.refresh_from_db()
        assert space.observed_at == seen_at
        assert space.observed == {"quota": 10 * GB, "used": 0}
        assert space.unknown_since
        client.force_login(member)
        page = client.get(reverse("provisioning:detail", args=[built.pk])).content.decode()
        assert "Inconnu</span>" in page
        assert "Dernière valeur connue\xa0: 0\xa0Go utilisés sur 10\xa0Go, vue le" in page
        assert page.count("Inconnu</span>") == 1

    def test_r30_it_dates_from_the_first_failure_and_ends_with_the_first_answer(self) -> None:
        built, _ = in_service()
        Faults.raises["storage.space"] = Unavailable("timeout", "Le stockage ne répond pas.")
        with time_machine.travel(timezone.now() + timedelta(days=2), tick=False) as clock:
            observation.observe(built.pk)
            first = Resource.objects.get(deployment=built, kind="storage").unknown_since
            clock.shift(timedelta(minutes=11))
            assert built.pk in observation.due()
            observation.observe(built.pk)
            assert Resource.objects.get(deployment=built, kind="storage").unknown_since == first
            Faults.raises.clear()
            clock.shift(timedelta(minutes=11))
            assert observation.observe(built.pk) == 0
            space = Resource.objects.get(deployment=built, kind="storage")
            assert (space.unknown_since, space.observed_at) == (None, timezone.now())
            assert built.pk not in observation.due()

    def test_r30_what_the_provider_no_longer_has_is_absent_not_unknown(self, client: Client) -> None:
        built, member = in_service()
        with changing() as world:
            world.execute("DELETE FROM mailboxes WHERE address LIKE 'mairie@%'")
        assert observation.observe(built.pk) == 0
        client.force_login(member)
        page = client.get(reverse("provisioning:detail", args=[built.pk])).content.decode()
        assert page.count("Absent</span>") == 1
        assert len(LocalMail().mailboxes(built.domain)) == 1

    def test_r30_a_look_changes_nothing_outside(self) -> None:
        built, _ = in_service()
        before = listing()
        observation.observe(built.pk)
        assert listing() == before
        assert not Step.objects.filter(deployment=built).exclude(status="done").exists()
