"""What the outside world must offer. Every backend keeps these promises, and the same tests prove it on each.

`ensure_*` may be called any number of times, in any state: it makes true what it says, one fact at a time, and changes
nothing that is true already. What exists without the `owner` mark given is never taken over: `Refused("conflict")`.
Any method may raise `NotYet`, `Unavailable` or `Refused`, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Record:
    """A set of DNS records of one name and type. `name` is full, without final dot; `values` as in a zone file.

    A TXT value is its text, neither quoted nor cut; names inside values are full, with their final dot.
    """

    name: str
    type: str
    values: tuple[str, ...]
    ttl: int = 3600


@dataclass(frozen=True)
class Delegation:
    """What a parent must publish of a zone: its servers (with final dot), and its DS records when it is signed."""

    name_servers: tuple[str, ...]
    ds: tuple[str, ...] = ()


@dataclass(frozen=True)
class MailSpec:
    """What a domain must publish for its mail to work with this provider."""

    mx: tuple[tuple[int, str], ...]  # preference, host with final dot
    spf: str  # the term that names the provider's servers: "include:_spf.example"
    dkim_selector: str
    dkim: str  # the whole TXT value
    aliases: tuple[tuple[str, str], ...] = ()  # label under the domain, target with final dot


@dataclass(frozen=True)
class Mailbox:
    """A mailbox. `kind` is "personal", "shared" or "redirect"; `targets` are the addresses of a redirect."""

    address: str
    kind: str
    display_name: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Space:
    """A storage space as seen: its quota and what it holds, in bytes (None: no quota yet), and its access key."""

    name: str
    quota: int | None
    used: int
    access_key: str | None


@dataclass(frozen=True)
class Secret:
    """An access key and its secret, told once: only a hash is kept."""

    access_key: str
    secret: str


@runtime_checkable
class Registrar(Protocol):
    """Reserves names under the public extensions."""

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        """Hold the name. `NotYet` while the registry works on it; `Refused("taken")` when somebody else holds it."""

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        """Point the name at our servers."""

    def delegation(self, domain: str) -> Delegation | None:
        """Return where a name we hold points, None when it points nowhere."""


@runtime_checkable
class Dns(Protocol):
    """Holds zones and publishes records."""

    def ensure_zone(self, zone: str, *, owner: str) -> None:
        """Have the zone, with its SOA and NS."""

    def delegation(self, zone: str) -> Delegation:
        """Return what the parent must publish. `Refused("unknown_zone")` when we do not hold the zone."""

    def ensure_delegated(self, parent: str, zone: str, delegation: Delegation, *, owner: str) -> None:
        """Publish the delegation in a parent zone that is ours too."""

    def ensure_records(self, zone: str, records: Sequence[Record], *, owner: str) -> None:
        """Publish each set, replacing only sets that bear the mark; others of the zone stay."""

    def records(self, zone: str) -> tuple[Record, ...]:
        """Return what the zone publishes, SOA and its own NS left out."""


@runtime_checkable
class Mail(Protocol):
    """Holds mail domains and mailboxes."""

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain."""

    def ensure_dkim(self, domain: str) -> None:
        """Have a signing key for the domain, made once."""

    def ensure_quota(self, domain: str, quota: int) -> None:
        """Bound what all its mailboxes hold together, in bytes."""

    def spec(self, domain: str) -> MailSpec:
        """Return what to publish. `Refused("unknown_domain")` when the domain is not there."""

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        """Have the mailbox; an existing one keeps its content. `Refused("conflict")` for another kind of thing."""

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """Give the existing mailbox its display name and, for a redirect, its targets."""

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return the mailboxes of the domain, by address."""

    def check_delivery(self, address: str) -> None:
        """Send a message to the address by way of its domain's MX, and read it back. `NotYet` until it arrives."""


@runtime_checkable
class Storage(Protocol):
    """Holds storage spaces, one per organization, that cannot see each other."""

    def ensure_space(self, space: str, *, owner: str) -> None:
        """Have the space."""

    def ensure_quota(self, space: str, quota: int) -> None:
        """Bound what it holds, in bytes."""

    def ensure_key(self, space: str) -> None:
        """Have an access key that opens this space and no other. Nobody is told its secret: see `reissue_key`."""

    def reissue_key(self, space: str) -> Secret:
        """Replace the key and return the new secret, for the one hand-over; the former opens nothing any more."""

    def space(self, space: str) -> Space:
        """Return the space as it is. `Refused("unknown_space")` when it is not there."""

    def check_storage(self, space: str) -> None:
        """Write an object, read it back, and leave nothing behind."""
