"""A provider's pen: keys, and tokens right or wrong on purpose."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from suite.accounts.tokens import Expected

ISSUER = "https://auth.example/api/v2"
CLIENT = "suite"
NONCE = "n" * 64
ACCESS_TOKEN = "access-token"
NOW = 1_800_000_000
SIRET = "21560196400012"
EXPECTED = Expected(ISSUER, CLIENT, ("eidas1", "eidas1-mfa", "eidas2", "eidas3"))

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def at_hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).decode().rstrip("=")


def jwk(key: rsa.RSAPrivateKey = KEY, **members: Any) -> dict[str, Any]:
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in {**public, "kid": "one", "use": "sig", **members}.items() if value}


def find_key(kid: str | None) -> jwt.PyJWK:
    return jwt.PyJWK(jwk(), algorithm="RS256")


def id_claims(**changes: Any) -> dict[str, Any]:
    """The claims of an ID token; a change to None leaves the claim out."""
    claims = {
        "iss": ISSUER,
        "sub": "somebody",
        "aud": CLIENT,
        "exp": NOW + 60,
        "iat": NOW,
        "nonce": NONCE,
        "acr": "eidas1",
        "amr": ["pwd"],
        "at_hash": at_hash(ACCESS_TOKEN),
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def user_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a userinfo; a change to None leaves the claim out."""
    claims = {
        "iss": ISSUER,
        "sub": "somebody",
        "aud": CLIENT,
        "iat": NOW,
        "exp": NOW + 60,
        "email": "camille@commune.example",
        "given_name": "Camille",
        "usual_name": "L’Hostis",
        "siret": SIRET,
        "roles": ["agent_public", "agent_public_territorial"],
        "idp_id": "home",
        "uid": "42",
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def sign(claims: dict[str, Any], key: Any = KEY, alg: str = "RS256", kid: str | None = "one") -> str:
    return jwt.encode(claims, key, algorithm=alg, headers={"kid": kid} if kid else None)


def forge(claims: dict[str, Any], secret: bytes) -> str:
    """Sign with HS256 by hand: PyJWT itself refuses to take a public key for a secret."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "one"}, claims]
    body = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    mark = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"
