"""What makes allauth's provider speak as ProConnect does (`proconnect.md`, 1 and 4)."""

import base64
import hashlib
import time
from collections.abc import Iterable
from typing import Any

import jwt
from allauth.core import context
from allauth.core.internal import jwkkit
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.db.models import Manager

from suite.demo.proconnect import settings

USERINFO_SECONDS = 3600


def accounts() -> Manager[Any]:
    """Return the accounts of this provider's own database: Django's plain ones, not the product's."""
    return get_user_model()._default_manager  # noqa: SLF001 - its documented name


def by_sub(sub: str) -> dict[str, Any]:
    """Return the filter that finds an account: its name is its sub."""
    return {get_user_model().USERNAME_FIELD: sub}


def remember(nonce: str, asked: dict[str, Any], person: dict[str, Any]) -> None:
    """Keep what was asked and who answered until the token call, which has no browser session."""
    cache.set(f"nonce:{nonce}", {"asked": asked, "person": person}, 120)


class Adapter(DefaultOIDCAdapter):  # type: ignore[misc]  # allauth has no types
    """Gives ProConnect's issuer, claims and signed userinfo."""

    def get_issuer(self) -> str:
        return str(settings.ISSUER)

    def get_user_sub(self, client: Any, user: AbstractBaseUser) -> str:  # noqa: ANN401, ARG002 - allauth's signature
        return user.get_username()

    def get_user_by_sub(self, client: Any, sub: str) -> AbstractBaseUser | None:  # noqa: ANN401, ARG002 - idem
        user: AbstractBaseUser | None = accounts().filter(**by_sub(sub)).first()
        return user

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        data.update(
            authorization_endpoint=f"{settings.ISSUER}/authorize",
            token_endpoint=f"{settings.ISSUER}/token",
            userinfo_endpoint=f"{settings.ISSUER}/userinfo",
            jwks_uri=f"{settings.ISSUER}/jwks",
            end_session_endpoint=f"{settings.ISSUER}/session/end",
            revocation_endpoint=f"{settings.ISSUER}/token/revocation",
            scopes_supported=settings.SCOPES,
            acr_values_supported=settings.ACR_VALUES,
            claims_parameter_supported=True,
            userinfo_signing_alg_values_supported=["RS256"],
            authorization_response_iss_parameter_supported=True,
            grant_types_supported=["authorization_code"],
            response_types_supported=["code"],
        )
        data.pop("device_authorization_endpoint", None)

    def get_claims(
        self,
        purpose: str,
        user: AbstractBaseUser,
        client: Any,  # noqa: ANN401
        scopes: Iterable[str],
        email: str | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> dict[str, Any] | str:
        """Give the sub alone in the ID token, everything in a signed userinfo: a string makes it `application/jwt`."""
        sub = self.get_user_sub(client, user)
        if purpose == "id_token":
            return {"sub": sub}
        token = context.request.headers.get("Authorization", "").partition(" ")[2]
        person = cache.get(f"access:{_half_hash(token)}") or {}
        now = int(time.time())
        claims = {name: value for name, value in person.items() if name in set(scopes) - {"openid"}}
        claims |= {"sub": sub, "iss": self.get_issuer(), "aud": client.id, "iat": now, "exp": now + 60}
        jwk, key = jwkkit.load_jwk_from_pem(self.get_signing_key().pem)
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": jwk["kid"]})

    def populate_id_token(
        self,
        id_token: dict[str, Any],
        client: Any,  # noqa: ANN401, ARG002
        scopes: Iterable[str],  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Add acr and amr if they were asked for, and hand the person on to the userinfo of this access token."""
        kept = cache.get(f"nonce:{id_token.get('nonce')}")
        if kept is None:
            return
        id_token["auth_time"] = int(time.time())
        for name in ("acr", "amr"):
            if name in kept["asked"]:
                id_token[name] = kept["person"][name]
        cache.set(f"access:{id_token['at_hash']}", kept["person"], USERINFO_SECONDS)


def _half_hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).decode().rstrip("=")
