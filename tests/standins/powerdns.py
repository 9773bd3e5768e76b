"""PowerDNS's HTTP API as version 4.7 behaves, in memory: zones, sets with comments, keys, export, rectification."""

import hashlib
import re
from typing import Any

from tests.standins.http_api import Answer, StandIn

KEY = "not-a-secret"


class PowerDnsStandIn(StandIn):
    """Holds zones by name, with final dot."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, dict[str, Any]] = {}
        self.rectified: list[str] = []

    def allowed(self, headers: dict[str, str]) -> bool:
        return headers.get("x-api-key") == KEY

    def answer(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Answer:
        match path[:4], path[4:]:
            case ["api", "v1", "servers", "localhost"], ["zones"] if method == "GET":
                return 200, [self._shown(zone, rrsets=None) for zone in self.zones.values()]
            case ["api", "v1", "servers", "localhost"], ["zones"] if method == "POST":
                return self._create(body)
            case ["api", "v1", "servers", "localhost"], ["zones", name, *rest]:
                zone = self.zones.get(name.lower())
                return (404, "Not Found") if zone is None else self._of(zone, method, rest, query, body)
        return 404, "Not Found"

    def pretended(self, method: str, path: list[str], body: Any) -> Answer:
        if method == "POST" and path[-1] == "cryptokeys":
            return 201, {"id": 99, "active": True, "ds": []}
        return (201, {"name": body["name"], "rrsets": []}) if method == "POST" else (204, "")

    def _create(self, body: dict[str, Any]) -> Answer:
        name = body["name"].lower()
        if not re.fullmatch(r"([a-z0-9_-]+\.)+", name):
            return 422, {"error": f"DNS Name '{name}' is not canonical"}
        if name in self.zones:
            return 409, "Conflict"
        zone: dict[str, Any] = {"name": name, "account": body.get("account", ""), "serial": 2026112401}
        zone |= {"api_rectify": body.get("api_rectify", False), "sets": {}, "keys": []}
        for given in body.get("rrsets", []):
            zone["sets"][given["name"].lower(), given["type"]] = {"comments": [], **given}
        if body.get("nameservers"):
            records = [{"content": server, "disabled": False} for server in body["nameservers"]]
            zone["sets"][name, "NS"] = {"name": name, "type": "NS", "ttl": 3600, "records": records, "comments": []}
        self.zones[name] = zone
        return 201, self._shown(zone, rrsets=list(zone["sets"].values()))

    def _of(self, zone: dict[str, Any], method: str, rest: list[str], query: dict[str, str], body: Any) -> Answer:  # noqa: PLR0911 - one per route
        match method, rest:
            case "GET", []:
                wanted = query.get("rrset_name", "").lower()
                shown = [each for (name, _), each in zone["sets"].items() if not wanted or name == wanted]
                return 200, self._shown(zone, rrsets=shown)
            case "PATCH", []:
                return self._patch(zone, body["rrsets"])
            case "DELETE", []:
                del self.zones[zone["name"]]
                return 204, ""
            case "PUT", ["rectify"]:
                self.rectified.append(zone["name"])
                return 200, {"result": "Rectified"}
            case "GET", ["export"]:
                return 200, "".join(
                    f"{name}\t{each['ttl']}\tIN\t{kind}\t{record['content']}\n"
                    for (name, kind), each in sorted(zone["sets"].items())
                    for record in each["records"]
                )
            case "GET", ["cryptokeys"]:
                return 200, zone["keys"]
            case "POST", ["cryptokeys"]:
                number = len(zone["keys"]) + 1
                ds = [f"{number} 13 {digest} {_hex(zone['name'], number, size)}" for digest, size in ((1, 40), (2, 64))]
                made = {"id": number, "keytype": "csk", "active": True, "published": True, "ds": ds}
                zone["keys"].append(made)
                return 201, {**made, "privatekey": "not for us"}
            case "DELETE", ["cryptokeys", number]:
                zone["keys"] = [key for key in zone["keys"] if str(key["id"]) != number]
                return 204, ""
        return 405, "Method Not Allowed"

    def _patch(self, zone: dict[str, Any], changes: list[dict[str, Any]]) -> Answer:
        sets = dict(zone["sets"])
        for change in changes:
            key = change["name"].lower(), change["type"]
            if not (key[0] == zone["name"] or key[0].endswith(f".{zone['name']}")):
                return 422, {"error": f"RRset {key[0]} IN {key[1]}: Name is out of zone"}
            if change["changetype"] == "DELETE":
                sets.pop(key, None)
                continue
            if any(name == key[0] and "CNAME" in {kind, key[1]} and kind != key[1] for name, kind in sets):
                return 422, {"error": f"RRset {key[0]} IN {key[1]}: Conflicts with pre-existing RRset"}
            sets[key] = {
                **{name: change[name] for name in ("type", "ttl", "records")},
                "name": key[0],
                "comments": change.get("comments", zone["sets"].get(key, {}).get("comments", [])),
            }
        zone["sets"], zone["serial"] = sets, zone["serial"] + 1
        return 204, ""

    @staticmethod
    def _shown(zone: dict[str, Any], *, rrsets: list[Any] | None) -> dict[str, Any]:
        shown = {key: zone[key] for key in ("name", "account", "serial", "api_rectify")}
        shown |= {"id": zone["name"], "dnssec": bool(zone["keys"])}
        return shown if rrsets is None else {**shown, "rrsets": rrsets}


def _hex(name: str, number: int, size: int) -> str:
    return hashlib.sha256(f"{name}{number}".encode()).hexdigest()[:size]
