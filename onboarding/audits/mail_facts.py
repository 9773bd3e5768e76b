"""What is known of a domain’s mail servers beyond its records: where they are, how they talk, their policy."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Policy:
    """The MTA-STS policy as fetched; `error` is empty when it came by a valid certificate and without a redirect."""

    error: str = ""
    mode: str = ""
    mx: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerFacts:
    """`countries` goes from address to ISO code, "" when the base does not know it.

    `located_on` is the date of the base (ISO 8601), empty without a base or when it is too old. `starttls` goes from MX
    host to what it negotiated ("TLSv1.3"), "" when it does not offer it, None when port 25 is closed to us.
    """

    countries: dict[str, str] = field(default_factory=dict)
    located_on: str = ""
    starttls: dict[str, str | None] = field(default_factory=dict)
    policy: Policy | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the shape that is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ServerFacts":
        """Return what was stored, so that a new rule replays on it."""
        policy = stored["policy"]
        return cls(
            stored["countries"],
            stored["located_on"],
            stored["starttls"],
            Policy(policy["error"], policy["mode"], tuple(policy["mx"])) if policy else None,
        )
