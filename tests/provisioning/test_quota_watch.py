"""One quota for the space and for Fichiers, and spaces looked at in time."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import backends, engine, quota_watch, steps
from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.backends.protocols import Space
from onboarding.provisioning.errors import Unavailable
from onboarding.provisioning.models import Deployment, Resource
from suite.catalog.models import GB, Subscription
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


class Lazy(LocalStorage):
    """Counts what it is asked to enforce."""

    asked: list[str] = []
    down = False

    def enforce(self, space: str) -> Space:
        if self.down:
            raise Unavailable("unreachable", "Le stockage n’est pas joignable.")
        self.asked.append(space)
        return super().enforce(space)


@pytest.fixture
def built(settings: Settings) -> Deployment:
    settings.BACKENDS = {**settings.BACKENDS, "storage": f"{__name__}.Lazy"}
    backends.renew()
    Lazy.down = False
    made = deployment()
    engine.advance(made.pk)
    Lazy.asked.clear()
    return made


def space(built: Deployment) -> Resource:
    return Resource.objects.get(deployment=built, kind=Resource.Kind.STORAGE)


def holds(built: Deployment, used: int) -> None:
    Resource.objects.filter(pk=space(built).pk).update(observed={"quota": 10 * GB, "used": used})


class TestWatch:
    @pytest.mark.parametrize(
        ("used", "after", "due"),
        [
            (8 * GB, 60, True),
            (8 * GB, 20, False),
            (11 * GB, 60, True),
            (8 * GB - 1, 60, False),
            (0, 3599, True),
            (0, 3000, False),
        ],
    )
    def test_a_space_near_its_quota_is_looked_at_more_often(
        self, built: Deployment, used: int, after: int, *, due: bool
    ) -> None:
        holds(built, used)
        with time_machine.travel(timezone.now() + timedelta(seconds=after)):
            assert quota_watch.to_watch() == ([space(built).pk] if due else [])

    def test_a_closed_commune_is_not_looked_at(self, built: Deployment) -> None:
        Deployment.objects.filter(pk=built.pk).update(closed_at=timezone.now())
        with time_machine.travel(timezone.now() + timedelta(days=1)):
            assert quota_watch.to_watch() == []

    def test_holding_writes_what_was_seen(self, built: Deployment) -> None:
        store = LocalStorage()
        name = space(built).desired["space"]
        store.put(store.reissue_key(name), name, "a", b"12345")
        assert quota_watch.hold(space(built).pk)
        assert Lazy.asked == [name]
        assert space(built).observed == {"quota": 10 * GB, "used": 5}

    def test_a_store_that_is_down_keeps_what_was_known_and_waits_its_turn(self, built: Deployment) -> None:
        holds(built, 9 * GB)
        Lazy.down = True
        with time_machine.travel(timezone.now() + timedelta(seconds=70)):
            assert not quota_watch.hold(space(built).pk)
            seen = space(built)
            assert seen.observed == {"quota": 10 * GB, "used": 9 * GB}
            assert seen.unknown_since is not None
            assert quota_watch.to_watch() == []


class TestOneQuota:
    @pytest.mark.parametrize(("kind", "service"), [("storage", 12), ("mail_domain", 2)])
    def test_a_service_is_told_the_quota_of_what_it_fills(self, built: Deployment, kind: str, service: int) -> None:
        changed = Resource.objects.get(deployment=built, kind=kind)
        changed.desired = {**changed.desired, "quota": 25 * GB}
        changed.save()
        for name in (kind, "service"):
            for step in built.steps.filter(name=name).select_related("deployment__organization", "resource"):
                steps.perform(step)
        told: dict[str, Any] = {"organization": built.organization, "service": service}
        assert Subscription.objects.get(**told).quota == 25 * GB

    def test_the_other_services_keep_their_own(self, built: Deployment) -> None:
        assert quota_watch.entitled(built, {"service": 58, "quota": None}) is None
