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


@pytest.mark.parametrize(
    ("role", "path", "named"),
    [
        ("dns", "onboarding.provisioning.backends.powerdns.PowerDns", "POWERDNS_URL"),
        ("dns", "onboarding.provisioning.backends.rfc2136.Rfc2136Dns", "RFC2136_SERVER, RFC2136_KEY_NAME"),
        ("registrar", "onboarding.provisioning.backends.gandi.GandiRegistrar", "GANDI_TOKEN, GANDI_HOLDER"),
    ],
)
def test_a_backend_without_its_settings_is_refused_and_they_are_named(
    settings: Settings, role: str, path: str, named: str
) -> None:
    settings.BACKENDS = {**settings.BACKENDS, role: path}
    (message,) = [each for each in run_checks() if str(each.id).startswith("provisioning.")]
    assert message.id == "provisioning.E002"
    assert named in str(message.msg)


@pytest.mark.parametrize("role", ["dns", "updates", "registrar"])
def test_a_backend_with_its_settings_keeps_its_protocol(settings: Settings, role: str) -> None:
    settings.DNS_NAME_SERVERS = ["ns1.suite.example"]
    settings.POWERDNS_URL, settings.POWERDNS_API_KEY = "http://127.0.0.1:8081", "k"
    settings.RFC2136_SERVER, settings.RFC2136_KEY_NAME, settings.RFC2136_KEY_SECRET = "127.0.0.1:5300", "suite", "AAAA"
    settings.GANDI_TOKEN, settings.GANDI_HOLDER = "t", {"email": "a@b.fr"}
    path = {
        "dns": "onboarding.provisioning.backends.powerdns.PowerDns",
        "updates": "onboarding.provisioning.backends.rfc2136.Rfc2136Dns",
        "registrar": "onboarding.provisioning.backends.gandi.GandiRegistrar",
    }[role]
    settings.BACKENDS = {**settings.BACKENDS, "registrar" if role == "registrar" else "dns": path}
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("MTA_STS_MODE", "force", "provisioning.E020"),
        ("DMARC_REPORTS", "mailto:a@b.fr; p=none", "provisioning.E021"),
        ("TLS_REPORTS", "a@b", "provisioning.E021"),
        ("MAIL_DISCOVERY_HOST", "https://suite.example", "provisioning.E022"),
    ],
)
def test_a_policy_that_nobody_would_understand_is_refused(
    settings: Settings, name: str, value: str, found: str
) -> None:
    setattr(settings, name, value)
    assert ids() == {found}


def test_the_world_prints_itself() -> None:
    LocalDns().ensure_zone("essai.fr", owner="us")
    out = io.StringIO()
    call_command("world", stdout=out)
    world = json.loads(out.getvalue())
    assert world["zones"] == [{"name": "essai.fr", "owner": "us"}]
    assert [(each["what"], each["key"]) for each in world["created"]] == [("zone", "essai.fr")]
