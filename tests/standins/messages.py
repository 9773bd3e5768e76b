"""A stand-in for Messages: its provisioning API and its quirks (services.md, 4.1), kept in a file of its own."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.standins.serving import Call, Reply, StandIn

CHANNEL, KEY = "b6f0c6a2-0000-4000-8000-000000000001", "cle-du-canal"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS domains (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, attributes TEXT, autojoin INTEGER, identity_sync INTEGER
);
CREATE TABLE IF NOT EXISTS boxes (email TEXT PRIMARY KEY, domain TEXT);
"""


class Messages(StandIn):
    """One instance, with its global key."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.page_max = 1000
        self.refuses: dict[str, str] = {}  # by name: the error of its item
        self.answers_for = ""  # a name put in the place of the one asked for
        self.without_key = False
        with contextlib.closing(self._store()) as store:
            store.executescript(_SCHEMA)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._store()) as store:
            return store.execute(query, values).fetchall()

    def sign_in(self, email: str) -> None:
        """Have a person come through ProConnect: with autojoin, the mailbox appears."""
        domain = email.rpartition("@")[2]
        if self.rows("SELECT 1 FROM domains WHERE name = ? AND autojoin", domain):
            self.rows("INSERT OR IGNORE INTO boxes VALUES (?, ?)", email, domain)

    def foreign_domain(self, name: str, siret: str = "99999999900001") -> None:
        """Have a domain that we did not ask for."""
        self.rows("INSERT INTO domains VALUES (NULL, ?, ?, 1, 0)", name, json.dumps({"siret": siret}))

    def answer(self, call: Call) -> Reply:
        headers = {name.lower(): value for name, value in call.headers.items()}
        channel = headers.get("x-channel-id") == CHANNEL and headers.get("x-api-key") == KEY
        if not channel and headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"detail": "Authentication credentials were not provided."})
        parts = urlsplit(call.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match call.method, parts.path:
            case "POST", "/api/v1.0/provisioning/maildomains/":
                return self._upsert(call.body)
            case "GET", "/api/v1.0/provisioning/maildomains/dns/":
                return self._list(int(query.get("page", 1)), int(query.get("page_size", 20)))
            case "GET", "/api/v1.0/provisioning/mailboxes/":
                return self._boxes(query)
        return Reply(404, {"detail": "Not found."})

    def _upsert(self, body: dict[str, Any]) -> Reply:
        names = body["domains"] if isinstance(body["domains"], list) else body["domains"].split(",")
        told: dict[str, list[Any]] = {"created": [], "existing": [], "errors": []}
        for typed in names:
            name = typed.strip().lower().rstrip(".")
            if name in self.refuses:
                told["errors"].append({"domain": name, "error": self.refuses[name]})
                continue
            known = self.rows("SELECT 1 FROM domains WHERE name = ?", name)
            told["existing" if known else "created"].append(self.answers_for or name)
            # What is left out is reset, attributes are replaced whole.
            values = (
                json.dumps(body.get("custom_attributes", {})),
                body.get("oidc_autojoin", False),
                body.get("identity_sync", False),
            )
            self.rows("INSERT OR IGNORE INTO domains VALUES (NULL, ?, '{}', 0, 0)", name)
            self.rows(
                "UPDATE domains SET attributes = ?, autojoin = ?, identity_sync = ? WHERE name = ?", *values, name
            )
        return Reply(200, told)

    def _list(self, page: int, size: int) -> Reply:
        size = min(size, self.page_max)
        found = self.rows("SELECT id, name FROM domains ORDER BY id LIMIT ? OFFSET ?", size, (page - 1) * size)
        if not found and page > 1:
            return Reply(404, {"detail": "Invalid page."})
        count = self.rows("SELECT count(*) FROM domains")[0][0]
        return Reply(200, {"count": count, "results": [self._domain(*row) for row in found]})

    def _domain(self, number: int, name: str) -> dict[str, Any]:
        records = [
            {"target": "", "type": "MX", "value": "10 mx1.messages.example."},
            {"target": "", "type": "TXT", "value": "v=spf1 include:_spf.messages.example -all"},
            {"target": "_dmarc", "type": "TXT", "value": "v=DMARC1; p=reject"},
            {"target": "stmessages._domainkey", "type": "TXT", "value": f"v=DKIM1; k=rsa; p=MIIB{number}AAAA"},
        ]
        return {"id": str(number), "name": name, "expected_dns_records": records[: 3 if self.without_key else 4]}

    def _boxes(self, query: dict[str, str]) -> Reply:
        if not query.get("email") and not query.get("user_email"):
            return Reply(400, {"detail": "email or user_email is required."})
        found = self.rows(
            "SELECT email, attributes FROM boxes JOIN domains ON domain = name WHERE lower(email) = lower(?)",
            query.get("email"),
        )
        wanted = query.get("add_maildomain_custom_attributes", "")
        results = []
        for email, attributes in found:
            kept = {key: value for key, value in json.loads(attributes).items() if key == wanted}
            item = {"email": self.answers_for or email, "role": "admin", "users": [{"email": email, "role": "admin"}]}
            results.append(item | {"maildomain_custom_attributes": kept})
        return Reply(200, {"results": results})

    def _store(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10, isolation_level=None)
