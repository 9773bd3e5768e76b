"""The outside world of a demonstration, a laptop or a test: a registrar and a DNS kept in the local world's file."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils import timezone

from onboarding.provisioning.backends import local_keys
from onboarding.provisioning.backends.local_identity import LocalIdentity
from onboarding.provisioning.backends.local_mail import LocalMail
from onboarding.provisioning.backends.local_storage import LocalStorage
from onboarding.provisioning.backends.names import normal, years_later, years_needed
from onboarding.provisioning.backends.protocols import Delegation, Owned, Record
from onboarding.provisioning.backends.rrsets import conflict, normal_record
from onboarding.provisioning.backends.world import changing, log, opened
from onboarding.provisioning.backends.zone_files import written
from onboarding.provisioning.errors import Refused

__all__ = ["LocalDns", "LocalIdentity", "LocalMail", "LocalRegistrar", "LocalStorage"]

NAME_SERVERS = ("ns1.suite.example.", "ns2.suite.example.")
# The shared zone is there from the start, and is the product's own.
PRODUCT = "suite"


class LocalRegistrar:
    """A registry where a free name is ours at once, for a year."""

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        """Hold the name."""
        name = normal(domain)
        with changing() as world:
            row = world.execute("SELECT owner FROM names WHERE domain = ?", (name,)).fetchone()
            if row is None:
                world.execute(
                    "INSERT INTO names (domain, owner, expires_at) VALUES (?, ?, ?)",
                    (name, owner, years_later(timezone.now(), 1).isoformat()),
                )
                log(world, "name", name)
            elif row["owner"] != owner:
                raise Refused("taken", f"Le nom {name} est déjà réservé par quelqu’un d’autre.")

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        """Point the name at our servers."""
        if self.delegation(domain) == delegation:
            return
        with changing() as world:
            world.execute(
                "UPDATE names SET delegation = ? WHERE domain = ?",
                (json.dumps([delegation.name_servers, delegation.ds]), normal(domain)),
            )

    def delegation(self, domain: str) -> Delegation | None:
        """Return where the name points."""
        with opened() as world:
            row = self._name(world, domain)
        if row["delegation"] is None:
            return None
        name_servers, ds = json.loads(row["delegation"])
        return Delegation(tuple(name_servers), tuple(ds))

    def expires_at(self, domain: str) -> datetime:
        """Return until when we hold the name."""
        with opened() as world:
            return datetime.fromisoformat(self._name(world, domain)["expires_at"])

    def ensure_renewed(self, domain: str, until: datetime) -> None:
        """Hold the name at least until then, by whole years."""
        with changing() as world:
            row = self._name(world, domain)
            held = datetime.fromisoformat(row["expires_at"])
            years = years_needed(held, until)
            if years:
                renewed = years_later(held, years).isoformat()
                world.execute("UPDATE names SET expires_at = ? WHERE domain = ?", (renewed, row["domain"]))
                log(world, "renewal", f"{row['domain']} {renewed[:10]}")

    @staticmethod
    def _name(world: sqlite3.Connection, domain: str) -> sqlite3.Row:
        name = normal(domain)
        row: sqlite3.Row | None = world.execute("SELECT * FROM names WHERE domain = ?", (name,)).fetchone()
        if row is None:
            raise Refused("unknown_domain", f"Le nom {name} n’est pas réservé chez nous.")
        return row


class LocalDns:
    """Zones and records, which `manage.py local_dns` serves over real sockets."""

    def ensure_zone(self, zone: str, *, owner: str) -> None:
        """Have the zone."""
        with changing() as world:
            self._ensure_zone(world, normal(zone), owner)

    def delegation(self, zone: str) -> Delegation:
        """Return our servers, and the DS of the zone's key if it has one."""
        with opened() as world:
            row = self._zone(world, zone)
        key = row["signing_key"]
        return Delegation(NAME_SERVERS, (local_keys.delegation_signer(row["name"], key),) if key else ())

    def ensure_delegated(self, parent: str, zone: str, delegation: Delegation, *, owner: str) -> None:
        """Publish the delegation in the parent, which is part of this world."""
        name = normal(zone)
        with changing() as world:
            self._ensure_zone(world, normal(parent), PRODUCT)
            records = [Record(name, "NS", delegation.name_servers)]
            if delegation.ds:
                records.append(Record(name, "DS", delegation.ds))
            else:
                self._ensure_absent(world, normal(parent), [(name, "DS")], owner)
            self._ensure_records(world, normal(parent), records, owner)

    def ensure_records(self, zone: str, records: Sequence[Record], *, owner: str) -> None:
        """Publish each set."""
        with changing() as world:
            self._ensure_records(world, self._zone(world, zone)["name"], records, owner)

    def records(self, zone: str) -> tuple[Record, ...]:
        """Return what the zone publishes."""
        with opened() as world:
            return self._records(world, self._zone(world, zone)["name"])

    def ensure_signed(self, zone: str) -> None:
        """Give the zone a key, made before the file is locked; if another came first, its key stays."""
        with opened() as world:
            if self._zone(world, zone)["signing_key"] is not None:
                return
        key = local_keys.made()
        with changing() as world:
            name = self._zone(world, zone)["name"]
            kept = world.execute(
                "UPDATE zones SET signing_key = ?, serial = serial + 1 WHERE name = ? AND signing_key IS NULL",
                (key, name),
            )
            if kept.rowcount:
                log(world, "zone_key", name)

    def ensure_absent(self, zone: str, sets: Sequence[tuple[str, str]], *, owner: str) -> None:
        """Take our sets away."""
        with changing() as world:
            self._ensure_absent(world, normal(zone), [(normal(name), kind.upper()) for name, kind in sets], owner)

    def ensure_undelegated(self, parent: str, zone: str, *, owner: str) -> None:
        """Take our delegation away."""
        self.ensure_absent(parent, [(zone, "NS"), (zone, "DS")], owner=owner)

    def ensure_no_zone(self, zone: str, *, owner: str) -> None:
        """Delete the zone and what it publishes."""
        name = normal(zone)
        with changing() as world:
            row = world.execute("SELECT owner FROM zones WHERE name = ?", (name,)).fetchone()
            if row is None:
                return
            if row["owner"] != owner:
                raise Refused("conflict", f"La zone {name} a été faite par quelqu’un d’autre.")
            world.execute("DELETE FROM rrsets WHERE zone = ?", (name,))
            world.execute("DELETE FROM zones WHERE name = ?", (name,))
            log(world, "zone_deleted", name)

    def zones(self) -> Iterator[Owned]:
        """Yield every zone."""
        with opened() as world:
            rows = world.execute("SELECT name, owner FROM zones ORDER BY name").fetchall()
        for row in rows:
            yield Owned(row["name"], row["owner"])

    def zone_file(self, zone: str) -> str:
        """Return the zone as a master file."""
        with opened() as world:
            world.execute("BEGIN")
            row = self._zone(world, zone)
            records = self._records(world, row["name"])
        return written(row["name"], soa(row["serial"]), NAME_SERVERS, records)

    @staticmethod
    def _zone(world: sqlite3.Connection, zone: str) -> sqlite3.Row:
        name = normal(zone)
        row: sqlite3.Row | None = world.execute("SELECT * FROM zones WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Refused("unknown_zone", f"La zone {name} n’existe pas chez nous.")
        return row

    @staticmethod
    def _records(world: sqlite3.Connection, zone: str) -> tuple[Record, ...]:
        rows = world.execute("SELECT * FROM rrsets WHERE zone = ? ORDER BY name, type", (zone,)).fetchall()
        return tuple(Record(row["name"], row["type"], tuple(json.loads(row["contents"])), row["ttl"]) for row in rows)

    @staticmethod
    def _ensure_zone(world: sqlite3.Connection, zone: str, owner: str) -> None:
        row = world.execute("SELECT owner FROM zones WHERE name = ?", (zone,)).fetchone()
        if row is None:
            world.execute("INSERT INTO zones (name, owner) VALUES (?, ?)", (zone, owner))
            log(world, "zone", zone)
        elif row["owner"] != owner:
            raise Refused("conflict", f"Une zone {zone} existe déjà, faite par quelqu’un d’autre.")

    @staticmethod
    def _ensure_records(world: sqlite3.Connection, zone: str, records: Sequence[Record], owner: str) -> None:
        changed = False
        for record in (normal_record(each, zone) for each in records):
            contents = json.dumps(record.values)
            row = world.execute(
                "SELECT ttl, contents, owner FROM rrsets WHERE zone = ? AND name = ? AND type = ?",
                (zone, record.name, record.type),
            ).fetchone()
            if row is None:
                world.execute(
                    "INSERT INTO rrsets (zone, name, type, ttl, contents, owner) VALUES (?, ?, ?, ?, ?, ?)",
                    (zone, record.name, record.type, record.ttl, contents, owner),
                )
                log(world, "records", f"{record.name} {record.type}")
                changed = True
            elif row["owner"] != owner:
                raise conflict(record.name, record.type)
            elif (row["ttl"], row["contents"]) != (record.ttl, contents):
                world.execute(
                    "UPDATE rrsets SET ttl = ?, contents = ? WHERE zone = ? AND name = ? AND type = ?",
                    (record.ttl, contents, zone, record.name, record.type),
                )
                changed = True
        if changed:
            world.execute("UPDATE zones SET serial = serial + 1 WHERE name = ?", (zone,))

    @staticmethod
    def _ensure_absent(world: sqlite3.Connection, zone: str, sets: Sequence[tuple[str, str]], owner: str) -> None:
        gone = 0
        for name, kind in sets:
            key = (zone, name, kind)
            row = world.execute("SELECT owner FROM rrsets WHERE zone = ? AND name = ? AND type = ?", key).fetchone()
            if row is None:
                continue
            if row["owner"] != owner:
                raise conflict(name, kind)
            gone += world.execute("DELETE FROM rrsets WHERE zone = ? AND name = ? AND type = ?", key).rowcount
        if gone:
            world.execute("UPDATE zones SET serial = serial + 1 WHERE name = ?", (zone,))


def soa(serial: int) -> str:
    """Return the value of a local zone's SOA."""
    return f"{NAME_SERVERS[0]} hostmaster.suite.example. {serial} 3600 600 604800 60"
