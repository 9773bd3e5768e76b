"""What the provider announces, compared with our settings: pure functions from facts to sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

Level = Literal["ok", "information", "warning", "error"]
CLOCK_WARNS, CLOCK_FAILS = 10, 30  # seconds
CERTIFICATE_WARNS = timedelta(days=15)
ALGORITHM = "RS256"


class Line(NamedTuple):
    """One thing looked at: how it is, under which name, in a sentence."""

    level: Level
    name: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What was fetched. A problem stands where an answer is missing; times are in UTC."""

    discovery: Mapping[str, Any] | None = None
    discovery_problem: str = ""
    keys: Sequence[Any] | None = None
    keys_problem: str = ""
    clock_difference: float | None = None  # seconds, positive when our clock is ahead
    certificate_ends: datetime | None = None
    certificate_problem: str = ""
    probe: str = ""  # the error code of the token endpoint, "" when it was not asked
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Ours:
    """What our settings say."""

    issuer: str
    endpoints: Mapping[str, str]  # under the names of the discovery document
    scopes: Sequence[str]
    levels: Sequence[str]
    pkce: bool
    requires_iss: bool
    redirect_uri: str
    post_logout_uri: str


def judge(facts: Facts, ours: Ours) -> Iterator[Line]:
    """Yield a line for each thing compared."""
    if facts.discovery is None:
        yield Line(
            "error", "discovery", f"The provider's discovery document cannot be read: {facts.discovery_problem}."
        )
    else:
        yield from _addresses(facts.discovery, ours)
        yield from _abilities(facts.discovery, ours)
        yield from _promises(facts.discovery, ours)
    yield from _keys(facts)
    yield from _certificate(facts)
    yield from _clock(facts)
    yield from _probe(facts)
    yield Line("information", "redirect-uri", f"Sign-in comes back to {ours.redirect_uri}")
    yield Line("information", "post-logout-uri", f"Sign-out comes back to {ours.post_logout_uri}")


def _addresses(discovery: Mapping[str, Any], ours: Ours) -> Iterator[Line]:
    yield _same("issuer", "issuer", discovery.get("issuer"), ours.issuer)
    for name, address in ours.endpoints.items():
        yield _same(name.replace("_", "-"), name, discovery.get(name), address)


def _same(name: str, claim: str, theirs: object, ours: str) -> Line:
    if theirs == ours:
        return Line("ok", name, f"{claim} is {ours}")
    if theirs is None:
        return Line("warning", name, f"The provider announces no {claim}; our settings say {ours}")
    return Line("error", name, f"The provider announces {claim} {_short(theirs)}, our settings say {ours}")


def _abilities(discovery: Mapping[str, Any], ours: Ours) -> Iterator[Line]:
    yield _offers(discovery, "response_types_supported", ["code"], "the authorization code flow", name="flow")
    yield _offers(
        discovery, "id_token_signing_alg_values_supported", [ALGORITHM], "ID tokens signed with", name="id-token"
    )
    yield _offers(
        discovery, "userinfo_signing_alg_values_supported", [ALGORITHM], "userinfo signed with", name="userinfo"
    )
    yield _offers(
        discovery, "token_endpoint_auth_methods_supported", ["client_secret_post"], "the secret sent by", name="client"
    )
    if ours.pkce:
        yield _offers(discovery, "code_challenge_methods_supported", ["S256"], "PKCE by", name="pkce")
    else:
        yield Line("warning", "pkce", "PKCE is off in our settings: a temporary measure, to be recorded.")
    yield _offers(discovery, "scopes_supported", ours.scopes, "the scopes", name="scopes")
    yield _offers(discovery, "acr_values_supported", ours.levels, "the levels", name="levels")


def _offers(discovery: Mapping[str, Any], claim: str, wanted: Sequence[str], what: str, *, name: str) -> Line:
    offered = discovery.get(claim)
    if offered is None:
        return Line("warning", name, f"The provider does not announce {claim}: check that the registration has it.")
    if not isinstance(offered, list):
        return Line("error", name, f"The provider announces {claim} as {_short(offered)}, which is no list.")
    if lacking := [one for one in wanted if one not in offered]:
        return Line("error", name, f"The provider does not offer {what} {' '.join(lacking)} ({claim}).")
    return Line("ok", name, f"The provider offers {what} {' '.join(wanted)}")


def _promises(discovery: Mapping[str, Any], ours: Ours) -> Iterator[Line]:
    claims = discovery.get("claims_parameter_supported")
    if claims is True:
        yield Line("ok", "claims", "The provider reads the claims parameter, by which we ask for acr and amr.")
    elif claims is None:
        yield Line("warning", "claims", "The provider does not say whether it reads the claims parameter.")
    else:
        yield Line("error", "claims", "The provider does not read the claims parameter: no level would come back.")
    announced = discovery.get("authorization_response_iss_parameter_supported") is True
    if announced and not ours.requires_iss:
        yield Line(
            "error", "callback-iss", "The provider promises iss on the callback: set OIDC_REQUIRE_CALLBACK_ISS=1."
        )
    elif ours.requires_iss and not announced:
        yield Line(
            "error",
            "callback-iss",
            "OIDC_REQUIRE_CALLBACK_ISS is set, but the provider promises no iss: everybody may be refused.",
        )
    else:
        demand = "demanded, as the provider promises it" if announced else "checked when present"
        yield Line("ok", "callback-iss", f"On the callback, iss is {demand}.")


def _keys(facts: Facts) -> Iterator[Line]:
    if facts.keys is None:
        yield Line("error", "keys", f"The provider's keys cannot be read: {facts.keys_problem}.")
        return
    keys = [key for key in facts.keys if isinstance(key, Mapping)]
    fit = [
        key
        for key in keys
        if key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and key.get("alg", ALGORITHM) == ALGORITHM
    ]
    if fit:
        names = ", ".join(_short(key.get("kid")) for key in fit)
        yield Line("ok", "keys", f"{len(fit)} of {len(facts.keys)} keys may sign with {ALGORITHM}: {names}")
    else:
        yield Line("error", "keys", f"None of the provider's {len(facts.keys)} keys may sign with {ALGORITHM}.")
    unnamed = [key for key in facts.keys if not isinstance(key, Mapping) or not key.get("kid")]
    if unnamed:
        yield Line("warning", "key-names", f"{len(unnamed)} of the provider's keys have no kid.")


def _certificate(facts: Facts) -> Iterator[Line]:
    if facts.certificate_problem:
        yield Line("error", "certificate", f"The provider's certificate is refused: {facts.certificate_problem}.")
    elif facts.certificate_ends is not None:
        left = facts.certificate_ends - facts.now
        level: Level = "error" if left <= timedelta() else "warning" if left < CERTIFICATE_WARNS else "ok"
        ends = f"{facts.certificate_ends:%Y-%m-%d}"
        verb = "ended on" if level == "error" else "is valid until"
        yield Line(level, "certificate", f"The provider's certificate {verb} {ends}.")
    elif facts.discovery is not None:
        yield Line("warning", "certificate", "The provider is not reached by https: nothing proves who answers.")


def _clock(facts: Facts) -> Iterator[Line]:
    if facts.clock_difference is None:
        if facts.discovery is not None:
            yield Line("warning", "clock", "The provider does not say what time it is.")
        return
    seconds = abs(facts.clock_difference)
    level: Level = "error" if seconds > CLOCK_FAILS else "warning" if seconds > CLOCK_WARNS else "ok"
    which = "ahead of" if facts.clock_difference > 0 else "behind"
    told = f"Our clock is {seconds:.0f} s {which} the provider's." if level != "ok" else "The two clocks agree."
    yield Line(level, "clock", told)


def _probe(facts: Facts) -> Iterator[Line]:
    if facts.probe == "invalid_grant":
        yield Line("ok", "credentials", "The provider knows our client id and secret.")
    elif facts.probe == "invalid_client":
        yield Line("error", "credentials", "The provider refuses our client id or secret.")
    elif facts.probe:
        yield Line("warning", "credentials", f"The token endpoint answered {_short(facts.probe)} to a code of nothing.")


def _short(value: object) -> str:
    """Show what a stranger sent: printable, on one line, and not for ever."""
    text = "".join(character for character in str(value) if character.isprintable())
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004 - a line of a terminal
