"""ProConnect's public keys, remembered: two sign-ins need not ask twice, and a forged `kid` cannot make us ask at will.

The cache is the site's own, shared by every web process.
"""

import logging
from collections.abc import Callable
from typing import Any

import jwt
from django.core.cache import cache

from suite.accounts.refusals import SignInRefused
from suite.accounts.tokens import ALGORITHM

logger = logging.getLogger(__name__)

KEEP_SECONDS = 3600
REFRESH_SECONDS = 60

# Asks the provider; raises SignInRefused when it does not answer with a set of keys.
Fetch = Callable[[], dict[str, Any]]


def find(kid: str | None, *, address: str, fetch: Fetch) -> jwt.PyJWK:
    """Return the only key that may have signed a token of this `kid`; None means the token names none.

    An unknown `kid` is how a rotation shows: the keys are then asked for again, once a minute at most.
    """
    cached = cache.get(f"proconnect-keys:{address}")
    jwks = cached if cached is not None else _refresh(address, fetch)
    fitting = _fitting(jwks, kid)
    if not fitting and cached is not None and cache.add(f"proconnect-keys-refreshed:{address}", 1, REFRESH_SECONDS):
        logger.info("ProConnect's keys are asked for again: a token names one we do not know")
        fitting = _fitting(_refresh(address, fetch), kid)
    if len(fitting) != 1:
        raise SignInRefused("answer_invalid", "keys.none" if not fitting else "keys.several")
    try:
        return jwt.PyJWK(fitting[0], algorithm=ALGORITHM)
    except jwt.PyJWTError:
        raise SignInRefused("answer_invalid", "keys.malformed") from None


def _refresh(address: str, fetch: Fetch) -> dict[str, Any]:
    jwks = fetch()
    cache.set(f"proconnect-keys:{address}", jwks, KEEP_SECONDS)
    return jwks


def _fitting(jwks: dict[str, Any], kid: str | None) -> list[dict[str, Any]]:
    keys = jwks.get("keys")
    return [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict)
        and key.get("kty") == "RSA"
        and key.get("use", "sig") == "sig"
        and key.get("alg", ALGORITHM) == ALGORITHM
        and (kid is None or key.get("kid") == kid)
    ]
