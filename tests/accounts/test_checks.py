from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.contrib import admin
from django.test.utils import override_settings
from django.urls import path

from suite.accounts.checks import FORBIDDEN_PAGES, check_sign_in

ISSUER = "https://auth.agentconnect.gouv.fr/api/v2"
REAL: dict[str, Any] = {
    "OIDC_OP_ISSUER": ISSUER,
    **{
        f"OIDC_OP_{name}_ENDPOINT": f"{ISSUER}/{name.lower()}"
        for name in ("AUTHORIZATION", "TOKEN", "USER", "JWKS", "LOGOUT")
    },
    "OIDC_RP_CLIENT_ID": "0b1c",
    "OIDC_RP_CLIENT_SECRET": "7f0e9c" * 8,
    "MFA_ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    "PUBLIC_BASE_URL": "https://suite.example",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": 31_536_000,
    "ALLOWED_HOSTS": ["suite.example"],
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "suite_cache"}},
    "DEMONSTRATION_VARIABLES": [],
}
ELSEWHERE = ["accounts.E002"] * 5  # the five endpoints are no longer below the issuer
MIDDLEWARE = import_module("suite.settings").MIDDLEWARE
FACTOR = "suite.accounts.middleware.SecondFactor"
BACKENDS = ["suite.accounts.oidc.ProConnectBackend", "suite.accounts.breakglass.BreakGlassBackend"]


def found(**changes: Any) -> list[str]:
    with override_settings(**REAL | changes):
        return [str(message.id) for message in check_sign_in(None)]


def test_a_real_site_passes() -> None:
    assert found() == []


@override_settings(PUBLIC_BASE_URL="http://127.0.0.1:8000")  # the demonstration's, not the tests'
def test_the_demonstration_is_not_deployed() -> None:
    assert {str(message.id) for message in check_sign_in(None)} >= {
        "accounts.E001",
        "accounts.E003",
        "accounts.E004",
        "accounts.E014",
        "accounts.E017",
        "accounts.E027",
        "accounts.E029",
        "accounts.E032",
    }


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        # 1. Strictness
        ({"OIDC_RP_SIGN_ALGO": "HS256"}, ["accounts.E005"]),
        ({"OIDC_USE_NONCE": False}, ["accounts.E006"]),
        ({"OIDC_STATE_SIZE": 16}, ["accounts.E006"]),
        ({"OIDC_NONCE_SIZE": 16}, ["accounts.E006"]),
        ({"OIDC_USE_PKCE": False}, ["accounts.W007"]),
        ({"OIDC_TIMEOUT": 60}, ["accounts.E008"]),
        ({"OIDC_TIMEOUT": None}, ["accounts.E008"]),
        # 2. The provider
        ({"OIDC_OP_ISSUER": "https://auth.agentconnect.gouv.fr.evil.example/api/v2"}, ["accounts.E001", *ELSEWHERE]),
        ({"OIDC_OP_ISSUER": "https://auth.agentconnect.gouv.fr:8443/api/v2"}, ["accounts.E001", *ELSEWHERE]),
        ({"OIDC_OP_ISSUER": "http://auth.agentconnect.gouv.fr/api/v2"}, ["accounts.E001", *ELSEWHERE]),
        ({"OIDC_OP_TOKEN_ENDPOINT": "https://evil.example/token"}, ["accounts.E002"]),
        # 3. Where we are
        ({"PUBLIC_BASE_URL": "https://suite.example/sous-chemin"}, ["accounts.E004"]),
        ({"PUBLIC_BASE_URL": "http://suite.example"}, ["accounts.E004"]),
        ({"ALLOWED_HOSTS": ["*"]}, ["accounts.E015"]),
        ({"ALLOWED_HOSTS": [".suite.example"]}, ["accounts.E015"]),
        ({"ALLOWED_HOSTS": []}, ["accounts.E015"]),
        ({"ALLOWED_HOSTS": ["autre.example"]}, ["accounts.E019"]),
        # 4. Never, and what is asked
        ({"OIDC_ALLOW_UNSECURED_JWT": True}, ["accounts.E009"]),
        ({"ALLOW_LOGOUT_GET_METHOD": True}, ["accounts.E009"]),
        ({"OIDC_TOKEN_USE_BASIC_AUTH": True}, ["accounts.E009"]),
        ({"OIDC_RP_IDP_SIGN_KEY": "key"}, ["accounts.E009"]),
        ({"OIDC_STORE_ACCESS_TOKEN": True}, ["accounts.E009"]),
        ({"OIDC_VERIFY_SSL": False}, ["accounts.E009"]),
        ({"OIDC_VERIFY_KID": False}, ["accounts.E009"]),
        ({"MIDDLEWARE": [*MIDDLEWARE, "mozilla_django_oidc.middleware.SessionRefresh"]}, ["accounts.E018"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"claims": {"id_token": {"acr": None}}}}, ["accounts.E010"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"claims": '{"id_token":{"acr":null}}'}}, ["accounts.E010"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"claims": '{"id_token":7}'}}, ["accounts.E010"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"claims": "acr"}}, ["accounts.E010"]),
        ({"OIDC_AUTH_REQUEST_EXTRA_PARAMS": {}}, ["accounts.E010"]),
        # 5. Who answers
        ({"AUTHENTICATION_BACKENDS": BACKENDS[:1]}, ["accounts.E011"]),
        ({"AUTHENTICATION_BACKENDS": [*BACKENDS, "django.contrib.auth.backends.ModelBackend"]}, ["accounts.E011"]),
        ({"OIDC_CALLBACK_CLASS": "mozilla_django_oidc.views.OIDCAuthenticationCallbackView"}, ["accounts.E012"]),
        ({"OIDC_AUTHENTICATE_CLASS": "mozilla_django_oidc.views.OIDCAuthenticationRequestView"}, ["accounts.E012"]),
        # 6. The demonstration
        ({"DEMONSTRATION_VARIABLES": ["PROCONNECT_DEMO"]}, ["accounts.E031"]),
        (
            {"PUBLIC_BASE_URL": "https://192.0.2.7", "ALLOWED_HOSTS": ["192.0.2.7"]},
            ["accounts.E032"],
        ),
        # 7. Second factors and proxies
        ({"MIDDLEWARE": [one for one in MIDDLEWARE if one != FACTOR]}, ["accounts.E024"]),
        ({"MIDDLEWARE": [FACTOR, *(one for one in MIDDLEWARE if one != FACTOR)]}, ["accounts.E024"]),
        ({"ACCOUNT_ADAPTER": "allauth.account.adapter.DefaultAccountAdapter"}, ["accounts.E025"]),
        ({"MFA_ADAPTER": "allauth.mfa.adapter.DefaultMFAAdapter"}, ["accounts.E025"]),
        ({"MFA_SUPPORTED_TYPES": ["totp", "webauthn"]}, ["accounts.E025"]),
        ({"MFA_TRUST_ENABLED": True}, ["accounts.E009"]),
        ({"MFA_TOTP_INSECURE_BYPASS_CODE": "123456"}, ["accounts.E009"]),
        ({"ACCOUNT_LOGIN_BY_CODE_ENABLED": True}, ["accounts.E009"]),
        ({"BREAK_GLASS_SESSION_SECONDS": 7200}, ["accounts.E026"]),
        ({"MFA_ENCRYPTION_KEYS": []}, ["accounts.E027"]),
        ({"MFA_ENCRYPTION_KEYS": ["short"]}, ["accounts.E027"]),
        ({"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, ["accounts.E028"]),
        ({"TRUSTED_PROXIES": 1, "ALLAUTH_TRUSTED_PROXY_COUNT": 1}, ["accounts.E028"]),
        ({"ALLAUTH_TRUSTED_PROXY_COUNT": 2}, ["accounts.E028"]),
        # 8. Cookies and sessions
        ({"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}, ["accounts.E013"]),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ["accounts.E014"]),
        ({"SESSION_COOKIE_SECURE": False}, ["accounts.E014"]),
        ({"SESSION_COOKIE_HTTPONLY": False}, ["accounts.E014"]),
        ({"CSRF_COOKIE_SECURE": False}, ["accounts.E014"]),
        ({"SECURE_HSTS_SECONDS": 60}, ["accounts.E029"]),
        ({"SECURE_SSL_REDIRECT": False}, ["accounts.E029"]),
        ({"SESSION_ABSOLUTE_SECONDS": 86_400}, ["accounts.E030"]),
        # 9. Secrets, levels, data
        ({"OIDC_RP_CLIENT_SECRET": ""}, ["accounts.E003"]),
        ({"OIDC_RP_CLIENT_SECRET": "insecure-demonstration-client-secret"}, ["accounts.E003"]),
        ({"OIDC_RP_CLIENT_ID": "suite-territoriale"}, ["accounts.E017"]),
        ({"PROCONNECT_ACR_FLOOR": []}, ["accounts.E020", "accounts.E020"]),
        (
            {"PROCONNECT_ACR_FLOOR": ["eidas0", "eidas1", "eidas1-mfa", "eidas2", "eidas3"]},
            ["accounts.E020"],
        ),
        ({"PROCONNECT_ACR_STEP_UP": ["eidas1"]}, ["accounts.E020"]),
        ({"PROCONNECT_ACR_STEP_UP": ["eidas2", "eidas9"]}, ["accounts.E020", "accounts.E020"]),
        ({"STEP_UP_SECONDS": 3600}, ["accounts.E021"]),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, ["accounts.E033"]),
        (
            {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}},
            ["accounts.E034"],
        ),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_a_weaker_sign_in_is_refused(changes: dict[str, Any], ids: list[str]) -> None:
    assert found(**changes) == ids


@pytest.fixture
def addresses() -> ModuleType:
    """Make a site's addresses out of the real ones, free to be spoilt."""
    module = ModuleType("tests_spoilt_urls")
    real = import_module("suite.urls")
    module.urlpatterns = list(real.urlpatterns)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("name", ["account_signup", "account_reset_password", "socialaccount_connections", "mfa_index"])
def test_a_page_of_allauth_that_gives_a_password_is_refused(addresses: ModuleType, name: str) -> None:
    assert name in FORBIDDEN_PAGES
    addresses.urlpatterns.append(path("surprise/", lambda request: request, name=name))
    assert found(ROOT_URLCONF=addresses) == ["accounts.E022"]


def test_the_library_s_own_routes_are_refused(addresses: ModuleType) -> None:
    own = import_module("mozilla_django_oidc.views").OIDCLogoutView.as_view()
    addresses.urlpatterns.insert(0, path("deconnexion/", own, name="oidc_logout"))
    assert found(ROOT_URLCONF=addresses) == ["accounts.E012"]


def test_the_admin_s_own_sign_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(admin.site, "login")  # what suite/urls.py put there
    assert found() == ["accounts.E023"]


@pytest.mark.parametrize("name", ["allauth.socialaccount", "allauth.idp.oidc", "suite.demo.proconnect"])
def test_what_belongs_to_the_demonstration_is_refused(settings: Any, name: str) -> None:
    with override_settings(**REAL):
        # Written, not installed: loading these applications is what must not happen.
        django_settings.__dict__["INSTALLED_APPS"] = [*settings.INSTALLED_APPS, name]
        try:
            assert [message.id for message in check_sign_in(None)] == ["accounts.E016"]
        finally:
            del django_settings.__dict__["INSTALLED_APPS"]


def test_the_provider_of_the_demonstration_is_not_installed(settings: Any) -> None:
    assert "allauth.idp.oidc" not in settings.INSTALLED_APPS
