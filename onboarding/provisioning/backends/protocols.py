"""What the outside world must offer. Every backend keeps these promises, and the same tests prove it on each.

Whatever is listed is listed with the mark it bears, so that anybody may check from outside what was built.

`ensure_*` may be called any number of times, in any state: it makes true what it says, one fact at a time, and changes
nothing that is true already. What exists without the `owner` mark given is never taken over: `Refused("conflict")`.
Any method may raise `NotYet`, `Unavailable` or `Refused`, and nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
    active: bool = True
    quota: int | None = None  # its own bound in bytes; None: only the domain's
    used: int | None = None  # as seen, in bytes; None: the provider does not tell


@dataclass(frozen=True)
class Owned:
    """One thing that a provider lists: its name there, and the mark it bears (None: not made by us)."""

    name: str
    owner: str | None


@dataclass(frozen=True)
class Access:
    """How a person enters a mailbox for the first time. Never stored, logged or mailed; told once, to its holder.

    `url` leads straight in (a provider's own one-time code) until `expires_at`; without it, `password` is what to type.
    """

    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


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
    secret: str = field(repr=False)


@runtime_checkable
class Registrar(Protocol):
    """Reserves names under the public extensions."""

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        """Hold the name. `NotYet` while the registry works on it; `Refused("taken")` when somebody else holds it."""

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        """Point the name at our servers."""

    def delegation(self, domain: str) -> Delegation | None:
        """Return where a name we hold points, None when it points nowhere."""

    def expires_at(self, domain: str) -> datetime:
        """Return until when we hold the name. `Refused("unknown_domain")` when we do not."""

    def ensure_renewed(self, domain: str, until: datetime) -> None:
        """Hold the name at least until then: renewing twice for the same date costs once."""


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

    def ensure_signed(self, zone: str) -> None:
        """Sign the zone, with keys made once. `delegation` then has its DS; nothing changes when it is signed."""

    def ensure_absent(self, zone: str, sets: Sequence[tuple[str, str]], *, owner: str) -> None:
        """Take away the sets (full name, type) that bear the mark; those of others stay, `Refused("conflict")`."""

    def ensure_undelegated(self, parent: str, zone: str, *, owner: str) -> None:
        """Take a delegation that bears the mark away from a parent zone that is ours."""

    def ensure_no_zone(self, zone: str, *, owner: str) -> None:
        """Delete a zone that bears the mark; gone already is done."""

    def zones(self) -> Iterator[Owned]:
        """Yield every zone there is."""

    def zone_file(self, zone: str) -> str:
        """Return the whole zone as a master file (RFC 1035), SOA and NS with it."""


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

    def ensure_active(self, address: str, *, active: bool, owner: str) -> None:
        """Open or shut the mailbox: shut, nothing is received and nobody enters; what it holds stays."""

    def ensure_mailbox_quota(self, address: str, quota: int | None) -> None:
        """Bound one mailbox, in bytes; None: only the domain's bound. `Refused("below_use")` under what it holds."""

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """Delete a mailbox that bears the mark, with what it holds; gone already is done."""

    def ensure_no_domain(self, domain: str, *, owner: str) -> None:
        """Delete a mail domain that bears the mark. `Refused("not_empty")` while it holds mailboxes."""

    def domains(self) -> Iterator[Owned]:
        """Yield every mail domain there is."""

    def issue_access(self, address: str) -> Access:
        """Give its holder a first way in (services.md, 6.5). Each success ends the ways in given before."""

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:
        """Put an old message in the mailbox; not idempotent: the caller remembers what it has put.

        `folder` has "/" between levels, "INBOX" the first. `Refused("over_quota")` when it does not fit.
        """

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Yield all that the mailbox holds, as (folder, message). `Refused("unsupported")` if it cannot be read."""


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

    def enforce(self, space: str) -> Space:
        """Compare use and quota, and lock or unlock the space where the store does not do it by itself; return it."""

    def ensure_no_key(self, space: str) -> None:
        """Withdraw every key of the space; gone already is done."""

    def ensure_no_space(self, space: str, *, owner: str) -> None:
        """Delete a space that bears the mark, with what it holds; gone already is done."""

    def spaces(self) -> Iterator[Owned]:
        """Yield every space there is."""

    def export_objects(self, space: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield all that the space holds, as (key, its content in pieces)."""


@runtime_checkable
class Identity(Protocol):
    """Tells ProConnect which e-mail domains sign in through which identity provider (services.md, 4.2)."""

    def domains(self, provider: str) -> frozenset[str]:
        """Return the domains attached to an identity provider. `Refused("unknown_provider")` when there is none."""

    def ensure_domains(self, provider: str, wanted: frozenset[str], *, known: frozenset[str]) -> None:
        """Attach exactly `wanted`; `known` is all that we ever attached.

        A live domain outside both, or more than five that would go, is `Refused("not_ours")`; a domain not yet on
        ProConnect's allow-list is `NotYet`.
        """
