"""The storage of the local world: spaces with a quota that holds, each with its own key."""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator

from onboarding.provisioning.backends.protocols import Owned, Secret, Space
from onboarding.provisioning.backends.world import changing, log, opened
from onboarding.provisioning.errors import Refused, Unavailable

_PROBE = ".suite-check"


class LocalStorage:
    """Keeps objects in the local world's file."""

    def ensure_space(self, space: str, *, owner: str) -> None:
        """Have the space."""
        with changing() as world:
            row = world.execute("SELECT owner FROM spaces WHERE name = ?", (space,)).fetchone()
            if row is None:
                world.execute("INSERT INTO spaces (name, owner) VALUES (?, ?)", (space, owner))
                log(world, "space", space)
            elif row["owner"] != owner:
                raise Refused("conflict", f"Un espace {space} existe déjà, fait par quelqu’un d’autre.")

    def ensure_quota(self, space: str, quota: int) -> None:
        """Bound the space."""
        with changing() as world:
            self._space(world, space)
            world.execute("UPDATE spaces SET quota = ? WHERE name = ? AND quota IS NOT ?", (quota, space, quota))

    def ensure_key(self, space: str) -> None:
        """Have a key whose secret nobody knows yet."""
        with changing() as world:
            self._space(world, space)
            if world.execute("SELECT 1 FROM space_keys WHERE space = ?", (space,)).fetchone() is None:
                self._issue(world, space)
                log(world, "space_key", space)

    def reissue_key(self, space: str) -> Secret:
        """Replace the key."""
        with changing() as world:
            self._space(world, space)
            return self._issue(world, space)

    def space(self, space: str) -> Space:
        """Return the space as it is."""
        with opened() as world:
            row = self._space(world, space)
            key = world.execute("SELECT access_key FROM space_keys WHERE space = ?", (space,)).fetchone()
            return Space(space, row["quota"], self._used(world, space), key["access_key"] if key else None)

    def check_storage(self, space: str) -> None:
        """Write, read back, remove: in one transaction, so that a kill leaves nothing."""
        body = secrets.token_bytes(32)
        with changing() as world:
            self._put(world, space, _PROBE, body)
            row = world.execute("SELECT body FROM objects WHERE space = ? AND name = ?", (space, _PROBE)).fetchone()
            if row["body"] != body:
                raise Unavailable("not_stored", "Le fichier d’essai ne se relit pas.")
            world.execute("DELETE FROM objects WHERE space = ? AND name = ?", (space, _PROBE))

    def enforce(self, space: str) -> Space:
        """Nothing to do: the quota is compared at each write, in its transaction."""
        return self.space(space)

    def ensure_no_key(self, space: str) -> None:
        """Withdraw the key."""
        with changing() as world:
            world.execute("DELETE FROM space_keys WHERE space = ?", (space,))

    def ensure_no_space(self, space: str, *, owner: str) -> None:
        """Delete the space, its objects and its key."""
        with changing() as world:
            row = world.execute("SELECT owner FROM spaces WHERE name = ?", (space,)).fetchone()
            if row is None:
                return
            if row["owner"] != owner:
                raise Refused("conflict", f"L’espace {space} a été fait par quelqu’un d’autre : il reste.")
            world.execute("DELETE FROM objects WHERE space = ?", (space,))
            world.execute("DELETE FROM space_keys WHERE space = ?", (space,))
            world.execute("DELETE FROM spaces WHERE name = ?", (space,))

    def spaces(self) -> Iterator[Owned]:
        """Yield every space, by name."""
        with opened() as world:
            rows = world.execute("SELECT name, owner FROM spaces ORDER BY name").fetchall()
        yield from (Owned(row["name"], row["owner"]) for row in rows)

    def export_objects(self, space: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the objects by name; each content in one piece, read when its turn comes."""
        with opened() as world:
            self._space(world, space)
            names = world.execute("SELECT name FROM objects WHERE space = ? ORDER BY name", (space,)).fetchall()
        for (name,) in names:
            with opened() as world:
                row = world.execute("SELECT body FROM objects WHERE space = ? AND name = ?", (space, name)).fetchone()
            if row is not None:  # deleted by its holder meanwhile
                yield name, iter((row["body"],))

    def put(self, key: Secret, space: str, name: str, body: bytes) -> None:
        """Store an object, as the holder of a key would. `Refused`: "denied", or "quota" when it does not fit."""
        with changing() as world:
            self._enter(world, key, space)
            self._put(world, space, name, body)

    def get(self, key: Secret, space: str, name: str) -> bytes | None:
        """Read an object back, as the holder of a key would; None when there is none. `Refused("denied")`."""
        with opened() as world:
            self._enter(world, key, space)
            row = world.execute("SELECT body FROM objects WHERE space = ? AND name = ?", (space, name)).fetchone()
        return None if row is None else bytes(row["body"])

    def delete(self, key: Secret, space: str, name: str) -> None:
        """Delete an object, as the holder of a key would. `Refused("denied")`."""
        with changing() as world:
            self._enter(world, key, space)
            world.execute("DELETE FROM objects WHERE space = ? AND name = ?", (space, name))

    @staticmethod
    def _enter(world: sqlite3.Connection, key: Secret, space: str) -> None:
        row = world.execute("SELECT * FROM space_keys WHERE access_key = ?", (key.access_key,)).fetchone()
        known = row is not None and hmac.compare_digest(row["hash"], _hashed(key.secret, row["salt"]))
        if not known or row["space"] != space:
            raise Refused("denied", "Cette clé n’ouvre pas cet espace.")

    def _put(self, world: sqlite3.Connection, space: str, name: str, body: bytes) -> None:
        quota = self._space(world, space)["quota"]
        world.execute("DELETE FROM objects WHERE space = ? AND name = ?", (space, name))
        if quota is not None and self._used(world, space) + len(body) > quota:
            raise Refused("quota", "L’espace est plein.")
        world.execute("INSERT INTO objects (space, name, body) VALUES (?, ?, ?)", (space, name, body))

    @staticmethod
    def _issue(world: sqlite3.Connection, space: str) -> Secret:
        issued = Secret(f"K{secrets.token_hex(10).upper()}", secrets.token_urlsafe(30))
        salt = secrets.token_bytes(16)
        world.execute(
            "INSERT INTO space_keys (space, access_key, salt, hash) VALUES (?, ?, ?, ?) ON CONFLICT (space)"
            " DO UPDATE SET access_key = excluded.access_key, salt = excluded.salt, hash = excluded.hash",
            (space, issued.access_key, salt, _hashed(issued.secret, salt)),
        )
        return issued

    @staticmethod
    def _space(world: sqlite3.Connection, space: str) -> sqlite3.Row:
        row: sqlite3.Row | None = world.execute("SELECT * FROM spaces WHERE name = ?", (space,)).fetchone()
        if row is None:
            raise Refused("unknown_space", f"L’espace {space} n’existe pas.")
        return row

    @staticmethod
    def _used(world: sqlite3.Connection, space: str) -> int:
        query = "SELECT coalesce(sum(length(body)), 0) FROM objects WHERE space = ?"
        return int(world.execute(query, (space,)).fetchone()[0])


def _hashed(secret: str, salt: bytes) -> bytes:
    """Hash a secret of 240 random bits: no dictionary holds it, so one round is enough."""
    return hashlib.sha256(salt + secret.encode()).digest()
