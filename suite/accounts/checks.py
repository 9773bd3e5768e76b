"""What `check --deploy` refuses: a sign-in weaker than the one that was tested (`proconnect.md`, 8)."""

import inspect
import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.contrib import admin
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.urls import NoReverseMatch, resolve, reverse

PROCONNECT_HOSTS = {
    "auth.agentconnect.gouv.fr",
    "auth.agentconnect.rie.gouv.fr",
    "fca.integ01.dev-agentconnect.fr",
    "fca.integ02.agentconnect.rie.gouv.fr",
}
BACKENDS = ["suite.accounts.oidc.ProConnectBackend", "suite.accounts.breakglass.BreakGlassBackend"]
ENDPOINTS = ("AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT", "USER_ENDPOINT", "JWKS_ENDPOINT", "LOGOUT_ENDPOINT")
# ProConnect's levels; `eidas0` and `eidas0-mfa` are below our floor.
LEVELS = {"eidas0", "eidas0-mfa", "eidas1", "eidas1-mfa", "eidas2", "eidas3"}
WEAK_LEVELS = {"eidas0", "eidas0-mfa"}
# Present and true, each opens what the strict sign-in closes.
NEVER = (
    "OIDC_ALLOW_UNSECURED_JWT",
    "ALLOW_LOGOUT_GET_METHOD",
    "OIDC_TOKEN_USE_BASIC_AUTH",
    "OIDC_RP_IDP_SIGN_KEY",
    "OIDC_STORE_ACCESS_TOKEN",
)
# Idem, of django-allauth.
NEVER_ALLAUTH = (
    "ACCOUNT_LOGIN_BY_CODE_ENABLED",
    "ACCOUNT_LOGOUT_ON_GET",
    "MFA_PASSKEY_LOGIN_ENABLED",
    "MFA_PASSKEY_SIGNUP_ENABLED",
    "MFA_TRUST_ENABLED",
    "MFA_TOTP_INSECURE_BYPASS_CODE",
    "SOCIALACCOUNT_ONLY",
)
# Pages of allauth by which somebody of ProConnect could give himself a password, or a stranger an account.
FORBIDDEN_PAGES = (
    "account_signup",
    "account_signup_by_passkey",
    "account_email",
    "account_email_verification_sent",
    "account_confirm_email",
    "account_change_password",
    "account_set_password",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_request_login_code",
    "account_confirm_login_code",
    "account_change_phone",
    "account_verify_phone",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_trust",
    "mfa_login_webauthn",
    "socialaccount_login",
    "socialaccount_signup",
    "socialaccount_connections",
    "openid_connect_login",
)
FORBIDDEN_APPS = {"allauth.idp", "allauth.idp.oidc", "allauth.socialaccount", "suite.demo", "suite.demo.proconnect"}
FORBIDDEN_MIDDLEWARE = "mozilla_django_oidc.middleware.SessionRefresh"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
FACTOR = "suite.accounts.middleware.SecondFactor"
ABSOLUTE = "suite.accounts.middleware.AbsoluteSession"
SAMPLES = ("insecure", "demonstration", "changeme", "change-me", "example", "secret", "password")
CLASSES = {
    "oidc_authentication_init": "suite.accounts.views.Authorize",
    "oidc_authentication_callback": "suite.accounts.views.Callback",
    "oidc_logout": "suite.accounts.views.logout",
    "accounts:logged_out": "suite.accounts.views.logged_out",
}


@register(Tags.security, deploy=True)
def check_sign_in(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's
    """Compare the settings with the sign-in that is tested."""
    parts = (_provider, _strictness, _site, _levels, _views, _break_glass, _proxies, _cookies, _demonstration, _data)
    return [message for part in parts for message in part()]


def _provider() -> Iterator[CheckMessage]:
    issuer = settings.OIDC_OP_ISSUER
    if urlsplit(issuer).scheme != "https" or urlsplit(issuer).netloc not in PROCONNECT_HOSTS:
        hint = (
            f"Set OIDC_OP_ISSUER to https://<host>/api/v2, the host being one of {', '.join(sorted(PROCONNECT_HOSTS))}."
        )
        yield Error(f"OIDC_OP_ISSUER is not ProConnect: {issuer}.", hint=hint, id="accounts.E001")
    for name in ENDPOINTS:
        if not getattr(settings, f"OIDC_OP_{name}").startswith(f"{issuer}/"):
            yield Error(f"OIDC_OP_{name} is not below OIDC_OP_ISSUER.", id="accounts.E002")
    secret = settings.OIDC_RP_CLIENT_SECRET
    if len(secret) < 16 or any(sample in secret.lower() for sample in SAMPLES):  # noqa: PLR2004 - ProConnect's have 64
        hint = "Set it to the secret that ProConnect gave with the client id."
        yield Error("OIDC_RP_CLIENT_SECRET is absent, short, or a sample.", hint=hint, id="accounts.E003")
    if not settings.OIDC_RP_CLIENT_ID or settings.OIDC_RP_CLIENT_ID == "suite-territoriale":
        hint = "Set it to the client id that ProConnect gave: one per environment."
        yield Error("OIDC_RP_CLIENT_ID is absent, or the demonstration's.", hint=hint, id="accounts.E017")


def _strictness() -> Iterator[CheckMessage]:
    if settings.OIDC_RP_SIGN_ALGO != "RS256":
        yield Error("OIDC_RP_SIGN_ALGO must be RS256.", id="accounts.E005")
    if not settings.OIDC_USE_NONCE or min(settings.OIDC_STATE_SIZE, settings.OIDC_NONCE_SIZE) < 32:  # noqa: PLR2004 - ProConnect's
        yield Error("State and nonce must be used, with 32 characters or more.", id="accounts.E006")
    if not settings.OIDC_USE_PKCE:
        yield Caution("PKCE is off: a temporary measure, to be recorded.", id="accounts.W007")
    if not settings.OIDC_TIMEOUT or not 1 <= settings.OIDC_TIMEOUT <= 10:  # noqa: PLR2004 - a worker's patience
        yield Error("OIDC_TIMEOUT must be between 1 and 10 seconds.", id="accounts.E008")
    yield from _unset((*NEVER, *NEVER_ALLAUTH))
    for name in ("OIDC_VERIFY_SSL", "OIDC_VERIFY_KID"):
        if not getattr(settings, name, True):
            yield Error(f"{name} must not be false.", id="accounts.E009")
    if FORBIDDEN_MIDDLEWARE in settings.MIDDLEWARE:
        hint = "It once turned one person into another; the session's own end replaces it."
        yield Error("SessionRefresh must not be used.", hint=hint, id="accounts.E018")
    try:
        extra = settings.OIDC_AUTH_REQUEST_EXTRA_PARAMS["claims"]
        asked = json.loads(extra)["id_token"] if isinstance(extra, str) else {}
    except (KeyError, TypeError, ValueError):
        asked = {}
    if not isinstance(asked, dict) or not {"acr", "amr"} <= set(asked):
        hint = 'A JSON string: \'{"id_token":{"acr":null,"amr":null}}\'.'
        yield Error("OIDC_AUTH_REQUEST_EXTRA_PARAMS must ask for acr and amr.", hint=hint, id="accounts.E010")


def _unset(names: Iterable[str]) -> Iterator[CheckMessage]:
    for name in names:
        if getattr(settings, name, None):
            yield Error(f"{name} must not be set.", id="accounts.E009")


def _site() -> Iterator[CheckMessage]:
    public = urlsplit(settings.PUBLIC_BASE_URL)
    if public.scheme != "https" or not public.hostname or public.path or public.query or public.fragment:
        hint = "Set PUBLIC_BASE_URL to https://<host>, with no path: sign-in returns there."
        yield Error("PUBLIC_BASE_URL is not an https origin.", hint=hint, id="accounts.E004")
    if not settings.ALLOWED_HOSTS or any(host.startswith((".", "*")) for host in settings.ALLOWED_HOSTS):
        yield Error("ALLOWED_HOSTS must name the hosts, one by one.", id="accounts.E015")
    elif public.hostname and public.hostname not in settings.ALLOWED_HOSTS:
        hint = "Sign-in would come back to a host that answers 400."
        yield Error("The host of PUBLIC_BASE_URL is not in ALLOWED_HOSTS.", hint=hint, id="accounts.E019")


def _levels() -> Iterator[CheckMessage]:
    for name in ("PROCONNECT_ACR_FLOOR", "PROCONNECT_ACR_STEP_UP"):
        levels = set(getattr(settings, name))
        if not levels or not levels <= LEVELS - WEAK_LEVELS:
            hint = f"Take them among {', '.join(sorted(LEVELS - WEAK_LEVELS))}."
            yield Error(f"{name} must list known levels of ProConnect, above eidas0.", hint=hint, id="accounts.E020")
    if "eidas1" in settings.PROCONNECT_ACR_STEP_UP:
        yield Error("PROCONNECT_ACR_STEP_UP holds eidas1, which has one factor.", id="accounts.E020")
    if not set(settings.PROCONNECT_ACR_STEP_UP) <= set(settings.PROCONNECT_ACR_FLOOR):
        yield Error("A level of PROCONNECT_ACR_STEP_UP is not in PROCONNECT_ACR_FLOOR.", id="accounts.E020")
    if not 1 <= settings.STEP_UP_SECONDS <= 600:  # noqa: PLR2004 - `proconnect.md`, 7
        yield Error("STEP_UP_SECONDS must be ten minutes at most.", id="accounts.E021")


def _views() -> Iterator[CheckMessage]:
    if settings.AUTHENTICATION_BACKENDS != BACKENDS:
        yield Error(f"AUTHENTICATION_BACKENDS must be {' and '.join(BACKENDS)}, nothing else.", id="accounts.E011")
    classes = (settings.OIDC_CALLBACK_CLASS, settings.OIDC_AUTHENTICATE_CLASS)
    if classes != ("suite.accounts.views.Callback", "suite.accounts.views.Authorize") or not _ours_answer():
        yield Error("The sign-in views are not the site's own.", id="accounts.E012")
    for name in FORBIDDEN_PAGES:
        if _exists(name):
            yield Error(f"The page {name} of django-allauth must not exist.", id="accounts.E022")
    if inspect.ismethod(admin.site.login):
        hint = "admin.site.login = secure_admin_login(admin.site.login), in suite/urls.py."
        yield Error("The admin's own sign-in is open.", hint=hint, id="accounts.E023")


def _ours_answer() -> bool:
    for name, wanted in CLASSES.items():
        try:
            view = resolve(reverse(name)).func
        except NoReverseMatch:
            return False
        found = getattr(view, "view_class", view)
        if f"{found.__module__}.{found.__qualname__}" != wanted:
            return False
    return True


def _exists(name: str) -> bool:
    """Whether an address has this name, whatever it holds."""
    for arguments in ({}, {"key": "k"}, {"uidb36": "a", "key": "k"}, {"provider_id": "p"}):
        try:
            reverse(name, kwargs=arguments)
        except NoReverseMatch:
            continue
        return True
    return False


def _break_glass() -> Iterator[CheckMessage]:
    order = [one for one in settings.MIDDLEWARE if one in {AUTHENTICATION, ABSOLUTE, FACTOR}]
    if order != [AUTHENTICATION, ABSOLUTE, FACTOR]:
        hint = f"{AUTHENTICATION}, then {ABSOLUTE}, then {FACTOR}."
        yield Error("The middleware of sessions and factors is absent, or out of order.", hint=hint, id="accounts.E024")
    adapters = (settings.ACCOUNT_ADAPTER, settings.MFA_ADAPTER)
    if adapters != ("suite.accounts.breakglass.Adapter", "suite.accounts.breakglass.FactorAdapter"):
        yield Error("The adapters of django-allauth are not the site's own.", id="accounts.E025")
    if settings.MFA_SUPPORTED_TYPES != ["totp", "recovery_codes"]:
        yield Error("MFA_SUPPORTED_TYPES must be totp and recovery_codes.", id="accounts.E025")
    if not 1 <= settings.BREAK_GLASS_SESSION_SECONDS <= 3600:  # noqa: PLR2004 - `proconnect.md`, 3.8
        yield Error("BREAK_GLASS_SESSION_SECONDS must be an hour at most.", id="accounts.E026")
    if not _good_keys(settings.MFA_ENCRYPTION_KEYS):
        hint = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        yield Error("MFA_ENCRYPTION_KEYS is absent, malformed, or the checkout's.", hint=hint, id="accounts.E027")


def _good_keys(keys: Sequence[str]) -> bool:
    try:
        for key in keys:
            Fernet(key)
    except (ValueError, TypeError):
        return False
    return bool(keys) and "aW5zZWN1cmUtY2hlY2tvdXQtb25seS1rZXktMDEyMzQ=" not in keys


def _proxies() -> Iterator[CheckMessage]:
    behind = bool(getattr(settings, "SECURE_PROXY_SSL_HEADER", None))
    if behind != bool(settings.TRUSTED_PROXIES):
        hint = "Set BEHIND_PROXY=1 and TRUSTED_PROXIES to the number of your proxies, or neither."
        yield Error("BEHIND_PROXY and TRUSTED_PROXIES do not agree.", hint=hint, id="accounts.E028")
    if settings.ALLAUTH_TRUSTED_PROXY_COUNT != settings.TRUSTED_PROXIES:
        yield Error("ALLAUTH_TRUSTED_PROXY_COUNT must be TRUSTED_PROXIES.", id="accounts.E028")


def _cookies() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.db":
        # One row, one lock: a return sent twice opens one session.
        yield Error("Sessions must be kept in the database.", id="accounts.E013")
    session = (settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE)
    if session != (True, True, "Lax") or not settings.CSRF_COOKIE_SECURE:
        yield Error(
            "The session's cookie must be Secure, HttpOnly and SameSite=Lax; the CSRF's, Secure.", id="accounts.E014"
        )
    if settings.SECURE_HSTS_SECONDS < 2_592_000 or not settings.SECURE_SSL_REDIRECT:  # noqa: PLR2004 - thirty days
        yield Error("HSTS must be set, for thirty days or more, and http redirected.", id="accounts.E029")
    if not 1 <= settings.SESSION_ABSOLUTE_SECONDS <= 12 * 3600:
        yield Error("SESSION_ABSOLUTE_SECONDS must be twelve hours at most.", id="accounts.E030")


def _demonstration() -> Iterator[CheckMessage]:
    for name in sorted(FORBIDDEN_APPS & set(settings.INSTALLED_APPS)):
        yield Error(f"{name} must not be installed in the product.", id="accounts.E016")
    for name in settings.DEMONSTRATION_VARIABLES:
        yield Error(f"{name} is the demonstration's and must not be set.", id="accounts.E031")
    host = urlsplit(settings.PUBLIC_BASE_URL).hostname or ""
    if host == "localhost" or _is_address(host):
        yield Error("PUBLIC_BASE_URL names a machine, not a site: production refuses it.", id="accounts.E032")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _data() -> Iterator[CheckMessage]:
    """The site speaks PostgreSQL; were it SQLite, a first sign-in made twice at once would lock."""
    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"] and database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        yield Error("SQLite must open its transactions in the immediate mode.", id="accounts.E033")
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.rpartition(".")[2] in {"LocMemCache", "DummyCache", "FileBasedCache"}:
        yield Error("The cache must be shared by every web process.", id="accounts.E034")
