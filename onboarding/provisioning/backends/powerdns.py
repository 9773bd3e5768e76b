"""Zones on a PowerDNS Authoritative server, 4.7 or later, over its HTTP API.

Our mark is the `account` of a zone, and a comment (account "suite", content the owner) on each set of records; what
does not bear it is never touched. The zones of communes are rectified at each change, since they are small; in the
parents, which an operator makes, `api_rectify` is off and `rectify_changed` does it in batches (rulings, 19).

The API has no conditional write. Writers of one owner may cross freely. Two owners can only meet on a set of a parent,
under the name of a zone that `ensure_zone` gave to one of them: PowerDNS itself lets one creation of a zone through.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.core.cache import cache

from onboarding.provisioning.backends.calls import Caller, Request
from onboarding.provisioning.backends.names import normal
from onboarding.provisioning.backends.protocols import Delegation, Owned, Record
from onboarding.provisioning.backends.required import require, require_url
from onboarding.provisioning.backends.rrsets import APEX, MADE, conflict, normal_record, presented, seen_record
from onboarding.provisioning.errors import Refused, Unavailable

_SUITE = "suite"
_LIST_MAX = 64_000_000  # 36,000 zones, or a parent of as many delegations, are some 10 MB
_ACCOUNT_MAX = 40  # the column of PowerDNS's own schema
_FEW = 4  # names asked one by one rather than with their whole zone
_CREATED, _NOT_FOUND, _CONFLICT = 201, 404, 409
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_SHORT = re.compile(r":([A-Za-z0-9_-]{22})$")
_SHA256 = "2"  # the digest of the DS that we publish


class PowerDns:
    """Calls the server that POWERDNS_URL names, with POWERDNS_API_KEY."""

    def __init__(self) -> None:
        require_url("POWERDNS_URL")
        require("POWERDNS_API_KEY", "DNS_NAME_SERVERS")
        self._caller = Caller(
            f"{settings.POWERDNS_URL.rstrip('/')}/api/v1/servers/{quote(settings.POWERDNS_SERVER)}",
            {"X-API-Key": settings.POWERDNS_API_KEY},
            "Le serveur DNS",
        )

    def ensure_zone(self, zone: str, *, owner: str) -> None:
        """Have the zone. The server lets one creation through; whoever comes second reads whose it is."""
        name = normal(zone)
        found = self._zone(name, of=name)
        if found is None:
            self._create(name, _account(owner))
            found = self._zone(name, of=name)
            if found is None:
                raise Unavailable("not_done", f"Le serveur DNS dit avoir créé {name}, et ne la montre pas.")
        if found.get("account") != _account(owner):
            raise Refused("conflict", f"Une zone {name} existe déjà, faite par quelqu’un d’autre.")

    def delegation(self, zone: str) -> Delegation:
        """Return the NS that the zone itself publishes, and the DS of its active keys."""
        name = normal(zone)
        found = self._held(name, of=name)
        servers = [record for record in self._sets(found) if (record.name, record.type) == (name, "NS")]
        if not servers:
            raise Unavailable("no_name_servers", f"La zone {name} n’a pas de serveur de noms.")
        signers = {ds for key in self._keys(name) for ds in key["ds"]} if found.get("dnssec") else set()
        return Delegation(servers[0].values, tuple(sorted(signers)))

    def ensure_delegated(self, parent: str, zone: str, delegation: Delegation, *, owner: str) -> None:
        """Publish the delegation in the parent, in one change."""
        name = normal(zone)
        records = [Record(name, "NS", delegation.name_servers)]
        if delegation.ds:
            records.append(Record(name, "DS", delegation.ds))
        self._change(normal(parent), records, () if delegation.ds else [(name, "DS")], owner)

    def ensure_records(self, zone: str, records: Sequence[Record], *, owner: str) -> None:
        """Publish each set, in one change."""
        self._change(normal(zone), records, (), owner)

    def records(self, zone: str) -> tuple[Record, ...]:
        """Return what the zone publishes."""
        name = normal(zone)
        found = self._sets(self._held(name))
        kept = [
            each
            for each in found
            if each.type not in MADE and each.values and not (each.name == name and each.type in APEX)
        ]
        return tuple(sorted(kept, key=lambda each: (each.name, each.type)))

    def ensure_signed(self, zone: str) -> None:
        """Give the zone one ECDSA P-256 key. Of keys made at the same moment, the first stays."""
        name = normal(zone)
        found = self._held(name, of=name)
        if found.get("dnssec") and self._keys(name):
            return
        made = self._call(
            "POST",
            f"{_path(name)}/cryptokeys",
            {"keytype": "csk", "active": True, "published": True, "algorithm": "ECDSAP256SHA256"},
        )
        number = made.get("id")
        keys = self._keys(name)
        if not keys:
            raise Unavailable("not_done", f"Le serveur DNS dit avoir signé {name}, et n’en montre pas la clé.")
        if len(keys) > 1 and isinstance(number, int) and number != min(key["id"] for key in keys):
            self._caller.send(Request("DELETE", f"{_path(name)}/cryptokeys/{number}", expected=frozenset({_NOT_FOUND})))
        self._caller.send(Request("PUT", f"{_path(name)}/rectify"))

    def ensure_absent(self, zone: str, sets: Sequence[tuple[str, str]], *, owner: str) -> None:
        """Take our sets away, in one change."""
        name = normal(zone)
        if self._zone(name, of=name) is not None:
            self._change(name, (), sets, owner)

    def ensure_undelegated(self, parent: str, zone: str, *, owner: str) -> None:
        """Take our delegation away."""
        self.ensure_absent(parent, [(zone, "NS"), (zone, "DS")], owner=owner)

    def ensure_no_zone(self, zone: str, *, owner: str) -> None:
        """Delete the zone, with its records, its keys and its marks."""
        name = normal(zone)
        found = self._zone(name, of=name)
        if found is None:
            return
        if found.get("account") != _account(owner):
            raise Refused("conflict", f"La zone {name} a été faite par quelqu’un d’autre.")
        self._caller.send(Request("DELETE", _path(name), expected=frozenset({_NOT_FOUND})))
        if self._zone(name, of=name) is not None:
            raise Unavailable("not_done", f"Le serveur DNS dit avoir supprimé {name}, et la montre encore.")

    def zones(self) -> Iterator[Owned]:
        """Yield every zone, by name."""
        found = self._caller.send(Request("GET", "zones", params={"dnssec": "false"}, limit=_LIST_MAX)).json()
        if not isinstance(found, list) or not all(isinstance(each, dict) and "name" in each for each in found):
            raise _garbage()
        for each in sorted(found, key=lambda one: str(one["name"])):
            account = str(each.get("account") or "")
            yield Owned(str(each["name"]).lower().removesuffix("."), _owner(account) if account else None)

    def zone_file(self, zone: str) -> str:
        """Return the zone as PowerDNS itself writes it, SOA first."""
        name = normal(zone)
        answer = self._caller.send(
            Request(
                "GET",
                f"{_path(name)}/export",
                expected=frozenset({_NOT_FOUND}),
                limit=_LIST_MAX,
                accept="text/plain",
            )
        )
        if answer.status == _NOT_FOUND:
            raise _unknown(name)
        lines = sorted(answer.text.splitlines(), key=lambda line: ("\tSOA\t" not in line, line))
        return "\n".join([f"$ORIGIN {name}.", *lines]) + "\n"

    def rectify_changed(self, zone: str) -> bool:
        """Rectify a signed zone that changed since the last time, and say whether it did.

        The serial rectified is kept in the shared cache: lost, it costs one rectification more, and forgets none.
        """
        name = normal(zone)
        found = self._held(name, of=name)
        serial, key = found.get("serial"), f"powerdns:rectified:{name}"
        if not found.get("dnssec") or found.get("api_rectify") or cache.get(key) == serial:
            return False
        # The serial was read before: what changes meanwhile is rectified the next time.
        self._caller.send(Request("PUT", f"{_path(name)}/rectify"))
        cache.set(key, serial, None)
        return True

    def _create(self, name: str, account: str) -> None:
        servers = [f"{server.rstrip('.')}." for server in settings.DNS_NAME_SERVERS]
        contact = settings.DNS_HOSTMASTER.rstrip(".") or f"hostmaster.{name}"
        soa = f"{servers[0]} {contact}. 1 3600 600 1209600 3600"
        content = [{"content": soa, "disabled": False}]
        self._caller.send(
            Request(
                "POST",
                "zones",
                {
                    "name": f"{name}.",
                    "kind": settings.POWERDNS_ZONE_KIND,
                    "account": account,
                    "nameservers": servers,
                    "soa_edit_api": "DEFAULT",
                    "api_rectify": True,
                    "rrsets": [{"name": f"{name}.", "type": "SOA", "ttl": 3600, "records": content}],
                },
                expected=frozenset({_CONFLICT}),
            )
        )

    def _change(self, zone: str, records: Sequence[Record], absent: Sequence[tuple[str, str]], owner: str) -> None:
        """Make what is asked true in one PATCH, which PowerDNS takes whole or not at all; then look whether it is."""
        wanted = [normal_record(each, zone) for each in records]
        leaving = [(normal(name), kind.upper()) for name, kind in absent]
        names = {each.name for each in wanted} | {name for name, _ in leaving}
        patch = self._missing(self._around(zone, names), wanted, leaving, owner)
        if not patch:
            return
        self._caller.send(Request("PATCH", _path(zone), {"rrsets": patch}))
        if self._missing(self._around(zone, names), wanted, leaving, owner):
            raise Unavailable("not_done", f"Le serveur DNS dit avoir publié dans {zone}, et ne le montre pas.")

    @staticmethod
    def _missing(
        present: dict[tuple[str, str], tuple[Record, str | None]],
        wanted: Sequence[Record],
        leaving: Sequence[tuple[str, str]],
        owner: str,
    ) -> list[dict[str, Any]]:
        """Return the changes still to make. `Refused("conflict")` for a set without the mark, before any is made."""
        patch: list[dict[str, Any]] = []
        for record in wanted:
            seen, mark = present.get((record.name, record.type), (None, None))
            if seen is not None and mark != owner:
                raise conflict(record.name, record.type)
            if seen != record:
                patch.append(
                    {
                        "name": f"{record.name}.",
                        "type": record.type,
                        "ttl": record.ttl,
                        "changetype": "REPLACE",
                        "records": [{"content": content, "disabled": False} for content in presented(record)],
                        "comments": [{"account": _SUITE, "content": owner}],
                    }
                )
        for name, kind in leaving:
            seen, mark = present.get((name, kind), (None, None))
            if seen is not None and mark != owner:
                raise conflict(name, kind)
            if seen is not None:
                patch.append({"name": f"{name}.", "type": kind, "changetype": "DELETE"})
        return patch

    def _around(self, zone: str, names: set[str]) -> dict[tuple[str, str], tuple[Record, str | None]]:
        """Return the sets at these names with their marks; a parent of 30,000 delegations is not read for one."""
        if len(names) <= _FEW:
            found = [rrset for name in sorted(names) for rrset in self._held(zone, of=name)["rrsets"]]
        else:
            found = self._held(zone)["rrsets"]
        present = {}
        for rrset in found:
            record = _seen(rrset)
            if record is not None and record.name in names:
                present[record.name, record.type] = (record, _mark(rrset))
        return present

    def _held(self, name: str, *, of: str | None = None) -> dict[str, Any]:
        found = self._zone(name, of=of)
        if found is None:
            raise _unknown(name)
        return found

    def _zone(self, name: str, *, of: str | None = None) -> dict[str, Any] | None:
        """Return the zone with all its sets, or those of one name; None when the server does not hold it."""
        answer = self._caller.send(
            Request(
                "GET",
                _path(name),
                params={} if of is None else {"rrset_name": f"{of}."},
                expected=frozenset({_NOT_FOUND}),
                limit=_LIST_MAX,
            )
        )
        if answer.status == _NOT_FOUND:
            return None
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("rrsets"), list):
            raise _garbage()
        if str(found.get("name", "")).lower() != f"{name}.":
            raise Unavailable("other_answer", f"Le serveur DNS a répondu pour une autre zone que {name}.")
        return found

    @staticmethod
    def _sets(found: dict[str, Any]) -> list[Record]:
        return [record for record in (_seen(rrset) for rrset in found["rrsets"]) if record is not None]

    def _keys(self, name: str) -> list[dict[str, Any]]:
        """Return the zone's active keys that enter a chain of trust, each with its DS of digest SHA-256."""
        found = self._caller.send(Request("GET", f"{_path(name)}/cryptokeys")).json()
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise _garbage()
        keys = []
        for each in found:
            signers = [
                ds.lower() for ds in each.get("ds") or [] if isinstance(ds, str) and ds.split()[2:3] == [_SHA256]
            ]
            if each.get("active") and signers and isinstance(each.get("id"), int):
                keys.append({"id": each["id"], "ds": signers})
        return keys

    def _call(self, method: str, path: str, body: object) -> dict[str, Any]:
        found = self._caller.send(Request(method, path, body)).json()
        if not isinstance(found, dict):
            raise _garbage()
        return found


def _path(name: str) -> str:
    return f"zones/{name}."


def _seen(rrset: dict[str, Any]) -> Record | None:
    """Return a set as the API shows it, None for what is only the trace of one (comments without records)."""
    try:
        records = rrset["records"]
        if not records:
            return None
        published = [str(each["content"]) for each in records if not each.get("disabled")]
        return seen_record(str(rrset["name"]), str(rrset["type"]), published, int(rrset["ttl"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _garbage() from error


def _mark(rrset: dict[str, Any]) -> str | None:
    """Return the owner that our comment names."""
    for comment in rrset.get("comments") or []:
        if isinstance(comment, dict) and comment.get("account") == _SUITE:
            return str(comment.get("content"))
    return None


def _account(owner: str) -> str:
    """Return the mark of a zone: the owner, its UUID in 22 characters instead of 36 to fit PowerDNS's column."""
    found = _UUID.search(owner)
    short = urlsafe_b64encode(UUID(found[0]).bytes).decode().rstrip("=") if found else ""
    account = owner[: found.start()] + short if found else owner
    if len(account) > _ACCOUNT_MAX:
        raise Refused("mark_too_long", f"La marque « {owner[:80]} » est trop longue pour le serveur DNS.")
    return account


def _owner(account: str) -> str:
    """Return the owner whose mark this is."""
    found = _SHORT.search(account)
    if found is None:
        return account
    return f"{account[: found.start(1)]}{UUID(bytes=urlsafe_b64decode(found[1] + '=='))}"


def _unknown(name: str) -> Refused:
    return Refused("unknown_zone", f"La zone {name} n’existe pas chez nous.")


def _garbage() -> Unavailable:
    return Unavailable("garbage", "Le serveur DNS a donné une réponse illisible.")
