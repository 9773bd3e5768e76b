"""The outside world of a demonstration, a laptop or a test: a registrar and a DNS kept in the local world's file."""

import json
import sqlite3
from collections.abc import Sequence

from onboarding.provisioning.backends.local_identity import LocalIdentity
from onboarding.provisioning.backends.local_mail import LocalMail
from onboarding.provisioning.backends.local_storage import LocalStorage
from onboarding.provisioning.backends.protocols import Delegation, Record
from onboarding.provisioning.backends.world import changing, log, opened
from onboarding.provisioning.errors import Refused

__all__ = ["LocalDns", "LocalIdentity", "LocalMail", "LocalRegistrar", "LocalStorage"]

NAME_SERVERS = ("ns1.suite.example.", "ns2.suite.example.")
# The shared zone is there from the start, and is the product's own.
PRODUCT = "suite"


class LocalRegistrar:
    """A registry where a free name is ours at once."""

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        """Hold the name."""
        with changing() as world:
            row = world.execute("SELECT owner FROM names WHERE domain = ?", (domain,)).fetchone()
            if row is None:
                world.execute("INSERT INTO names (domain, owner) VALUES (?, ?)", (domain, owner))
                log(world, "name", domain)
            elif row["owner"] != owner:
                raise Refused("taken", f"Le nom {domain} est déjà réservé par quelqu’un d’autre.")

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        """Point the name at our servers."""
        if self.delegation(domain) == delegation:
            return
        with changing() as world:
            world.execute(
                "UPDATE names SET delegation = ? WHERE domain = ?",
                (json.dumps([delegation.name_servers, delegation.ds]), domain),
            )

    def delegation(self, domain: str) -> Delegation | None:
        """Return where the name points."""
        with opened() as world:
            row = world.execute("SELECT delegation FROM names WHERE domain = ?", (domain,)).fetchone()
        if row is None:
            raise Refused("unknown_name", f"Le nom {domain} n’est pas réservé chez nous.")
        if row["delegation"] is None:
            return None
        name_servers, ds = json.loads(row["delegation"])
        return Delegation(tuple(name_servers), tuple(ds))


class LocalDns:
    """Zones and records, which `manage.py local_dns` serves over real sockets."""

    def ensure_zone(self, zone: str, *, owner: str) -> None:
        """Have the zone."""
        with changing() as world:
            self._ensure_zone(world, zone, owner)

    def delegation(self, zone: str) -> Delegation:
        """Return our servers; local zones are not signed."""
        with opened() as world:
            self._zone(world, zone)
        return Delegation(NAME_SERVERS)

    def ensure_delegated(self, parent: str, zone: str, delegation: Delegation, *, owner: str) -> None:
        """Publish the delegation in the parent, which is part of this world."""
        with changing() as world:
            self._ensure_zone(world, parent, PRODUCT)
            records = [Record(zone, "NS", delegation.name_servers)]
            if delegation.ds:
                records.append(Record(zone, "DS", delegation.ds))
            self._ensure_records(world, parent, records, owner)

    def ensure_records(self, zone: str, records: Sequence[Record], *, owner: str) -> None:
        """Publish each set."""
        with changing() as world:
            self._zone(world, zone)
            self._ensure_records(world, zone, records, owner)

    def records(self, zone: str) -> tuple[Record, ...]:
        """Return what the zone publishes."""
        with opened() as world:
            self._zone(world, zone)
            rows = world.execute("SELECT * FROM rrsets WHERE zone = ? ORDER BY name, type", (zone,)).fetchall()
        return tuple(Record(row["name"], row["type"], tuple(json.loads(row["contents"])), row["ttl"]) for row in rows)

    @staticmethod
    def _zone(world: sqlite3.Connection, zone: str) -> None:
        if world.execute("SELECT 1 FROM zones WHERE name = ?", (zone,)).fetchone() is None:
            raise Refused("unknown_zone", f"La zone {zone} n’existe pas chez nous.")

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
        for record in records:
            contents = json.dumps(sorted(record.values))
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
                raise Refused(
                    "conflict",
                    f"L’enregistrement {record.type} de {record.name} existe déjà, fait par quelqu’un d’autre.",
                )
            elif (row["ttl"], row["contents"]) != (record.ttl, contents):
                world.execute(
                    "UPDATE rrsets SET ttl = ?, contents = ? WHERE zone = ? AND name = ? AND type = ?",
                    (record.ttl, contents, zone, record.name, record.type),
                )
                changed = True
        if changed:
            world.execute("UPDATE zones SET serial = serial + 1 WHERE name = ?", (zone,))
