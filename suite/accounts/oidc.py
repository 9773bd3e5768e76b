"""Sign-in by ProConnect: the back-channel, and the order in which an answer is verified.

mozilla-django-oidc, made strict (`proconnect.md` 2.2). Its own `authenticate` acts on any request whose address holds
`code` and `state`, does not look at issuer or audience, and finds people by e-mail: none of that is left.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import requests
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from suite.accounts import keys, stepup, tokens, workflow
from suite.accounts.models import User
from suite.accounts.refusals import SignInRefused
from suite.directory.models import Operator

logger = logging.getLogger(__name__)

LARGEST = 200_000  # bytes of an answer; a set of keys has about two thousand


@dataclass
class Flow:
    """Set on the request by our callback, and only there: without it the backend does nothing."""

    nonce: str
    verifier: str | None
    purpose: str
    user: str = ""  # who must come back, when it is a step-up
    sub: str = ""  # idem, then who came back
    id_token: str = ""  # kept here until the sign-in has succeeded
    proved: tokens.Authentication | None = None


def pinned(name: str) -> str:
    """Return the public address of a view: from the settings, whatever Host the request bore."""
    return f"{settings.PUBLIC_BASE_URL}{reverse(name)}"


class ProConnectBackend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Signs a person in from the code ProConnect gave, or raises SignInRefused."""

    @sensitive_variables()
    def authenticate(self, request: HttpRequest | None, **kwargs: Any) -> User | None:  # noqa: ANN401 - Django's
        """Exchange the code of a callback that our view has flagged; answer None to any other request (O1)."""
        flow: Flow | None = getattr(request, "proconnect", None)
        if request is None or flow is None or kwargs.get("nonce") != flow.nonce or not flow.nonce:
            return None
        if settings.OIDC_USE_PKCE and not flow.verifier:
            return None
        payload = {
            "client_id": settings.OIDC_RP_CLIENT_ID,
            "client_secret": settings.OIDC_RP_CLIENT_SECRET,
            "grant_type": "authorization_code",
            "code": request.GET["code"],
            "redirect_uri": pinned("oidc_authentication_callback"),
        }
        if flow.verifier:
            payload["code_verifier"] = flow.verifier
        answer = self.get_token(payload)
        id_token, access_token = answer["id_token"], answer["access_token"]
        sub = ""
        try:
            authentication = self.verify_token(id_token, nonce=flow.nonce, access_token=access_token)
            sub = authentication.sub
            if flow.purpose == "step-up":
                stepup.verify(authentication, user=flow.user, sub=flow.sub)
            user = self.get_or_create_user(access_token, id_token, authentication)
        except SignInRefused as refused:
            # Once the provider's word is verified the refusal has a subject, and the journal holds it.
            if subject := sub or refused.sub:
                workflow.record_refusal(settings.OIDC_OP_ISSUER, subject, refused.reason)
            raise
        flow.id_token, flow.sub, flow.proved = id_token, sub, authentication
        return user

    @sensitive_variables()
    def get_token(self, payload: Mapping[str, str]) -> dict[str, str]:
        """Exchange the code for tokens (O8); returns `id_token` and `access_token`."""
        status, _, body = _call("POST", settings.OIDC_OP_TOKEN_ENDPOINT, "token", data=payload)
        answer = _json(body)
        if status == 400 and answer.get("error") == "invalid_grant":  # noqa: PLR2004 - RFC 6749, 5.2
            raise SignInRefused("used_code", "token.invalid_grant")
        if status != 200:  # noqa: PLR2004
            raise SignInRefused("provider_error", f"token.status_{status}")
        if not answer:
            raise SignInRefused("answer_invalid", "token.not_json")
        found = {name: answer.get(name) for name in ("id_token", "access_token")}
        for name, token in found.items():
            if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= tokens.LONGEST:
                raise SignInRefused("answer_invalid", f"{name}.absent")
        return {name: str(token) for name, token in found.items()}

    @sensitive_variables()
    def verify_token(self, token: str, **kwargs: str) -> tokens.Authentication:
        """Verify the ID token (O2)."""
        return tokens.verify_id_token(
            token,
            self.retrieve_matching_jwk,
            _expected(),
            nonce=kwargs["nonce"],
            access_token=kwargs["access_token"],
            now=time.time(),
        )

    @sensitive_variables()
    def get_userinfo(self, access_token: str, id_token: str, payload: tokens.Authentication) -> Mapping[str, Any]:  # noqa: ARG002 - the library's signature
        """Fetch and verify the claims about the ID token's person (O3): signed, or refused."""
        status, content_type, body = _call(
            "GET", settings.OIDC_OP_USER_ENDPOINT, "userinfo", headers={"Authorization": f"Bearer {access_token}"}
        )
        if status != 200:  # noqa: PLR2004
            raise SignInRefused("provider_error", f"userinfo.status_{status}")
        if content_type.partition(";")[0].strip().lower() != "application/jwt":
            raise SignInRefused("answer_invalid", "userinfo.content_type")
        return tokens.verify_userinfo(
            body.decode("ascii", "replace").strip(),
            self.retrieve_matching_jwk,
            _expected(),
            sub=payload.sub,
            now=time.time(),
        )

    @sensitive_variables()
    def verify_claims(self, claims: Mapping[str, Any]) -> tokens.Person:
        """Read the person in the claims, if the site is open to it (O4)."""
        return tokens.verify_person(claims, settings.OIDC_OP_ISSUER, operator_sirets=_operator_sirets())

    @sensitive_variables()
    def get_or_create_user(self, access_token: str, id_token: str, payload: tokens.Authentication) -> User:
        """Return the account of (issuer, sub), made if it is new (O5)."""
        person = self.verify_claims(self.get_userinfo(access_token, id_token, payload))
        return workflow.sign_in(person, payload)

    def get_user(self, user_id: UUID) -> User | None:
        """Return the session's account while it is open: closing it ends its sessions at once."""
        return User.objects.filter(pk=user_id, is_active=True).first()

    def retrieve_matching_jwk(self, kid: str | None) -> jwt.PyJWK:
        """Find the key of a `kid` (O9)."""
        return keys.find(kid, address=settings.OIDC_OP_JWKS_ENDPOINT, fetch=_fetch_keys)


def _expected() -> tokens.Expected:
    return tokens.Expected(settings.OIDC_OP_ISSUER, settings.OIDC_RP_CLIENT_ID, settings.PROCONNECT_ACR_FLOOR)


def _operator_sirets() -> set[str]:
    """Return the SIRET of the registered operators, as the public file writes them, less their spaces."""
    found = Operator.objects.exclude(siret="").values_list("siret", flat=True)
    return {"".join(siret.split()) for siret in found}


def _fetch_keys() -> dict[str, Any]:
    status, _, body = _call("GET", settings.OIDC_OP_JWKS_ENDPOINT, "keys")
    jwks = _json(body)
    if status != 200 or not isinstance(jwks.get("keys"), list):  # noqa: PLR2004
        raise SignInRefused("provider_error", f"keys.status_{status}")
    return jwks


def _json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, empty when it is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@sensitive_variables()
def _call(method: str, url: str, name: str, **kwargs: Any) -> tuple[int, str, bytes]:  # noqa: ANN401 - passed on
    """Ask the provider and return (status, content type, body).

    A redirection is never followed: it would carry the secret elsewhere. The environment's .netrc and proxies are left
    out; the whole exchange is bounded in time and size.
    """
    deadline = time.monotonic() + 2 * settings.OIDC_TIMEOUT
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.request(
                method, url, allow_redirects=False, timeout=settings.OIDC_TIMEOUT, stream=True, **kwargs
            ) as response:
                body = b""
                for chunk in response.iter_content(8192):
                    body += chunk
                    if len(body) > LARGEST:
                        raise SignInRefused("provider_error", f"{name}.too_large")
                    if time.monotonic() > deadline:
                        raise SignInRefused("provider_unreachable", f"{name}.too_slow")
    except requests.RequestException as error:
        raise SignInRefused("provider_unreachable", f"{name}.{type(error).__name__}") from None
    if response.is_redirect or 300 <= response.status_code < 400:  # noqa: PLR2004
        raise SignInRefused("provider_error", f"{name}.redirected")
    return response.status_code, response.headers.get("Content-Type", ""), body
