"""The world of the local backends: one SQLite file, which every process shares and which outlives them all.

Nothing is kept in memory: a process may be killed between any two lines. Each change is one transaction, and writes
in `log` what it created, so that « built twice » would show.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from onboarding.provisioning.errors import Unavailable

_SCHEMA = """
CREATE TABLE names (domain TEXT PRIMARY KEY, owner TEXT NOT NULL, delegation TEXT);
CREATE TABLE zones (name TEXT PRIMARY KEY, owner TEXT NOT NULL, serial INTEGER NOT NULL DEFAULT 1);
CREATE TABLE rrsets (
    zone TEXT NOT NULL REFERENCES zones, name TEXT NOT NULL, type TEXT NOT NULL, ttl INTEGER NOT NULL,
    contents TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (zone, name, type)
);
CREATE INDEX rrsets_name ON rrsets (name, type);
CREATE TABLE mail_domains (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, quota INTEGER, dkim_private TEXT, dkim_public TEXT
);
CREATE TABLE mailboxes (
    address TEXT PRIMARY KEY COLLATE NOCASE, domain TEXT NOT NULL REFERENCES mail_domains, owner TEXT NOT NULL,
    kind TEXT NOT NULL, display_name TEXT NOT NULL DEFAULT '', targets TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL COLLATE NOCASE REFERENCES mailboxes, body TEXT NOT NULL
);
CREATE TABLE spaces (name TEXT PRIMARY KEY, owner TEXT NOT NULL, quota INTEGER);
CREATE TABLE space_keys (
    space TEXT PRIMARY KEY REFERENCES spaces, access_key TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE objects (
    space TEXT NOT NULL REFERENCES spaces, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (space, name)
);
CREATE TABLE log (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), what TEXT NOT NULL,
    key TEXT NOT NULL
);
CREATE TRIGGER log_keeps BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
"""
_DNS = """
ALTER TABLE names ADD COLUMN expires_at TEXT;
UPDATE names SET expires_at = strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '+1 year');
ALTER TABLE zones ADD COLUMN signing_key TEXT;
"""
_MAIL = """
ALTER TABLE mailboxes ADD COLUMN active INTEGER NOT NULL DEFAULT 1;
ALTER TABLE mailboxes ADD COLUMN quota INTEGER;
ALTER TABLE mailboxes ADD COLUMN salt BLOB;
ALTER TABLE mailboxes ADD COLUMN hash BLOB;
ALTER TABLE messages ADD COLUMN folder TEXT NOT NULL DEFAULT 'INBOX';
ALTER TABLE messages ADD COLUMN received_at TEXT;
ALTER TABLE messages ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_address ON messages (address);
"""
# In order: a file made before the last ones receives them when it is next opened.
SCHEMAS: tuple[str, ...] = (_SCHEMA, _DNS, _MAIL)


@contextlib.contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Give a connection for reading; the file is made if there is none. `Unavailable` when SQLite fails."""
    path = Path(settings.LOCAL_WORLD)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One lives for one call: nothing to share between threads, nothing to lose with a process.
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            if _version(connection) < len(SCHEMAS):
                _upgrade(connection)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise Unavailable("local_world", "Le monde local de démonstration n’a pas répondu.") from error


@contextlib.contextmanager
def changing() -> Iterator[sqlite3.Connection]:
    """Give a connection inside one write transaction: all of it holds, or nothing."""
    with opened() as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def log(connection: sqlite3.Connection, what: str, key: str) -> None:
    """Remember, in the transaction of the change, that something was created."""
    connection.execute("INSERT INTO log (what, key) VALUES (?, ?)", (what, key))


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")  # the others wait here while one of us writes the schema
    try:
        for script in SCHEMAS[_version(connection) :]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(SCHEMAS)}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Cut a script without committing between its statements, as `executescript` would."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def listing() -> dict[str, Any]:
    """Return all that exists, without keys nor contents, and all that was ever created, in order."""
    with opened() as connection:
        connection.execute("BEGIN")  # one moment, for all the lists

        def rows(query: str) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(query)]

        return {
            "names": _decoded(rows("SELECT * FROM names ORDER BY domain"), "delegation"),
            "zones": rows("SELECT name, owner FROM zones ORDER BY name"),
            "records": _decoded(
                rows("SELECT zone, name, type, ttl, contents, owner FROM rrsets ORDER BY zone, name, type"), "contents"
            ),
            "mail_domains": rows("SELECT name, owner, quota, dkim_public FROM mail_domains ORDER BY name"),
            "mailboxes": _decoded(
                rows(
                    "SELECT address, domain, owner, kind, display_name, targets, active, quota FROM mailboxes"
                    " ORDER BY address"
                ),
                "targets",
            ),
            "messages": rows("SELECT address, count(*) AS count FROM messages GROUP BY address ORDER BY address"),
            "spaces": rows(
                "SELECT spaces.name, spaces.owner, spaces.quota, access_key,"
                " (SELECT coalesce(sum(length(body)), 0) FROM objects WHERE space = spaces.name) AS used"
                " FROM spaces LEFT JOIN space_keys ON space = spaces.name ORDER BY spaces.name"
            ),
            "created": rows("SELECT at, what, key FROM log ORDER BY id"),
        }


def _decoded(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    return [{**row, column: json.loads(row[column]) if row[column] else None} for row in rows]
