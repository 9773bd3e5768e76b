"""A stand-in for dimail: its calls and its quirks (services.md, 5), kept in a file of its own across restarts."""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.standins.serving import Call, Reply, StandIn

USER, PASSWORD = "regie", "mot-de-passe-de-la-regie"
CREDENTIALS = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_SECRET = b"signature of the tokens"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS domains (name TEXT PRIMARY KEY, account TEXT, context TEXT);
CREATE TABLE IF NOT EXISTS boxes (
    domain TEXT, lp TEXT, active TEXT, ox INTEGER, given TEXT, sur TEXT, display TEXT, password TEXT,
    PRIMARY KEY (domain, lp)
);
CREATE TABLE IF NOT EXISTS ox_users (context TEXT, display TEXT, email TEXT, PRIMARY KEY (context, email));
CREATE TABLE IF NOT EXISTS aliases (domain TEXT, lp TEXT, destination TEXT, PRIMARY KEY (domain, lp, destination));
CREATE TABLE IF NOT EXISTS codes (code TEXT PRIMARY KEY, email TEXT, expires REAL, uses INTEGER);
CREATE TABLE IF NOT EXISTS clashes (domain TEXT, lp TEXT, other TEXT, PRIMARY KEY (domain, lp));
"""


def good_report(domain: str) -> dict[str, Any]:
    """Return a report where all is well."""
    checks = ["domain_exist", "mx", "cname_imap", "cname_smtp", "cname_webmail", "spf", "dkim"]
    inside = ["postfix", "ox", "cert", "webmail_ok"]
    report: dict[str, Any] = {
        "name": domain,
        "state": "ok",
        "valid": True,
        "delivery": "virtual",
        "context_name": domain,
    }
    report |= {name: {"ok": True, "internal": False, "errors": []} for name in checks}
    return report | {name: {"ok": True, "internal": True, "errors": []} for name in inside}


class Dimail(StandIn):
    """The State's mail API, as one account sees it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.reports: dict[str, list[dict[str, Any]]] = {}  # what calls 3 and 4 answer next; the last one stays
        self.fixed: dict[str, dict[str, Any]] = {}  # what call 4 leads to
        self.ignores_active = False
        self.odd_items: list[dict[str, Any]] = []  # added to every answer of call 11
        self.token_life = 47 * 60.0
        self.revoked = False  # tokens made before are refused
        self.created_alias_status = 201
        self.code_life, self.code_for = 600.0, ""
        self.without_key = False
        self.lies = False  # says done, and does nothing
        self.issued = 0
        self.secrets: list[str] = []  # every password and code ever told
        with contextlib.closing(self._store()) as store:
            store.executescript(_SCHEMA)

    # For tests

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._store()) as store:
            return store.execute(query, values).fetchall()

    def foreign_domain(self, name: str, account: str = "autre") -> None:
        """Have a domain that we did not ask for."""
        self.rows("INSERT INTO domains VALUES (?, ?, ?)", name, account, name)

    def box(self, domain: str, lp: str, display: str = "", *, active: str = "yes", ox: bool = True) -> None:
        """Have a mailbox that we did not ask for."""
        self.rows("INSERT INTO boxes VALUES (?, ?, ?, ?, '', '', ?, 'x')", domain, lp, active, int(ox), display)
        if ox:
            self.rows("INSERT INTO ox_users VALUES (?, ?, ?)", domain, display, f"{lp}@{domain}")

    def open_webmail(self, code: str) -> str | None:
        """Use a code, as the webmail does; return the mailbox it opens."""
        found = self.rows("SELECT email, expires, uses FROM codes WHERE code = ?", code)
        if not found or found[0][1] < time.time() or found[0][2] < 1:
            return None
        self.rows("UPDATE codes SET uses = uses - 1 WHERE code = ?", code)
        return str(found[0][0])

    # The calls

    def answer(self, call: Call) -> Reply:
        path = call.path
        for method, pattern, bearer, function in self._routes():
            match = re.fullmatch(pattern, path)
            if match and method == call.method:
                self._authenticate(call, bearer=bearer)
                parts = [unquote(part) for part in match.groups()]
                return function(call.body or {}, *parts)
        return Reply(404, {"detail": "Not Found"})

    def _routes(self) -> list[tuple[str, str, bool, Callable[..., Reply]]]:
        one = r"([^/]+)"
        return [
            ("GET", "/token/", False, self._token),
            ("POST", "/domains/", False, self._create_domain),
            ("GET", f"/domains/{one}/check", False, self._check),
            ("GET", f"/domains/{one}/fix/", False, self._fix),
            ("GET", f"/domains/{one}/spec/", False, self._spec),
            ("POST", f"/domains/{one}/mailboxes/{one}", True, self._create_box),
            ("GET", f"/domains/{one}/address/{one}/", True, self._address),
            ("PATCH", f"/domains/{one}/mailboxes/{one}", True, self._patch),
            ("POST", f"/domains/{one}/mailboxes/{one}/code", True, self._code),
            ("GET", f"/v2/domains/{one}/mailboxes/", True, self._list),
            ("POST", f"/domains/{one}/aliases/", True, self._add_alias),
            ("DELETE", f"/domains/{one}/aliases/{one}/all", True, self._drop_aliases),
            ("DELETE", f"/domains/{one}/aliases/{one}/{one}", True, self._drop_alias),
            ("GET", f"/domains/{one}/aliases/", True, self._aliases),
            ("DELETE", f"/domains/{one}/mailboxes/{one}", True, self._drop_box),
        ]

    def _authenticate(self, call: Call, *, bearer: bool) -> None:
        scheme, _, value = call.headers.get("Authorization", "").partition(" ")
        if not bearer:
            if scheme != "Basic" or value != CREDENTIALS:
                raise Reply(403, {"detail": "Permission denied"})
        elif scheme != "Bearer" or not self._lives(value):
            raise Reply(401, {"detail": "Invalid token"})

    def _token(self, _body: Any) -> Reply:
        self.issued += 1
        self.revoked = False
        token = _signed({"sub": USER, "exp": time.time() + self.token_life, "n": self.issued})
        return Reply(200, {"access_token": token, "token_type": "bearer"})

    def _lives(self, token: str) -> bool:
        head, _, signature = token.rpartition(".")
        if self.revoked or not hmac.compare_digest(signature, _signature(head)):
            return False
        claims = json.loads(base64.urlsafe_b64decode(head.split(".")[1] + "=="))
        return bool(claims["exp"] > time.time())

    def _create_domain(self, body: dict[str, Any]) -> Reply:
        assert body == {
            "name": body["name"],
            "context_name": body["name"],
            "features": ["webmail", "mailbox", "alias"],
            "delivery": "virtual",
        }
        if self.lies:
            return Reply(201, body)
        if self.rows("SELECT 1 FROM domains WHERE name = ?", body["name"]):
            return Reply(409, {"detail": "Domain already exists"})
        self.rows("INSERT INTO domains VALUES (?, ?, ?)", body["name"], USER, body["name"])
        return Reply(201, body)

    def _allowed(self, domain: str, status: int = 403) -> None:
        found = self.rows("SELECT account FROM domains WHERE name = ?", domain)
        if not found:
            raise Reply(404, {"detail": "Domain not found"})
        if found[0][0] != USER:
            raise Reply(status, {"detail": "Not authorized."})

    def _check(self, _body: Any, domain: str) -> Reply:
        self._allowed(domain, 401)
        waiting = self.reports.get(domain) or [good_report(domain)]
        return Reply(200, waiting.pop(0) if len(waiting) > 1 else waiting[0])

    def _fix(self, _body: Any, domain: str) -> Reply:
        self._allowed(domain, 401)
        if domain in self.fixed:
            self.reports[domain] = [self.fixed[domain]]
        return self._check(None, domain)

    def _spec(self, _body: Any, domain: str) -> Reply:
        self._allowed(domain, 401)
        key = base64.b64encode(hashlib.sha512(domain.encode()).digest() * 4).decode()
        records = [
            {"target": "", "type": "mx", "value": "mx.ox.numerique.example."},
            {"target": "imap", "type": "cname", "value": "imap.ox.numerique.example."},
            {"target": "webmail", "type": "cname", "value": "webmail.ox.numerique.example."},
            {"target": "", "type": "txt", "value": "v=spf1 include:_spf.ox.numerique.example -all"},
            {"target": "dimail._domainkey", "type": "txt", "value": f"v=DKIM1; h=sha256; k=rsa; p={key}"},
        ]
        return Reply(200, records[: 4 if self.without_key else 5])

    def _create_box(self, body: dict[str, str], domain: str, lp: str) -> Reply:
        self._allowed(domain)
        if set(body) != {"givenName", "surName", "displayName"}:
            return Reply(422, {"detail": [{"loc": ["body"]}]})
        password = self._secret()
        if self.lies:
            return Reply(201, {"email": f"{lp}@{domain}", "password": password})
        broken = Reply(500, {"detail": "Internal server error"})
        if self.rows("SELECT 1 FROM boxes WHERE domain = ? AND lp = ?", domain, lp):
            return broken
        same = self.rows(
            "SELECT email FROM ox_users WHERE context = ? AND lower(display) = lower(?)", domain, body["displayName"]
        )
        if same and same[0][0] != f"{lp}@{domain}":
            self.rows("INSERT OR REPLACE INTO clashes VALUES (?, ?, ?)", domain, lp, same[0][0])
            return broken
        self.rows("INSERT OR REPLACE INTO ox_users VALUES (?, ?, ?)", domain, body["displayName"], f"{lp}@{domain}")
        names = (body["givenName"], body["surName"], body["displayName"])
        self.rows("INSERT INTO boxes VALUES (?, ?, 'yes', 1, ?, ?, ?, ?)", domain, lp, *names, password)
        return Reply(201, {"email": f"{lp}@{domain}", "password": password, "uuid": secrets.token_hex(8)})

    def _address(self, _body: Any, domain: str, lp: str) -> Reply:
        self._allowed(domain)
        clash = self.rows("SELECT other FROM clashes WHERE domain = ? AND lp = ?", domain, lp)
        box = self.rows("SELECT 1 FROM boxes WHERE domain = ? AND lp = ?", domain, lp)
        if not clash and not box:
            return Reply(404, {"detail": "Address not found"})
        primary = clash[0][0] if clash else f"{lp}@{domain}"
        found = {"domain_name": domain, "user_name": lp, "is_alias": False, "is_mailbox": bool(box), "is_ox": True}
        return Reply(200, found | {"ox_primary_email": primary, "ox_senders": []})

    def _patch(self, body: dict[str, str], domain: str, lp: str) -> Reply:
        self._allowed(domain)
        if {"domain", "user_name"} & set(body):
            return Reply(422, {"detail": "rename is not supported"})
        if not self.rows("SELECT 1 FROM boxes WHERE domain = ? AND lp = ?", domain, lp):
            return Reply(404, {"detail": "Mailbox not found"})
        if not self.lies:
            if "displayName" in body:
                names = (body["givenName"], body["surName"], body["displayName"])
                query = "UPDATE boxes SET given = ?, sur = ?, display = ? WHERE domain = ? AND lp = ?"
                self.rows(query, *names, domain, lp)
                query = "UPDATE ox_users SET display = ? WHERE email = ?"
                self.rows(query, body["displayName"], f"{lp}@{domain}")
            if "active" in body and not self.ignores_active:
                self.rows("UPDATE boxes SET active = ? WHERE domain = ? AND lp = ?", body["active"], domain, lp)
        return Reply(200, {"email": f"{lp}@{domain}"})

    def _code(self, body: dict[str, int], domain: str, lp: str) -> Reply:
        self._allowed(domain)
        if not self.rows("SELECT 1 FROM boxes WHERE domain = ? AND lp = ?", domain, lp):
            return Reply(404, {"detail": "Mailbox not found"})
        assert body == {"expires_in": 600, "maxuse": 1}
        code, until = self._secret(), time.time() + self.code_life
        email = self.code_for or f"{lp}@{domain}"
        self.rows("INSERT INTO codes VALUES (?, ?, ?, ?)", code, email, until, body["maxuse"])
        told = {"email": email, "code": code, "expires_at": int(until), "expires_in": int(self.code_life)}
        return Reply(200, told | {"maxuse": 1, "nbuse": 0})

    def _list(self, _body: Any, domain: str) -> Reply:
        self._allowed(domain)
        query = "SELECT lp, active, ox, given, sur, display FROM boxes WHERE domain = ?"
        items = [
            {
                "type": "mailbox",
                "active": active,
                "email": f"{lp}@{domain}",
                "features": ["ox"] if ox else [],
                "extras": {"ox": {"given_name": given, "sur_name": sur, "display_name": display}, "schedule": None},
                "quota": None,
            }
            for lp, active, ox, given, sur, display in self.rows(query, domain)
        ]
        system = {"type": "mailbox", "active": "yes", "email": f"oxadmin@{domain}", "features": ["ox"], "extras": {}}
        return Reply(200, [system, *items, *self.odd_items])

    def _add_alias(self, body: dict[str, str], domain: str) -> Reply:
        self._allowed(domain)
        values = (domain, body["user_name"], body["destination"])
        if self.rows("SELECT 1 FROM aliases WHERE domain = ? AND lp = ? AND destination = ?", *values):
            return Reply(409, {"detail": "Alias already exists"})
        if not self.lies:
            self.rows("INSERT INTO aliases VALUES (?, ?, ?)", *values)
        return Reply(self.created_alias_status, dict(zip(("domain", "username", "destination"), values, strict=True)))

    def _drop_alias(self, _body: Any, domain: str, lp: str, destination: str) -> Reply:
        self._allowed(domain)
        values = (domain, lp, destination)
        if not self.rows("SELECT 1 FROM aliases WHERE domain = ? AND lp = ? AND destination = ?", *values):
            return Reply(404, {"detail": "Alias not found"})
        self.rows("DELETE FROM aliases WHERE domain = ? AND lp = ? AND destination = ?", *values)
        return Reply(204)

    def _drop_aliases(self, _body: Any, domain: str, lp: str) -> Reply:
        self._allowed(domain)
        if not self.lies:
            self.rows("DELETE FROM aliases WHERE domain = ? AND lp = ?", domain, lp)
        return Reply(204)

    def _aliases(self, _body: Any, domain: str) -> Reply:
        self._allowed(domain)
        found = self.rows("SELECT lp, destination FROM aliases WHERE domain = ?", domain)
        return Reply(200, [{"username": lp, "domain": domain, "destination": target} for lp, target in found])

    def _drop_box(self, _body: Any, domain: str, lp: str) -> Reply:
        self._allowed(domain)
        if not self.lies:
            self.rows("DELETE FROM boxes WHERE domain = ? AND lp = ?", domain, lp)
            self.rows("DELETE FROM ox_users WHERE email = ?", f"{lp}@{domain}")
        return Reply(204)

    def _secret(self) -> str:
        self.secrets.append(secrets.token_urlsafe(12))
        return self.secrets[-1]

    def _store(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10, isolation_level=None)


def _signed(claims: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({"alg": "HS256"}, claims)
    ]
    head = ".".join(parts)
    return f"{head}.{_signature(head)}"


def _signature(head: str) -> str:
    return base64.urlsafe_b64encode(hmac.new(_SECRET, head.encode(), hashlib.sha256).digest()).decode().rstrip("=")
