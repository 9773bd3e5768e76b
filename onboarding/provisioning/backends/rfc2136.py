"""Zones on any server that takes dynamic updates (RFC 2136) signed by TSIG (RFC 8945): Knot, BIND, NSD's primaries.

Each set has its mark beside it, as a TXT record of the same zone: `www CNAME` is marked at `www._suite-cname.<zone>`,
the zone at `_suite-zone.<zone>`. Marks are prerequisites of every update, so that the server itself tests and sets: no
writer, even of another owner, slips between a look and a change.

New zones come by a catalog zone (RFC 9432), which the server interprets and this backend updates: Knot 3 does it. Where
RFC2136_CATALOG is empty (BIND takes catalogs for secondaries only), `ensure_zone` is `NotYet` until an operator has the
server serve the zone, and then marks it if it is empty. Signing is the server's own policy: `ensure_signed` awaits it.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.xfr
import dns.zone
from django.conf import settings

from onboarding.provisioning.backends.names import normal
from onboarding.provisioning.backends.protocols import Delegation, Owned, Record
from onboarding.provisioning.backends.rrsets import conflict, normal_record, quoted
from onboarding.provisioning.backends.updates import Unmet, Updates, absolute, rdataset
from onboarding.provisioning.backends.zone_files import records_of, written
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

_SECONDS = 5.0
_TRANSFER_SECONDS = 15.0
_MARK = "_suite-"
_MARK_TTL = 3600
_LOADING_SECONDS, _LOADING_PAUSE = 4.0, 0.1
_OPERATOR_ACTS = timedelta(minutes=10)
_SERVER_WORKS = timedelta(seconds=5)
_ATTEMPTS = 4
_UNMET = frozenset({dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET})
_DENIED = frozenset({dns.rcode.REFUSED, dns.rcode.NOTAUTH})
_SEP = 1

Key = tuple[str, str]
T = TypeVar("T")


class Rfc2136Dns:
    """Speaks to RFC2136_SERVER with the key RFC2136_KEY_NAME, over TCP."""

    def __init__(self) -> None:
        self._updates = Updates()
        self._catalog = settings.RFC2136_CATALOG and normal(settings.RFC2136_CATALOG)

    def ensure_zone(self, zone: str, *, owner: str) -> None:
        """Have the zone served, and marked."""
        name = normal(zone)
        if self._catalog:
            self._enter(name, owner)
        deadline = time.monotonic() + _LOADING_SECONDS
        while not self._serves(name):
            if not self._catalog:
                sentence = f"La zone {name} doit être ajoutée au serveur DNS par un administrateur."
                raise NotYet("zone_not_served", sentence, after=_OPERATOR_ACTS)
            if time.monotonic() > deadline:
                raise NotYet("zone_loading", f"Le serveur DNS prépare la zone {name}.", after=_SERVER_WORKS)
            time.sleep(_LOADING_PAUSE)
        self._mark_zone(name, owner)

    def delegation(self, zone: str) -> Delegation:
        """Return the NS at the apex, and the DS of the keys that the zone publishes as its entry."""
        name = normal(zone)
        self._held(name)
        servers = self._values(name, "NS")
        if not servers:
            raise Unavailable("no_name_servers", f"La zone {name} n’a pas de serveur de noms.")
        return Delegation(servers, self._signers(name))

    def ensure_delegated(self, parent: str, zone: str, delegation: Delegation, *, owner: str) -> None:
        """Publish the delegation in the parent, in one update."""
        name = normal(zone)
        records = [Record(name, "NS", delegation.name_servers)]
        if delegation.ds:
            records.append(Record(name, "DS", delegation.ds))
        self._change(normal(parent), records, [] if delegation.ds else [(name, "DS")], owner)

    def ensure_records(self, zone: str, records: Sequence[Record], *, owner: str) -> None:
        """Publish each set, in one update."""
        self._change(normal(zone), records, [], owner)

    def records(self, zone: str) -> tuple[Record, ...]:
        """Return what the zone publishes, our marks left out."""
        name = normal(zone)
        self._held(name)
        return tuple(each for each in records_of(self._updates.transfer(name)) if not _is_mark(each.name))

    def ensure_signed(self, zone: str) -> None:
        """Wait for the server to sign the zone, by its own policy."""
        name = normal(zone)
        self._held(name)
        deadline = time.monotonic() + _LOADING_SECONDS
        while not self._signers(name):
            if time.monotonic() > deadline:
                sentence = f"Le serveur DNS n’a pas encore signé la zone {name} : sa politique DNSSEC en décide."
                raise NotYet("not_signed", sentence, after=_SERVER_WORKS)
            time.sleep(_LOADING_PAUSE)

    def ensure_absent(self, zone: str, sets: Sequence[tuple[str, str]], *, owner: str) -> None:
        """Take our sets away, in one update."""
        name = normal(zone)
        if self._serves(name):
            self._change(name, [], sets, owner)

    def ensure_undelegated(self, parent: str, zone: str, *, owner: str) -> None:
        """Take our delegation away."""
        self.ensure_absent(parent, [(zone, "NS"), (zone, "DS")], owner=owner)

    def ensure_no_zone(self, zone: str, *, owner: str) -> None:
        """Have the server forget the zone by the catalog; without one, empty it of what bears the mark."""
        name = normal(zone)
        if not self._serves(name):
            if self._catalog:
                self._leave(name, owner)
            return
        if not self._holds(name, _mark_of(name, name, "zone"), owner):
            raise _zone_conflict(name)
        if self._catalog:
            self._leave(name, owner)
            deadline = time.monotonic() + _LOADING_SECONDS
            while self._serves(name):
                if time.monotonic() > deadline:
                    raise NotYet("zone_leaving", f"Le serveur DNS retire la zone {name}.", after=_SERVER_WORKS)
                time.sleep(_LOADING_PAUSE)
            return
        ours = [(each.name, each.type) for each in self.records(name)]
        marked = [key for key in ours if self._holds(name, _mark_of(name, *key), owner)]
        self._change(name, [], marked, owner)
        update = self._updates.update(name)
        update.delete(absolute(_mark_of(name, name, "zone")), "TXT")
        self._updates.send(update)

    def zones(self) -> Iterator[Owned]:
        """Yield the members of the catalog, by name. `Refused("unsupported")` without a catalog: nobody can list."""
        if not self._catalog:
            raise Refused("unsupported", "Sans zone catalogue (RFC2136_CATALOG), un serveur DNS ne dit pas ses zones.")
        members: dict[str, str] = {}
        owners: dict[str, str] = {}
        for record in records_of(self._updates.transfer(self._catalog)):
            label = record.name.removesuffix(f".zones.{self._catalog}").rpartition(".")[2]
            if record.type == "PTR":
                members[label] = record.values[0].lower().removesuffix(".")
            elif record.name.startswith("owner.ext."):
                owners[label] = record.values[0]
        for label, name in sorted(members.items(), key=lambda item: item[1]):
            yield Owned(name, owners.get(label))

    def zone_file(self, zone: str) -> str:
        """Return the zone as it is transferred, without marks nor signatures."""
        name = normal(zone)
        self._held(name)
        transferred = self._updates.transfer(name)
        apex = transferred.find_node(absolute(name))
        soa = apex.find_rdataset(dns.rdataclass.IN, dns.rdatatype.SOA)
        servers = apex.find_rdataset(dns.rdataclass.IN, dns.rdatatype.NS)
        kept = [each for each in records_of(transferred) if not _is_mark(each.name)]
        return written(name, str(soa[0]), sorted(str(each) for each in servers), kept, ttl=soa.ttl)

    # --- Changes: prerequisites decide, on the server -----------------------------------------------------------------

    def _change(self, zone: str, records: Sequence[Record], absent: Sequence[Key], owner: str) -> None:
        """Make what is asked true in one update, whole or not at all; then look whether it is."""
        wanted = [normal_record(each, zone) for each in records]
        leaving = [(normal(name), kind.upper()) for name, kind in absent]
        self._held(zone)
        for _ in range(_ATTEMPTS):
            if self._done(zone, wanted, leaving, owner):
                return
            update = self._updates.update(zone)
            for record in wanted:
                key, mark = (record.name, record.type), absolute(_mark_of(zone, record.name, record.type))
                self._require(update, zone, key, owner)
                update.replace(absolute(record.name), rdataset(record, ttl=record.ttl))
                update.replace(mark, _MARK_TTL, "TXT", quoted(owner))
            for name, kind in leaving:
                mark = absolute(_mark_of(zone, name, kind))
                if self._require(update, zone, (name, kind), owner):
                    update.delete(absolute(name), kind)
                    update.delete(mark, "TXT")
            with contextlib.suppress(Unmet):  # somebody came between: look again
                self._updates.send(update)
        raise Unavailable("not_done", f"Le serveur DNS dit avoir changé {zone}, et ne le montre pas.")

    def _require(self, update: dns.update.UpdateMessage, zone: str, key: Key, owner: str) -> bool:
        """Add what must hold of one set: it is ours, or it is not there; return which. `Refused("conflict")`."""
        name, kind = key
        mark = _mark_of(zone, name, kind)
        whose = self._whose(zone, mark, owner, [key])
        if whose == "ours":
            update.present(absolute(mark), "TXT", quoted(owner))
            return True
        if whose == "theirs":
            raise conflict(name, kind)
        update.absent(absolute(name), kind)
        update.absent(absolute(mark), "TXT")
        return False

    def _done(self, zone: str, wanted: Sequence[Record], leaving: Sequence[Key], owner: str) -> bool:
        """Whether every set stands as wanted under our mark, and those that leave are gone."""
        probe = self._updates.update(zone)
        for record in wanted:
            probe.present(absolute(record.name), rdataset(record, ttl=0))  # as RFC 2136 wants (2.4.2)
            probe.present(absolute(_mark_of(zone, record.name, record.type)), "TXT", quoted(owner))
        for name, kind in leaving:
            probe.absent(absolute(name), kind)
        # A prerequisite compares values, not their TTL.
        return self._updates.met(probe) and all(self._ttl(record) == record.ttl for record in wanted)

    def _whose(self, zone: str, mark: str, owner: str, keys: Sequence[Key]) -> str:
        """Return "ours" under our mark, "free" where neither the mark nor the sets are there, "theirs" otherwise."""
        if self._holds(zone, mark, owner):
            return "ours"
        if self._lacks(zone, [*keys, (mark, "TXT")]):
            return "free"
        # Another worker of ours may have come between the two questions.
        return "ours" if self._holds(zone, mark, owner) else "theirs"

    def _holds(self, zone: str, mark: str, owner: str) -> bool:
        probe = self._updates.update(zone)
        probe.present(absolute(mark), "TXT", quoted(owner))
        return self._updates.met(probe)

    def _lacks(self, zone: str, keys: Sequence[Key]) -> bool:
        probe = self._updates.update(zone)
        for name, kind in keys:
            probe.absent(absolute(name), kind)
        return self._updates.met(probe)

    def _met(self, probe: dns.update.UpdateMessage) -> bool:
        """Whether prerequisites hold; an update that changes nothing asks it."""
        try:
            self._updates.send(probe)
        except Unmet:
            return False
        return True

    def _mark_zone(self, name: str, owner: str) -> None:
        """Mark a zone that is served: ours already, made by the catalog just now, or handed to us empty."""
        mark = _mark_of(name, name, "zone")
        whose = self._whose(name, mark, owner, [])
        if whose == "ours":
            return
        # An empty zone was made for us: by the catalog entry that bears our mark, or by an operator.
        if whose == "free" and not self.records(name):
            update = self._updates.update(name)
            update.absent(absolute(mark), "TXT")
            update.replace(absolute(mark), _MARK_TTL, "TXT", quoted(owner))
            with contextlib.suppress(Unmet):
                self._updates.send(update)
        if not self._holds(name, mark, owner):
            raise _zone_conflict(name)

    # --- The catalog --------------------------------------------------------------------------------------------------

    def _enter(self, name: str, owner: str) -> None:
        """Have the catalog name the zone under our mark; of two that come together, the server lets one through."""
        member, mark = self._member(name)
        whose = self._whose(self._catalog, mark, owner, [(member, "PTR")])
        if whose == "ours":
            return
        # A zone that the server holds without the catalog is an operator's own.
        if whose == "free" and not self._serves(name):
            update = self._updates.update(self._catalog)
            update.absent(absolute(member), "PTR")
            update.add(absolute(member), 0, "PTR", f"{name}.")
            update.add(absolute(mark), 0, "TXT", quoted(owner))
            with contextlib.suppress(Unmet):
                self._updates.send(update)
        if not self._holds(self._catalog, mark, owner):
            raise _zone_conflict(name)

    def _leave(self, name: str, owner: str) -> None:
        member, mark = self._member(name)
        if self._lacks(self._catalog, [(member, "PTR")]):
            return
        update = self._updates.update(self._catalog)
        update.present(absolute(mark), "TXT", quoted(owner))
        update.delete(absolute(member), "PTR")
        update.delete(absolute(mark), "TXT")
        try:
            self._updates.send(update)
        except Unmet as unmet:
            raise _zone_conflict(name) from unmet

    def _member(self, name: str) -> tuple[str, str]:
        """Return where the catalog names a zone, and where its mark is (RFC 9432, 4.1 and 4.5)."""
        label = hashlib.sha256(name.encode()).hexdigest()[:32]
        member = f"{label}.zones.{self._catalog}"
        return member, f"owner.ext.{member}"

    # --- What the server says -----------------------------------------------------------------------------------------

    def _serves(self, name: str) -> bool:
        response = self._updates.ask(name, "SOA")
        apex = absolute(name)
        here = any(each.name == apex and each.rdtype == dns.rdatatype.SOA for each in response.answer)
        if response.rcode() == dns.rcode.SERVFAIL:
            # Knot's answer for a zone it knows and has not loaded yet.
            return False
        return bool(here and response.flags & dns.flags.AA)

    def _held(self, name: str) -> None:
        if not self._serves(name):
            raise Refused("unknown_zone", f"La zone {name} n’existe pas chez nous.")

    def _signers(self, name: str) -> tuple[str, ...]:
        answer = self._updates.ask(name, "DNSKEY").answer
        keys = [key for each in answer if each.rdtype == dns.rdatatype.DNSKEY for key in each if key.flags & _SEP]
        return tuple(sorted(str(dns.dnssec.make_ds(absolute(name), key, "SHA256")) for key in keys))

    def _values(self, name: str, kind: str) -> tuple[str, ...]:
        wanted = dns.rdatatype.from_text(kind)
        found = [each for each in self._updates.ask(name, kind).answer if each.rdtype == wanted]
        return tuple(sorted(str(value) for each in found for value in each))

    def _ttl(self, record: Record) -> int | None:
        """Return the TTL of a set that is there; a delegation's stands beside the answer."""
        response, name = self._updates.ask(record.name, record.type), absolute(record.name)
        kind = dns.rdatatype.from_text(record.type)
        for each in (*response.answer, *response.authority):
            if each.name == name and each.rdtype == kind:
                return int(each.ttl)
        return None


def _zone_conflict(name: str) -> Refused:
    return Refused("conflict", f"Une zone {name} existe déjà, faite par quelqu’un d’autre.")


def _mark_of(zone: str, name: str, kind: str) -> str:
    """Return where the mark of a set is: never below a delegation, nor under a star."""
    above = "" if name == zone else name.removesuffix(f".{zone}").replace("*", "_star") + "."
    return f"{above}{_MARK}{kind.lower()}.{zone}"


def _is_mark(name: str) -> bool:
    return any(label.startswith(_MARK) for label in name.split("."))
