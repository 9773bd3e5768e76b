import io
import json

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from pytest_django import Settings

from onboarding.provisioning.backends.local import LocalDns


class Half:
    """A backend that keeps half of its promises."""

    def ensure_zone(self, zone: str) -> None:
        """Forget whose it is."""


def ids() -> set[str | None]:
    return {message.id for message in run_checks() if str(message.id).startswith("provisioning.")}


def test_the_settings_as_they_are_pass() -> None:
    assert ids() == set()


def test_a_lease_shorter_than_a_task_is_refused(settings: Settings) -> None:
    settings.PROVISIONING_LEASE_SECONDS = settings.CELERY_TASK_TIME_LIMIT
    assert ids() == {"provisioning.E001"}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("nowhere.Nothing", "provisioning.E002"),
        ("", "provisioning.E002"),
        ("tests.provisioning.test_checks.Half", "provisioning.E003"),
    ],
)
def test_a_backend_that_does_not_keep_its_protocol_is_refused(settings: Settings, path: str, found: str) -> None:
    settings.BACKENDS = {**settings.BACKENDS, "dns": path}
    assert ids() == {found}


def test_the_world_prints_itself() -> None:
    LocalDns().ensure_zone("essai.fr", owner="us")
    out = io.StringIO()
    call_command("world", stdout=out)
    world = json.loads(out.getvalue())
    assert world["zones"] == [{"name": "essai.fr", "owner": "us"}]
    assert [(each["what"], each["key"]) for each in world["created"]] == [("zone", "essai.fr")]
