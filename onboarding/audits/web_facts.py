"""What was seen of a website: chains of redirects, a certificate, headers. Bodies are never kept."""

from dataclasses import asdict, dataclass, field
from typing import Any

from onboarding.audits.facts import Lookup, lookup_from


@dataclass(frozen=True)
class Hop:
    """One request. `status` is None when nothing came; `error` then says why.

    `error`: timeout, refused, reset, dns_nxdomain, dns_unknown, private_address, certificate, tls, too_many_redirects,
    too_large, bad_redirect, network, out_of_time (we ran out of it: nobody is to blame).
    """

    url: str
    status: int | None = None
    error: str = ""
    address: str = ""
    milliseconds: int = 0


@dataclass(frozen=True)
class Chain:
    """The requests made from one address on, in order; the last one tells how it ended."""

    hops: tuple[Hop, ...]
    empty: bool = False  # the final body had no byte
    hsts: str = ""  # the final answer's Strict-Transport-Security

    @property
    def last(self) -> Hop:
        """How it ended."""
        return self.hops[-1]

    @property
    def works(self) -> bool:
        """Whether it ended on a page (200)."""
        return self.last.status == 200  # noqa: PLR2004 - OK


@dataclass(frozen=True)
class Certificate:
    """What the host showed. Dates in ISO 8601; `error` is empty when it verifies: expired, not_yet, name, untrusted."""

    error: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: str = ""
    not_after: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class WebFacts:
    """Everything gathered about one declared site. A chain is None when it was not asked."""

    declared: Chain
    from_http: Chain | None = None
    from_https: Chain | None = None
    other_http: Chain | None = None  # with `www.` if the declared host has none, without it otherwise
    other_https: Chain | None = None
    unverified: Chain | None = None  # https again, whatever the certificate: tells a dead site from a bad certificate
    certificate: Certificate | None = None
    # "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" -> accepted or not; None: could not be tried.
    tls: dict[str, bool | None] = field(default_factory=dict)
    # The addresses of the host (A, AAAA) and its CAA records, found by climbing the tree.
    names: tuple[Lookup, ...] = ()
    checked_at: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the shape that is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "WebFacts":
        """Return what was stored, so that a new rule replays on it."""
        chains = ("declared", "from_http", "from_https", "other_http", "other_https", "unverified")
        certificate = stored["certificate"]
        rest = {key: value for key, value in stored.items() if key not in {*chains, "certificate", "names"}}
        return cls(
            **{key: _chain(stored[key]) for key in chains},
            names=tuple(lookup_from(each) for each in stored["names"]),
            certificate=Certificate(**{**certificate, "names": tuple(certificate["names"])}) if certificate else None,
            **rest,
        )


def _chain(stored: dict[str, Any] | None) -> Any:  # noqa: ANN401 - a Chain, or None where one may be
    if stored is None:
        return None
    return Chain(tuple(Hop(**hop) for hop in stored["hops"]), stored["empty"], stored["hsts"])
