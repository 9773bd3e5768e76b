"""Names under `.fr` and elsewhere, ordered from Gandi over its public API, version 5.

Every order is taken at once (202) and done later: nothing is believed until the name's own page shows it, and until
then the step is `NotYet`. What was ordered is remembered in the shared cache for the time an order takes, so that no
worker orders twice; if that memory is lost, Gandi's own answer (the name is no longer free, the date has moved) stops a
second order.

Our mark is a tag of the name in Gandi's account. The API takes public keys and makes the DS itself: the key of a zone
is read from the zone's own servers, and must be the one whose DS we were asked to publish.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.resolver
import dns.rrset
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from onboarding.provisioning.backends.calls import Answer, Caller, Request
from onboarding.provisioning.backends.names import normal, years_needed
from onboarding.provisioning.backends.protocols import Delegation
from onboarding.provisioning.backends.required import require, require_url
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

_NOT_FOUND, _NO_FUNDS, _CONFLICT = 404, 402, 409
_ORDERED_FOR = timedelta(hours=2)  # an order is looked at again after this long without a trace
_RENEWED_FOR = timedelta(days=2)
_SOON, _LATER, _MONEY = timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1)
_MOST_YEARS = 9
_NOTHING_DONE = frozenset({"denied", "busy"})
_TAG = re.compile(r"[^a-z0-9-]+")
_KEY_SIGNING = 1
_DNS_SECONDS = 5.0


class GandiRegistrar:
    """Calls GANDI_URL with GANDI_TOKEN, for the organization GANDI_SHARING_ID; GANDI_HOLDER holds the names."""

    def __init__(self) -> None:
        require_url("GANDI_URL")
        require("GANDI_TOKEN", "GANDI_HOLDER", "DNS_NAME_SERVERS")
        self._caller = Caller(
            settings.GANDI_URL, {"Authorization": f"Bearer {settings.GANDI_TOKEN}"}, "Le bureau d’enregistrement"
        )

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        """Hold the name under our tag."""
        name = normal(domain)
        held = self._page(name)
        if held is None:
            self._order(name, owner)
            raise NotYet("ordered", f"Le nom {name} est commandé : le registre l’enregistre.", after=_SOON)
        self._ours(name, held, owner)

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        """Point the name at our servers, then publish its keys: a DS before its zone would break it."""
        name = normal(domain)
        held = self._held(name)
        wanted = [server.lower().removesuffix(".") for server in delegation.name_servers]
        if sorted(_servers(held)) != sorted(wanted):
            self._send("PUT", f"domain/domains/{name}/nameservers", {"nameservers": wanted})
            raise NotYet("delegating", f"Le registre pointe {name} vers nos serveurs.", after=_SOON)
        present = self._keys(name)
        missing = set(delegation.ds) - set(present)
        if missing:
            for key in _published(name, wanted, missing):
                self._send("POST", f"domain/domains/{name}/dnskeys", key)
            raise NotYet("signing", f"Le registre publie la clé de {name}.", after=_SOON)
        for ds, number in present.items():
            if ds not in delegation.ds:
                self._send("DELETE", f"domain/domains/{name}/dnskeys/{number}")
                raise NotYet("signing", f"Le registre retire une ancienne clé de {name}.", after=_SOON)

    def delegation(self, domain: str) -> Delegation | None:
        """Return where the name points, as Gandi knows it."""
        name = normal(domain)
        servers = _servers(self._held(name))
        if not servers:
            return None
        return Delegation(tuple(f"{server}." for server in servers), tuple(sorted(self._keys(name))))

    def expires_at(self, domain: str) -> datetime:
        """Return until when the registry holds the name for us."""
        return _end(self._held(normal(domain)))

    def ensure_renewed(self, domain: str, until: datetime) -> None:
        """Order whole years, once for an end date."""
        name = normal(domain)
        held = self._held(name)
        end = _end(held)
        years = years_needed(end, until)
        if not years:
            return
        if years > _MOST_YEARS:
            raise Refused("too_far", f"Le nom {name} ne peut pas être réservé si longtemps.")
        waiting = NotYet("renewing", f"Le renouvellement de {name} est commandé.", after=_LATER)
        memory = f"gandi:renewed:{name}:{end.isoformat()}"
        if "pendingRenew" in held.get("status", []) or not cache.add(memory, True, _RENEWED_FOR.total_seconds()):
            raise waiting
        self._pay(f"domain/domains/{name}/renew", {"duration": years}, memory)
        raise waiting

    def _order(self, name: str, owner: str) -> None:
        """Order a name that is free; one that was ordered already is waited for."""
        memory = f"gandi:ordered:{name}"
        ordered_by = cache.get(memory)
        status = self._availability(name)
        if ordered_by is not None or status == "pending":
            if ordered_by not in {None, owner}:
                raise _taken(name)
            if status != "available":
                raise NotYet("ordered", f"Le registre enregistre {name}.", after=_SOON)
        if status != "available":
            raise _taken(name)
        if not cache.add(memory, owner, _ORDERED_FOR.total_seconds()):
            # Ordered a moment ago and still shown free: not twice.
            raise NotYet("ordered", f"Le registre enregistre {name}.", after=_SOON)
        order = {
            "fqdn": name,
            "duration": 1,
            "owner": settings.GANDI_HOLDER,
            "nameservers": [server.rstrip(".") for server in settings.DNS_NAME_SERVERS],
            "tags": [_tag(owner)],
        }
        self._pay("domain/domains", order, memory)

    def _pay(self, path: str, body: object, memory: str) -> None:
        """Send what costs money; what was clearly not done is forgotten, an unclear end is remembered."""
        try:
            self._send("POST", path, body)
        except (NotYet, Refused):
            cache.delete(memory)
            raise
        except Unavailable as outcome:
            if outcome.code in _NOTHING_DONE:
                cache.delete(memory)
            raise

    def _availability(self, name: str) -> str:
        found = self._send("GET", "domain/check", params={"name": name}).json()
        products = found.get("products") if isinstance(found, dict) else None
        # The API leaves the products out of a name that cannot be had at all.
        statuses = [each.get("status") for each in products or [] if isinstance(each, dict)]
        if not isinstance(found, dict) or str(found.get("currency", "EUR")) != "EUR":
            raise _garbage()
        return str(statuses[0]) if statuses else "unavailable"

    def _ours(self, name: str, held: dict[str, Any], owner: str) -> None:
        """Check that a name of the account bears our tag. One without any is tagged when it was just ordered by us."""
        tags = [str(tag) for tag in held.get("tags") or []]
        if _tag(owner) in tags:
            return
        if tags or cache.get(f"gandi:ordered:{name}") != owner:
            raise _taken(name)
        self._send("PUT", f"domain/domains/{name}/tags", {"tags": [_tag(owner)]})
        again = self._held(name)
        if _tag(owner) not in (again.get("tags") or []):
            raise Unavailable("not_done", f"Le bureau d’enregistrement dit avoir marqué {name}, et ne le montre pas.")

    def _held(self, name: str) -> dict[str, Any]:
        found = self._page(name)
        if found is None:
            raise Refused("unknown_domain", f"Le nom {name} n’est pas réservé chez nous.")
        return found

    def _page(self, name: str) -> dict[str, Any] | None:
        """Return what Gandi says of a name of our account; None when it is not there (or not ours: Gandi says 403)."""
        answer = self._caller.send(
            Request("GET", f"domain/domains/{name}", params=_sharing(), expected=frozenset({_NOT_FOUND}))
        )
        if answer.status == _NOT_FOUND:
            return None
        found = answer.json()
        if not isinstance(found, dict):
            raise _garbage()
        if str(found.get("fqdn", "")).lower() != name:
            raise Unavailable("other_answer", f"Le bureau d’enregistrement a répondu pour un autre nom que {name}.")
        return found

    def _keys(self, name: str) -> dict[str, str]:
        """Return the keys that the registry has, by their DS: the number by which Gandi knows each."""
        found = self._send("GET", f"domain/domains/{name}/dnskeys").json()
        try:
            return {
                f"{int(key['keytag'])} {int(key['algorithm'])} {int(key['digest_type'])} {key['digest'].lower()}": str(
                    key["id"]
                )
                for key in found
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _garbage() from error

    def _send(self, method: str, path: str, body: object = None, params: dict[str, str] | None = None) -> Answer:
        answer = self._caller.send(
            Request(method, path, body, {**_sharing(), **(params or {})}, expected=frozenset({_NO_FUNDS, _CONFLICT}))
        )
        if answer.status == _NO_FUNDS:
            sentence = (
                "Le compte chez le bureau d’enregistrement n’est plus approvisionné : un administrateur doit agir."
            )
            raise NotYet("no_funds", sentence, after=_MONEY)
        if answer.status == _CONFLICT:
            raise NotYet("in_progress", "Le registre termine d’abord une autre opération sur ce nom.", after=_SOON)
        return answer


def _published(name: str, servers: list[str], wanted: set[str]) -> list[dict[str, Any]]:
    """Return the keys that the zone's own servers publish and whose DS are wanted, as Gandi takes them."""
    apex = dns.name.from_text(name)
    query = dns.message.make_query(apex, "DNSKEY")
    for server in servers:
        try:
            host, port = _address(server)
            answer = dns.query.udp_with_fallback(query, host, timeout=_DNS_SECONDS, port=port)[0].answer
        except (dns.exception.DNSException, OSError, ValueError):
            continue
        keys = [key for rrset in answer if rrset.rdtype == dns.rdatatype.DNSKEY for key in rrset]
        found = [
            {"algorithm": int(key.algorithm), "type": "ksk", "public_key": key.to_text().split(maxsplit=3)[3]}
            for key in keys
            if key.flags & _KEY_SIGNING and str(dns.dnssec.make_ds(apex, key, "SHA256")) in wanted
        ]
        if len(found) == len(wanted):
            return [{**key, "public_key": key["public_key"].replace(" ", "")} for key in found]
    raise NotYet("keys_not_served", f"Nos serveurs ne publient pas encore la clé de {name}.", after=_SOON)


def _address(server: str) -> tuple[str, int]:
    """Return where a name server is: as NAME_SERVER_ADDRESSES says, or as the DNS does."""
    said = settings.NAME_SERVER_ADDRESSES.get(server)
    if said:
        host, _, port = said.rpartition(":")
        return host, int(port)
    found = dns.resolver.resolve(server, "A", lifetime=_DNS_SECONDS)
    return str(found[0]), 53


def _servers(held: dict[str, Any]) -> list[str]:
    servers = held.get("nameservers") or []
    if not isinstance(servers, list):
        raise _garbage()
    return [str(server).lower().removesuffix(".") for server in servers]


def _end(held: dict[str, Any]) -> datetime:
    try:
        end = datetime.fromisoformat(held["dates"]["registry_ends_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise _garbage() from error
    return end if end.tzinfo else end.replace(tzinfo=timezone.get_default_timezone())


def _tag(owner: str) -> str:
    """Return our mark: letters, digits and hyphens are what a tag takes."""
    return f"suite-{_TAG.sub('-', owner.lower())}"


def _sharing() -> dict[str, str]:
    return {"sharing_id": settings.GANDI_SHARING_ID} if settings.GANDI_SHARING_ID else {}


def _taken(name: str) -> Refused:
    return Refused("taken", f"Le nom {name} est déjà réservé par quelqu’un d’autre.")


def _garbage() -> Unavailable:
    return Unavailable("garbage", "Le bureau d’enregistrement a donné une réponse illisible.")
