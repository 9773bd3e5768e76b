"""What `manage.py doctor` asks ProConnect, and the Internet: facts only; `diagnosis` judges them."""

import json
import socket
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from suite.accounts.diagnosis import Facts, Ours
from suite.accounts.oidc import pinned

LARGEST = 500_000  # bytes of an answer


def ours() -> Ours:
    """Return what our settings say, under the provider's words."""
    return Ours(
        issuer=settings.OIDC_OP_ISSUER,
        endpoints={
            "authorization_endpoint": settings.OIDC_OP_AUTHORIZATION_ENDPOINT,
            "token_endpoint": settings.OIDC_OP_TOKEN_ENDPOINT,
            "userinfo_endpoint": settings.OIDC_OP_USER_ENDPOINT,
            "jwks_uri": settings.OIDC_OP_JWKS_ENDPOINT,
            "end_session_endpoint": settings.OIDC_OP_LOGOUT_ENDPOINT,
        },
        scopes=settings.OIDC_RP_SCOPES.split(),
        levels=sorted({*settings.PROCONNECT_ACR_FLOOR, *settings.PROCONNECT_ACR_STEP_UP}),
        pkce=settings.OIDC_USE_PKCE,
        requires_iss=settings.OIDC_REQUIRE_CALLBACK_ISS,
        redirect_uri=pinned("oidc_authentication_callback"),
        post_logout_uri=pinned("accounts:logged_out"),
    )


def gather(*, probe: bool = False) -> Facts:
    """Fetch what the provider announces; with `probe`, also present our credentials with a code of nothing."""
    discovery, discovery_problem, clock = _object(f"{settings.OIDC_OP_ISSUER}/.well-known/openid-configuration")
    jwks, keys_problem, _ = _object(settings.OIDC_OP_JWKS_ENDPOINT)
    keys = jwks.get("keys") if jwks is not None else None
    if jwks is not None and not isinstance(keys, list):
        keys, keys_problem = None, "it is no set of keys"
    ends, certificate_problem = _certificate(settings.OIDC_OP_ISSUER)
    return Facts(
        discovery=discovery,
        discovery_problem=discovery_problem,
        keys=keys,
        keys_problem=keys_problem,
        clock_difference=clock,
        certificate_ends=ends,
        certificate_problem=certificate_problem,
        probe=_probe() if probe else "",
    )


def _object(url: str) -> tuple[dict[str, Any] | None, str, float | None]:
    """Return the JSON object at an address, or why there is none; and by how much our clock is ahead, in seconds."""
    before = time.time()
    try:
        status, headers, body = _ask("GET", url)
    except requests.RequestException as error:
        return None, f"{url} cannot be reached ({type(error).__name__})", None
    clock = _difference(headers.get("Date", ""), (before + time.time()) / 2)
    if status != 200:  # noqa: PLR2004
        return None, f"{url} answers {status}", clock
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None, f"{url} is not JSON", clock
    return (value, "", clock) if isinstance(value, dict) else (None, f"{url} is no JSON object", clock)


def _difference(date: str, ours: float) -> float | None:
    """Compare a Date header, which counts in whole seconds, with our clock."""
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (TypeError, ValueError):
        return None
    return ours - theirs


def _certificate(url: str) -> tuple[datetime | None, str]:
    """Return when the certificate of an https address ends, or why it is refused; neither for http."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None, ""
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=settings.OIDC_TIMEOUT) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return None, error.verify_message
    except OSError as error:
        return None, f"the connection fails ({type(error).__name__})"
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC), ""


@sensitive_variables()
def _probe() -> str:
    """Return the error that the token endpoint gives to a code of nothing."""
    data = {
        "grant_type": "authorization_code",
        "code": "doctor-nothing",
        "redirect_uri": pinned("oidc_authentication_callback"),
        "client_id": settings.OIDC_RP_CLIENT_ID,
        "client_secret": settings.OIDC_RP_CLIENT_SECRET,
        "code_verifier": "d" * 43,
    }
    try:
        status, _, body = _ask("POST", settings.OIDC_OP_TOKEN_ENDPOINT, data)
        answer = json.loads(body)
        return str(answer["error"])
    except requests.RequestException as error:
        return type(error).__name__
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"status {status}"


@sensitive_variables()
def _ask(method: str, url: str, data: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
    """Ask once, follow nothing: a redirection would be a fact of its own."""
    with requests.Session() as session:
        session.trust_env = False
        with session.request(
            method, url, data=data, timeout=settings.OIDC_TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            body = b""
            for chunk in response.iter_content(8192):
                body += chunk
                if len(body) > LARGEST:
                    break
            return response.status_code, response.headers, body
