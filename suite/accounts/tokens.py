"""What ProConnect says, verified: pure functions from strings to claims, or to a refusal with its reason.

`proconnect.md` 2.2, O2 to O4. Nothing here reads a setting, a clock or the network.
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.crypto import constant_time_compare

from suite.accounts import siret as sirets
from suite.accounts.refusals import SignInRefused

ALGORITHM = "RS256"
LEEWAY = 30  # seconds two clocks may differ by
OLDEST = 600  # seconds after which an ID token answers another question than ours
LONGEST = 20_000  # characters of a token; ProConnect's have about a thousand

# From the token's `kid`, None when it bears none, to the only key that fits.
KeyFinder = Callable[[str | None], jwt.PyJWK]


@dataclass(frozen=True)
class Expected:
    """What a token must agree with. `acr_floor` lists the accepted levels."""

    issuer: str
    client_id: str
    acr_floor: Collection[str]


@dataclass(frozen=True)
class Authentication:
    """What the ID token proves."""

    sub: str
    acr: str
    amr: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Somebody ProConnect vouches for. The strings are as the provider declares them, cut to what we store."""

    issuer: str
    sub: str
    siret: str
    email: str
    given_name: str
    usual_name: str
    roles: tuple[str, ...]
    idp_id: str = ""
    uid: str = ""
    organization_label: str = ""

    @property
    def siren(self) -> str:
        """The legal person behind the establishment."""
        return self.siret[:9]


def verify_id_token(  # noqa: PLR0913 - what is compared
    token: object, find_key: KeyFinder, expected: Expected, *, nonce: str, access_token: str, now: float
) -> Authentication:
    """Return what the ID token proves; `now` is in seconds since 1970. Raises SignInRefused."""
    claims = _verified(token, find_key, expected, "id_token")
    if "azp" in claims and claims["azp"] != expected.client_id:
        raise _invalid("id_token.azp")
    _check_times(claims, "id_token", now, required=True)
    if claims["iat"] < now - OLDEST - LEEWAY:
        raise _invalid("id_token.iat_too_old")
    sub = _sub(claims, "id_token")
    said = claims.get("nonce")
    if not isinstance(said, str) or not nonce or not constant_time_compare(said, nonce):
        raise _invalid("id_token.nonce")
    if "at_hash" in claims and claims["at_hash"] != _half_hash(access_token):
        raise _invalid("id_token.at_hash")
    acr, amr = claims.get("acr"), claims.get("amr", [])
    if not isinstance(amr, list) or not all(isinstance(method, str) for method in amr):
        raise _invalid("id_token.amr")
    if not isinstance(acr, str) or acr not in expected.acr_floor:
        raise SignInRefused("level_too_low", "id_token.acr", sub=sub)
    return Authentication(sub, acr, tuple(amr))


def verify_userinfo(
    token: object, find_key: KeyFinder, expected: Expected, *, sub: str, now: float
) -> Mapping[str, Any]:
    """Return the claims of a signed userinfo about this `sub`. A nonce is neither expected nor refused."""
    claims = _verified(token, find_key, expected, "userinfo")
    _check_times(claims, "userinfo", now, required=False)
    if not constant_time_compare(_sub(claims, "userinfo"), sub):
        raise _invalid("userinfo.sub")
    return claims


def verify_person(claims: Mapping[str, Any], issuer: str, *, operator_sirets: Collection[str]) -> Person:
    """Return the person these claims describe, if this site is open to it (rulings, 3)."""
    siret = claims.get("siret")
    if not isinstance(siret, str) or not sirets.is_valid(siret):
        raise SignInRefused("siret_invalid")
    email = claims.get("email")
    try:
        validate_email(email)
    except (ValidationError, TypeError):
        raise SignInRefused("email_invalid") from None
    if not isinstance(email, str) or len(email) > 254:  # noqa: PLR2004 - RFC 5321's, and our column's
        raise SignInRefused("email_invalid")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _invalid("userinfo.roles")
    if "agent_public" not in roles and siret not in operator_sirets:
        raise SignInRefused("not_public")
    return Person(
        issuer=issuer,
        sub=claims["sub"],
        siret=siret,
        email=email,
        given_name=_text(claims, "given_name", 100),
        usual_name=_text(claims, "usual_name", 100),
        roles=tuple(_clean(role, 60) for role in roles[:20]),
        idp_id=_text(claims, "idp_id", 100),
        uid=_text(claims, "uid", 255),
        organization_label=_text(claims, "organization_label", 200),
    )


def _verified(token: object, find_key: KeyFinder, expected: Expected, name: str) -> dict[str, Any]:
    """Check signature, issuer and audience."""
    if not isinstance(token, str) or not 0 < len(token) <= LONGEST:
        raise _invalid(f"{name}.absent")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != ALGORITHM:
            raise _invalid(f"{name}.alg")
        claims: dict[str, Any] = jwt.decode(
            token,
            find_key(header.get("kid")),
            algorithms=[ALGORITHM],
            options={
                # Checked below, against a clock that is an argument and with a reason that says which.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        raise _invalid(f"{name}.signature") from None
    if claims.get("iss") != expected.issuer:
        raise _invalid(f"{name}.iss")
    if claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise _invalid(f"{name}.aud")
    return claims


def _check_times(claims: Mapping[str, Any], name: str, now: float, *, required: bool) -> None:
    for claim in ("exp", "iat", "nbf"):
        if claim not in claims:
            if required and claim != "nbf":
                raise _invalid(f"{name}.{claim}_absent")
            continue
        instant = claims[claim]
        if isinstance(instant, bool) or not isinstance(instant, int | float) or not math.isfinite(instant):
            raise _invalid(f"{name}.{claim}_type")
        if now >= instant + LEEWAY if claim == "exp" else instant > now + LEEWAY:
            raise _invalid(f"{name}.{'expired' if claim == 'exp' else claim + '_in_the_future'}")


def _sub(claims: Mapping[str, Any], name: str) -> str:
    sub = claims.get("sub")
    if not isinstance(sub, str) or not sub.strip() or len(sub) > 255 or not sub.isprintable():  # noqa: PLR2004 - OpenID's
        raise _invalid(f"{name}.sub_malformed")
    return sub


def _half_hash(access_token: str) -> str:
    """Return the `at_hash` of OpenID Connect Core, 3.1.3.6, for RS256."""
    return base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).decode().rstrip("=")


def _text(claims: Mapping[str, Any], name: str, length: int) -> str:
    value = claims.get(name)
    return _clean(value, length) if isinstance(value, str) else ""


def _clean(value: str, length: int) -> str:
    """Leave out what no name holds and PostgreSQL refuses (NUL), and cut."""
    return "".join(character for character in value if character.isprintable()).strip()[:length]


def _invalid(reason: str) -> SignInRefused:
    return SignInRefused("answer_invalid", reason)
