"""Gandi's API, version 5, as far as names go: orders taken at once and done later, funds, tags, keys, renewals.

An order ends after `slow` more requests about its name. What it costs is taken from `funds` when it is made.
"""

import base64
from datetime import UTC, datetime
from typing import Any

import dns.dnssec
import dns.name
import dns.rdata

from onboarding.provisioning.backends.names import years_later
from tests.standins.http_api import Answer, StandIn

TOKEN = "not-a-secret-either"


class GandiStandIn(StandIn):
    """Holds names, and the orders under way as [requests still to come, what then happens]."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, list[list[Any]]] = {}
        self.taken = {"pris.fr"}
        self.funds = 1_000
        self.slow = 1
        self.keeps_tags = True  # of an order
        self.spent = 0

    def allowed(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {TOKEN}"

    def altered(self, found: Any) -> Any:
        return {**found, "fqdn": "autre.fr"} if isinstance(found, dict) else found

    def pretended(self, method: str, path: list[str], body: Any) -> Answer:
        del method, path, body
        return 202, {"message": "Accepted"}

    def answer(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Answer:
        match method, path:
            case "GET", ["v5", "domain", "check"]:
                return self._check(query["name"])
            case "POST", ["v5", "domain", "domains"]:
                return self._create(body)
            case _, ["v5", "domain", "domains", name, *rest]:
                self._advance(name)
                if name not in self.names:
                    return 404, {"code": 404, "message": "The resource could not be found.", "object": "HTTPNotFound"}
                return self._of(self.names[name], method, rest, body)
        return 404, {"message": "not found"}

    def _check(self, name: str) -> Answer:
        if name in self.taken or name in self.names:
            status = "unavailable"
        else:
            status = "pending" if self.orders.get(name) else "available"
        return 200, {
            "currency": "EUR",
            "grid": "A",
            "products": [{"name": name, "process": "create", "status": status}],
        }

    def _create(self, body: dict[str, Any]) -> Answer:
        name = body["fqdn"]
        if not body.get("owner", {}).get("email"):
            return 400, {"message": "Error on object : OBJECT_CONTACT (CAUSE_BADPARAMETER)"}
        if name in self.taken or name in self.names:
            return 400, {"message": "The domain is not available"}
        made = {
            "fqdn": name,
            "status": ["clientTransferProhibited"],
            "nameservers": body.get("nameservers") or ["ns-1-a.gandi.net", "ns-2-b.gandi.net"],
            "tags": body.get("tags", []) if self.keeps_tags else [],
            "dates": {"registry_ends_at": years_later(datetime.now(UTC), body["duration"]).isoformat()},
            "keys": [],
        }
        return self._ordered(name, body["duration"], lambda: self.names.__setitem__(name, made))

    def _of(self, held: dict[str, Any], method: str, rest: list[str], body: Any) -> Answer:  # noqa: PLR0911 - one per route
        name = held["fqdn"]
        match method, rest:
            case "GET", []:
                return 200, {key: value for key, value in held.items() if key != "keys"}
            case "PUT", ["nameservers"]:
                return self._ordered(name, 0, lambda: held.update(nameservers=body["nameservers"]))
            case "PUT", ["tags"]:
                held["tags"] = body["tags"]
                return 202, {"message": "Tags replaced"}
            case "GET", ["dnskeys"]:
                return 200, held["keys"]
            case "POST", ["dnskeys"]:
                return self._ordered(name, 0, lambda: held["keys"].append(_key(name, body, len(held["keys"]))))
            case "DELETE", ["dnskeys", number]:
                held["keys"] = [key for key in held["keys"] if str(key["id"]) != number]
                return 202, ""
            case "POST", ["renew"]:
                return self._ordered(name, body["duration"], lambda: _renew(held, body["duration"]))
        return 405, {"message": "method not allowed"}

    def _ordered(self, name: str, cost: int, then: Any) -> Answer:
        if self.orders.get(name):
            return 409, {"message": "An operation is already in progress on this domain"}
        if cost > self.funds:
            return 402, {"message": "Insufficient funds on your prepaid account"}
        self.funds, self.spent = self.funds - cost, self.spent + cost
        self.orders[name] = [[self.slow, then]]
        return 202, {"message": "Domain operation scheduled"}

    def _advance(self, name: str) -> None:
        for order in list(self.orders.get(name, [])):
            order[0] -= 1
            if order[0] < 0:
                order[1]()
                self.orders[name].remove(order)


def _key(name: str, body: dict[str, Any], number: int) -> dict[str, Any]:
    base64.b64decode(body["public_key"], validate=True)
    key = dns.rdata.from_text("IN", "DNSKEY", f"257 3 {body['algorithm']} {body['public_key']}")
    tag, algorithm, digest_type, digest = str(dns.dnssec.make_ds(dns.name.from_text(name), key, "SHA256")).split()
    made = {"id": number + 1, "keytag": int(tag), "algorithm": int(algorithm), "type": body["type"]}
    return {**made, "digest_type": int(digest_type), "digest": digest.upper(), "public_key": body["public_key"]}


def _renew(held: dict[str, Any], years: int) -> None:
    end = datetime.fromisoformat(held["dates"]["registry_ends_at"])
    held["dates"]["registry_ends_at"] = years_later(end, years).isoformat()
