"""A provider of mail that the settings name, and do not describe, is said at start: not at the first mailbox."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

PROVIDERS = {
    "postfix.PostfixDovecotMail": "POSTFIX_DATABASE_URL",
    "dimail.DimailMail": "DIMAIL_URL",
    "messages.MessagesMail": "MESSAGES_URL",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_without_its_settings_is_refused_at_start(settings: Settings, provider: str) -> None:
    settings.BACKENDS = {**settings.BACKENDS, "mail": f"onboarding.provisioning.backends.{provider}"}
    told = [check.msg for check in run_checks() if check.id == "provisioning.E002"]
    assert len(told) == 1
    assert PROVIDERS[provider] in told[0]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_keeps_the_protocol(settings: Settings, provider: str) -> None:
    settings.POSTFIX_DATABASE_URL = settings.POSTFIX_IMAP_URL = settings.POSTFIX_SPF = "x"
    settings.POSTFIX_MX = ["10 mx.example"]
    settings.DIMAIL_URL = settings.DIMAIL_WEBMAIL_URL = settings.MESSAGES_URL = "https://fournisseur.example"
    settings.DIMAIL_CREDENTIALS, settings.MESSAGES_API_KEY = "cmVnaWU6eA==", "x"
    settings.BACKENDS = {**settings.BACKENDS, "mail": f"onboarding.provisioning.backends.{provider}"}
    assert [check.msg for check in run_checks() if "BACKENDS['mail']" in check.msg] == []
