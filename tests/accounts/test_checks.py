from typing import Any

import pytest
from django.test.utils import override_settings

from suite.accounts.checks import check_sign_in

ISSUER = "https://auth.agentconnect.gouv.fr/api/v2"
REAL: dict[str, Any] = {
    "OIDC_OP_ISSUER": ISSUER,
    **{
        f"OIDC_OP_{name}_ENDPOINT": f"{ISSUER}/{name.lower()}"
        for name in ("AUTHORIZATION", "TOKEN", "USER", "JWKS", "LOGOUT")
    },
    "OIDC_RP_CLIENT_SECRET": "a-real-secret-of-some-length",
    "PUBLIC_BASE_URL": "https://suite.example",
    "SESSION_COOKIE_SECURE": True,
    "ALLOWED_HOSTS": ["suite.example"],
}


ELSEWHERE = ["accounts.E002"] * 5  # the five endpoints are no longer below the issuer


def found(**changes: Any) -> list[str]:
    with override_settings(**REAL | changes):
        return [str(message.id) for message in check_sign_in(None)]


def test_a_real_site_passes() -> None:
    assert found() == []


def test_the_demonstration_is_not_deployed() -> None:
    assert {str(message.id) for message in check_sign_in(None)} >= {
        "accounts.E001",
        "accounts.E003",
        "accounts.E004",
        "accounts.E014",
    }


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"OIDC_OP_ISSUER": "https://auth.agentconnect.gouv.fr.evil.example/api/v2"}, ["accounts.E001", *ELSEWHERE]),
        ({"OIDC_OP_TOKEN_ENDPOINT": "https://evil.example/token"}, ["accounts.E002"]),
        ({"OIDC_RP_CLIENT_SECRET": ""}, ["accounts.E003"]),
        ({"PUBLIC_BASE_URL": "https://suite.example/sous-chemin"}, ["accounts.E004"]),
        ({"OIDC_RP_SIGN_ALGO": "HS256"}, ["accounts.E005"]),
        ({"OIDC_USE_NONCE": False}, ["accounts.E006"]),
        ({"OIDC_STATE_SIZE": 16}, ["accounts.E006"]),
        ({"OIDC_USE_PKCE": False}, ["accounts.W007"]),
        ({"OIDC_TIMEOUT": 60}, ["accounts.E008"]),
        ({"OIDC_ALLOW_UNSECURED_JWT": True}, ["accounts.E009"]),
        ({"OIDC_TOKEN_USE_BASIC_AUTH": True}, ["accounts.E009"]),
        ({"OIDC_VERIFY_SSL": False}, ["accounts.E009"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"claims": {"id_token": {"acr": None}}}}, ["accounts.E010"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {}}, ["accounts.E010"]),
        ({"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"]}, ["accounts.E011"]),
        ({"OIDC_CALLBACK_CLASS": "mozilla_django_oidc.views.OIDCAuthenticationCallbackView"}, ["accounts.E012"]),
        ({"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}, ["accounts.E013"]),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ["accounts.E014"]),
        ({"ALLOWED_HOSTS": ["*"]}, ["accounts.E015"]),
    ],
    ids=str,
)
def test_a_weaker_sign_in_is_refused(changes: dict[str, Any], ids: list[str]) -> None:
    assert found(**changes) == ids


def test_the_provider_of_the_demonstration_is_not_installed(settings: Any) -> None:
    assert "allauth.idp.oidc" not in settings.INSTALLED_APPS
