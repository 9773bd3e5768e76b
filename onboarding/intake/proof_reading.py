"""Reads the record that proves a domain, at each of the domain's own servers, and what the domain publishes already."""

import ipaddress
import secrets
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from django.conf import settings

from onboarding.audits.facts import Lookup
from onboarding.audits.resolver import Authority, Lookups
from onboarding.intake import names
from onboarding.intake.proof_models import OwnershipProof

Outcome = OwnershipProof.Outcome

SERVERS, ADDRESSES = 8, 2  # how many name servers, how many addresses of each
READING, INVENTORY = 12.0, 6.0  # seconds: together, well under a task's time limit
_VALUES, _LENGTH = 20, 500
_INVENTORY = (
    ("", "NS"), ("", "MX"), ("", "A"), ("", "AAAA"), ("", "TXT"), ("", "CAA"), ("www", "A"), ("_dmarc", "TXT"),
    ("autoconfig", "A"), ("autodiscover", "A"),
)  # fmt: skip


class Server(NamedTuple):
    """A name server of a domain, and where to ask it: (address, port) pairs; none when it cannot be asked."""

    host: str
    places: tuple[tuple[str, int], ...]


class Reading(NamedTuple):
    """What one server said: an `Outcome`, but for "disagree", and why."""

    server: str
    address: str
    outcome: str
    detail: str


def read(domain: str, host: str, value: str, by: Lookups) -> tuple[str, list[dict[str, Any]]]:
    """Return the outcome of asking all the servers of the domain for the record, and what each said."""
    deadline = time.monotonic() + READING
    servers = servers_of(domain, by)
    label = f"_{secrets.token_hex(8)}.{domain}"
    readings = [_ask(server, host, label, value, deadline) for server in servers[:SERVERS]]
    return judge([reading.outcome for reading in readings]), [reading._asdict() for reading in readings]


def judge(outcomes: Collection[str]) -> str:
    """Say what the servers say together: seen only when each of them, and there is at least one, says so."""
    found = set(outcomes)
    if Outcome.WILDCARD in found:
        return Outcome.WILDCARD
    if Outcome.MISSING in found:
        return Outcome.DISAGREE if Outcome.SEEN in found else Outcome.MISSING
    return Outcome.SEEN if found == {Outcome.SEEN} else Outcome.UNKNOWN


def servers_of(domain: str, by: Lookups) -> list[Server]:
    """Return the servers of the zone that holds the name, empty when the DNS cannot say."""
    top, zone = names.registrable(domain), domain
    while zone:
        found = by.lookup(zone, "NS")
        if found.outcome == "answer":
            return [Server(host, _places(host, by)) for host in (value.rstrip(".") for value in found.values)]
        if found.outcome == "unknown" or zone == top:
            return []
        zone = zone.partition(".")[2]
    return []


def _places(host: str, by: Lookups) -> tuple[tuple[str, int], ...]:
    known: dict[str, str] = settings.NAME_SERVER_ADDRESSES
    if host in known:
        address, _, port = known[host].rpartition(":")
        return ((address, int(port)),)
    found = [value for kind in ("A", "AAAA") for value in by.lookup(host, kind).values]
    # Whoever holds a domain chooses these addresses: ours, and those of our own network, are not asked.
    return tuple((address, 53) for address in found if ipaddress.ip_address(address).is_global)[:ADDRESSES]


def _ask(server: Server, host: str, label: str, value: str, deadline: float) -> Reading:
    last = Reading(server.host, "", Outcome.UNKNOWN, "no_address")
    for address, port in server.places:
        if time.monotonic() > deadline:
            return Reading(server.host, address, Outcome.UNKNOWN, "out_of_time")
        authority = Authority(address, port)
        # A name nobody can have published, first: a domain that answers to anything proves nothing.
        anything = authority.lookup(label, "TXT")
        last = Reading(server.host, address, *_outcome(anything, authority.lookup(host, "TXT"), value))
        if last.outcome != Outcome.UNKNOWN:
            return last
    return last


def _outcome(anything: Lookup, record: Lookup, value: str) -> tuple[str, str]:
    if anything.outcome == "unknown":
        return Outcome.UNKNOWN, anything.detail
    if value in _texts(anything):
        return Outcome.WILDCARD, "wildcard"
    if record.outcome == "unknown":
        return Outcome.UNKNOWN, record.detail
    if value in _texts(record):
        return Outcome.SEEN, ""
    return Outcome.MISSING, record.detail or "other_text"


def _texts(lookup: Lookup) -> set[str]:
    return {text.strip() for text in lookup.values}


def inventory(domain: str, by: Lookups) -> dict[str, list[str] | None]:
    """Return what the domain publishes, by « name type »; None where the DNS did not answer. Nothing is changed."""
    deadline = time.monotonic() + INVENTORY
    found: dict[str, list[str] | None] = {}
    for label, kind in _INVENTORY:
        name = f"{label}.{domain}" if label else domain
        if time.monotonic() > deadline:
            found[f"{name} {kind}"] = None
            continue
        lookup = by.lookup(name, kind)
        found[f"{name} {kind}"] = (
            None if lookup.outcome == "unknown" else [value[:_LENGTH] for value in lookup.values[:_VALUES]]
        )
    return found
