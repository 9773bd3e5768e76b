"""What `check --deploy` refuses: a sign-in weaker than the one that was tested (`proconnect.md`, 8)."""

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

PROCONNECT_HOSTS = {
    "auth.agentconnect.gouv.fr",
    "auth.agentconnect.rie.gouv.fr",
    "fca.integ01.dev-agentconnect.fr",
    "fca.integ02.agentconnect.rie.gouv.fr",
}
BACKEND = "suite.accounts.oidc.ProConnectBackend"
ENDPOINTS = ("AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT", "USER_ENDPOINT", "JWKS_ENDPOINT", "LOGOUT_ENDPOINT")
# Present and true, each opens what the strict sign-in closes.
NEVER = (
    "OIDC_ALLOW_UNSECURED_JWT",
    "ALLOW_LOGOUT_GET_METHOD",
    "OIDC_TOKEN_USE_BASIC_AUTH",
    "OIDC_RP_IDP_SIGN_KEY",
    "OIDC_STORE_ACCESS_TOKEN",
)


@register(Tags.security, deploy=True)
def check_sign_in(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's
    """Compare the settings with the sign-in that is tested."""
    return [*_provider(), *_strictness(), *_session(), *_demonstration()]


def _provider() -> list[CheckMessage]:
    issuer = settings.OIDC_OP_ISSUER
    found: list[CheckMessage] = []
    if urlsplit(issuer).scheme != "https" or urlsplit(issuer).hostname not in PROCONNECT_HOSTS:
        hint = (
            f"Set OIDC_OP_ISSUER to https://<host>/api/v2, the host being one of {', '.join(sorted(PROCONNECT_HOSTS))}."
        )
        found.append(Error(f"OIDC_OP_ISSUER is not ProConnect: {issuer}.", hint=hint, id="accounts.E001"))
    found += [
        Error(f"OIDC_OP_{name} is not below OIDC_OP_ISSUER.", id="accounts.E002")
        for name in ENDPOINTS
        if not getattr(settings, f"OIDC_OP_{name}").startswith(f"{issuer}/")
    ]
    if "insecure" in settings.OIDC_RP_CLIENT_SECRET or not settings.OIDC_RP_CLIENT_SECRET:
        found.append(
            Error("OIDC_RP_CLIENT_SECRET is the demonstration's, or empty.", hint="Set it.", id="accounts.E003")
        )
    public = urlsplit(settings.PUBLIC_BASE_URL)
    if public.scheme != "https" or public.path or public.query:
        hint = "Set PUBLIC_BASE_URL to https://<host>, with no path: sign-in returns there."
        found.append(Error("PUBLIC_BASE_URL is not an https origin.", hint=hint, id="accounts.E004"))
    return found


def _strictness() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.OIDC_RP_SIGN_ALGO != "RS256":
        found.append(Error("OIDC_RP_SIGN_ALGO must be RS256.", id="accounts.E005"))
    if not settings.OIDC_USE_NONCE or min(settings.OIDC_STATE_SIZE, settings.OIDC_NONCE_SIZE) < 32:  # noqa: PLR2004 - ProConnect's
        found.append(Error("State and nonce must be used, with 32 characters or more.", id="accounts.E006"))
    if not settings.OIDC_USE_PKCE:
        found.append(Caution("PKCE is off: a temporary measure, to be recorded.", id="accounts.W007"))
    if not 1 <= settings.OIDC_TIMEOUT <= 10:  # noqa: PLR2004 - a worker's patience
        found.append(Error("OIDC_TIMEOUT must be between 1 and 10 seconds.", id="accounts.E008"))
    found += [Error(f"{name} must not be set.", id="accounts.E009") for name in NEVER if getattr(settings, name, None)]
    found += [
        Error(f"{name} must not be false.", id="accounts.E009")
        for name in ("OIDC_VERIFY_SSL", "OIDC_VERIFY_KID")
        if not getattr(settings, name, True)
    ]
    try:
        asked = json.loads(settings.OIDC_AUTH_REQUEST_EXTRA_PARAMS["claims"])["id_token"]
    except (KeyError, TypeError, ValueError):
        asked = {}
    if not {"acr", "amr"} <= set(asked):
        hint = 'A JSON string: \'{"id_token":{"acr":null,"amr":null}}\'.'
        found.append(Error("OIDC_AUTH_REQUEST_EXTRA_PARAMS must ask for acr and amr.", hint=hint, id="accounts.E010"))
    return found


def _session() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.AUTHENTICATION_BACKENDS != [BACKEND]:
        found.append(Error(f"AUTHENTICATION_BACKENDS must be {BACKEND} alone.", id="accounts.E011"))
    classes = (settings.OIDC_CALLBACK_CLASS, settings.OIDC_AUTHENTICATE_CLASS)
    if classes != ("suite.accounts.views.Callback", "suite.accounts.views.Authorize"):
        found.append(Error("The sign-in views are not the site's own.", id="accounts.E012"))
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.db":
        # One row, one lock: a return sent twice opens one session.
        found.append(Error("Sessions must be kept in the database.", id="accounts.E013"))
    if not settings.SESSION_COOKIE_SECURE or settings.SESSION_COOKIE_SAMESITE != "Lax":
        found.append(Error("The session's cookie must be Secure and SameSite=Lax.", id="accounts.E014"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Error("ALLOWED_HOSTS must name the hosts.", id="accounts.E015"))
    return found


def _demonstration() -> list[CheckMessage]:
    forbidden = {"allauth.idp", "allauth.idp.oidc", "allauth.socialaccount", "suite.demo", "suite.demo.proconnect"}
    return [
        Error(f"{name} must not be installed in the product.", id="accounts.E016")
        for name in sorted(forbidden & set(settings.INSTALLED_APPS))
    ]
