"""The last step of a plan, when the operator has an identity provider: one list for all its communes."""

import threading
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import backends, engine, identity
from onboarding.provisioning.backends.local import LocalIdentity
from onboarding.provisioning.errors import NotYet
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.directory.models import Operator
from tests.factories.directory import OperatorFactory
from tests.factories.provisioning import deployment

PROVIDER = "idp-demo"


@pytest.fixture
def operator() -> Operator:
    made: Operator = OperatorFactory.create()
    Operator.objects.filter(pk=made.pk).update(identity_provider=PROVIDER)
    made.refresh_from_db()
    return made


def resource(built: Deployment) -> Resource:
    return Resource.objects.get(deployment=built, kind=Resource.Kind.IDENTITY)


def live() -> frozenset[str]:
    return LocalIdentity().domains(PROVIDER)


@pytest.mark.django_db
class TestIdentityStep:
    def test_an_operator_without_a_provider_has_no_such_step(self) -> None:
        built = deployment()
        engine.advance(built.pk)
        assert built.status == Deployment.Status.LIVE
        assert not built.steps.filter(name=Step.Name.IDENTITY).exists()
        assert live() == frozenset()

    def test_attaches_the_domain_beside_those_of_the_other_communes(self, operator: Operator) -> None:
        first, second = deployment(operator=operator), deployment(operator=operator)
        for built in (first, second):
            engine.advance(built.pk)
            assert built.status == Deployment.Status.LIVE
        assert live() == {first.domain, second.domain}

    def test_comes_last_so_that_a_wait_of_days_keeps_nothing_else(self, operator: Operator, settings: Settings) -> None:
        settings.BACKENDS = {**settings.BACKENDS, "identity": f"{__name__}.NotAllowed"}
        built = deployment(operator=operator)
        engine.advance(built.pk)
        waiting = built.steps.get(name=Step.Name.IDENTITY)
        assert (waiting.status, waiting.code, waiting.failures) == (Step.Status.WAITING, "not_allowed", 0)
        assert not built.steps.exclude(pk=waiting.pk).exclude(status=Step.Status.DONE).exists()
        assert built.status == Deployment.Status.WAITING

    def test_a_domain_that_is_not_ours_stops_the_step_until_a_person_looks(self, operator: Operator) -> None:
        LocalIdentity().ensure_domains(PROVIDER, frozenset({"theirs.fr"}), known=frozenset())
        built = deployment(operator=operator)
        engine.advance(built.pk)
        blocked = built.steps.get(name=Step.Name.IDENTITY)
        assert (blocked.status, blocked.code) == (Step.Status.BLOCKED, "not_ours")
        assert live() == {"theirs.fr"}

    def test_a_domain_that_waits_does_not_keep_another_out(self, operator: Operator) -> None:
        """Only what is live is asked again with ours: what waits for the allow-list asks for itself."""
        waiting, ready = deployment(operator=operator), deployment(operator=operator)
        identity.attach(resource(ready))
        assert live() == {ready.domain}
        identity.attach(resource(waiting))
        assert live() == {ready.domain, waiting.domain}

    def test_leaving_detaches_one_domain_and_no_other(self, operator: Operator) -> None:
        leaving, staying = deployment(operator=operator), deployment(operator=operator)
        for built in (leaving, staying):
            identity.attach(resource(built))
        for _ in range(2):
            identity.detach(resource(leaving))
        assert live() == {staying.domain}
        assert not identity.attached(resource(leaving))

    def test_a_closed_commune_is_known_and_goes_at_the_next_push(self, operator: Operator) -> None:
        closed, opened = deployment(operator=operator), deployment(operator=operator)
        identity.attach(resource(closed))
        Deployment.objects.filter(pk=closed.pk).update(closed_at=timezone.now())
        identity.attach(resource(opened))
        assert live() == {opened.domain}


class NotAllowed(LocalIdentity):
    def ensure_domains(self, provider: str, wanted: frozenset[str], *, known: frozenset[str]) -> None:
        raise NotYet("not_allowed", "Pas encore.", after=timedelta(hours=6))


class Slow(LocalIdentity):
    """Reads, then lets another worker try before it writes."""

    read = threading.Event()
    go_on = threading.Event()

    def ensure_domains(self, provider: str, wanted: frozenset[str], *, known: frozenset[str]) -> None:
        self.read.set()
        assert self.go_on.wait(10)
        super().ensure_domains(provider, wanted, known=known)


@pytest.mark.django_db(transaction=True)
def test_w5_two_pushes_at_once_keep_both_domains(operator: Operator, settings: Settings) -> None:
    settings.BACKENDS = {**settings.BACKENDS, "identity": f"{__name__}.Slow"}
    backends.renew()
    first, second = deployment(operator=operator), deployment(operator=operator)
    caught: list[BaseException] = []

    def push() -> None:
        try:
            identity.attach(resource(first))
        except BaseException as error:  # noqa: BLE001 - told to the test
            caught.append(error)
        finally:
            close_old_connections()
            connection.close()

    worker = threading.Thread(target=push)
    worker.start()
    assert Slow.read.wait(10)
    with pytest.raises(NotYet) as waiting:
        identity.attach(resource(second))
    assert waiting.value.code == "provider_in_use"
    Slow.go_on.set()
    worker.join(10)
    assert caught == []
    identity.attach(resource(second))
    assert live() == {first.domain, second.domain}
