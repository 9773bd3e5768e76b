"""The circuit of a provider, and how many calls it bears: rows that every worker shares."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import backends, circuits, engine
from onboarding.provisioning.errors import Held, Refused, Unavailable
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.provider_models import Provider, Slot
from suite.journal.models import Event
from tests.factories.provisioning import deployment
from tests.provisioning.trouble import Troubled

pytestmark = pytest.mark.django_db
DOWN = Unavailable("timeout", "Le stockage ne répond pas.")


@pytest.fixture(autouse=True)
def _trouble(settings: Settings) -> Iterator[None]:
    settings.BACKENDS = {**settings.BACKENDS, "storage": "tests.provisioning.trouble.TroubledStorage"}
    Troubled.raises.clear()
    yield
    Troubled.raises.clear()


def fail(error: Exception, times: int = 1) -> None:
    Troubled.raises["ensure_space"] = error
    for _ in range(times):
        with pytest.raises(type(error)):
            backends.storage().ensure_space("essai", owner="ours")


def row() -> Provider:
    return Provider.objects.get(role="storage")


class TestCircuit:
    def test_opens_after_many_calls_without_an_answer_and_then_calls_nobody(self) -> None:
        fail(DOWN, circuits.OPENS_AFTER - 1)
        assert row().opened_at is None
        fail(DOWN)
        assert (row().opened_at is not None, row().code) == (True, "timeout")
        Troubled.raises.clear()
        with pytest.raises(Held):
            backends.storage().ensure_space("essai", owner="ours")
        assert [event.kind for event in Event.objects.about("provider", row().pk)] == ["circuit_opened"]

    def test_opens_at_once_when_our_key_is_refused(self) -> None:
        fail(Unavailable("denied", "Notre clé est refusée."))
        assert row().code == "denied"

    @pytest.mark.parametrize("answer", [None, Refused("conflict", "Déjà pris.")], ids=["success", "refusal"])
    def test_any_answer_forgets_the_failures_before_it(self, answer: Exception | None) -> None:
        fail(DOWN, circuits.OPENS_AFTER - 1)
        Troubled.raises.clear()
        if answer:
            fail(answer)
        else:
            backends.storage().ensure_space("essai", owner="ours")
        fail(DOWN, circuits.OPENS_AFTER - 1)
        assert row().opened_at is None

    def test_lets_one_probe_through_and_closes_when_it_succeeds(self) -> None:
        fail(DOWN, circuits.OPENS_AFTER)
        Troubled.raises.clear()
        with time_machine.travel(timezone.now() + circuits.OPEN_FOR * 2):
            circuits.forget()
            backends.storage().ensure_space("essai", owner="ours")
            assert (row().opened_at, row().failures) == (None, 0)
        kinds = [event.kind for event in Event.objects.about("provider", row().pk)]
        assert kinds == ["circuit_opened", "circuit_closed"]

    def test_waits_twice_as_long_after_a_probe_that_fails(self) -> None:
        fail(DOWN, circuits.OPENS_AFTER)
        with time_machine.travel(timezone.now() + circuits.OPEN_FOR * 2, tick=False):
            circuits.forget()
            fail(DOWN)
            wait = row().probe_at - timezone.now()  # type: ignore[operator]
            assert circuits.OPEN_FOR * 1.5 <= wait <= circuits.OPEN_FOR * 2.5

    def test_a_probe_whose_worker_died_is_taken_by_another(self, settings: Settings) -> None:
        fail(DOWN, circuits.OPENS_AFTER)
        now = timezone.now() + circuits.OPEN_FOR * 2
        Provider.objects.update(probe_at=now + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS))
        Troubled.raises.clear()
        with time_machine.travel(now + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 1)):
            circuits.forget()
            backends.storage().ensure_space("essai", owner="ours")
        assert row().opened_at is None

    def test_a_step_that_meets_it_waits_without_failing(self) -> None:
        fail(DOWN, circuits.OPENS_AFTER)
        Troubled.raises.clear()
        built = deployment()
        engine.advance(built.pk)
        step = built.steps.get(name="storage")
        assert (step.status, step.code, step.failures) == ("waiting", "circuit_open", 0)
        assert step.due_at > timezone.now()

    def test_what_had_failed_before_is_not_forgotten_by_an_open_circuit(self) -> None:
        built = deployment()
        fail(DOWN, circuits.OPENS_AFTER - 1)
        engine.advance(built.pk)
        assert built.steps.get(name="storage").failures == 1
        built.steps.filter(name="storage").update(due_at=timezone.now())
        engine.advance(built.pk)
        step = built.steps.get(name="storage")
        assert (step.code, step.failures) == ("circuit_open", 1)

    def test_the_others_go_on_while_one_is_open(self) -> None:
        fail(DOWN, circuits.OPENS_AFTER)
        built = deployment()
        engine.advance(built.pk)
        assert built.steps.filter(name="mailbox", status="done").count() == 2

    def test_a_listing_that_breaks_in_the_middle_counts_too(self) -> None:
        def listing() -> Iterator[str]:
            yield "one"
            raise DOWN

        guarded = circuits.Guarded("storage", type("Listing", (), {"spaces": staticmethod(listing)})())
        with pytest.raises(Unavailable):
            list(guarded.spaces())
        assert row().failures == 1


class TestSlots:
    def test_the_call_too_many_is_held_and_its_step_comes_back(self, settings: Settings) -> None:
        settings.PROVIDER_CAPS = {"storage": 1}
        with circuits.passing("storage"), pytest.raises(Held), circuits.passing("storage"):
            pytest.fail("two calls passed at once")
        with circuits.passing("storage"):
            pass

    def test_a_slot_is_free_again_whatever_the_call_gives(self, settings: Settings) -> None:
        settings.PROVIDER_CAPS = {"storage": 1}
        fail(DOWN, 3)
        assert not Slot.objects.filter(until__gt=timezone.now()).exists()

    def test_the_slot_of_a_killed_worker_is_free_after_its_lease(self, settings: Settings) -> None:
        settings.PROVIDER_CAPS = {"storage": 1}
        circuits._take_slot("storage", timezone.now())  # noqa: SLF001 - and its worker dies
        built = deployment()
        engine.advance(built.pk)
        assert built.steps.get(name="storage").code == "provider_busy"
        with time_machine.travel(timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 5)):
            engine.advance(built.pk)
        assert built.status == Deployment.Status.LIVE

    @pytest.mark.django_db(transaction=True)
    def test_many_at_once_never_pass_the_bound(self, settings: Settings) -> None:
        settings.PROVIDER_CAPS = {"storage": 2}
        barrier, passed, most = threading.Barrier(6), [0], [0]
        lock = threading.Lock()

        def call() -> None:
            try:
                barrier.wait(timeout=10)
                for _ in range(10):
                    try:
                        with circuits.passing("storage"):
                            with lock:
                                passed[0] += 1
                                most[0] = max(most[0], passed[0])
                            with lock:
                                passed[0] -= 1
                    except Held:
                        continue
            finally:
                connection.close()

        threads = [threading.Thread(target=call) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert 1 <= most[0] <= 2
