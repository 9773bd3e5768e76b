"""An authoritative DNS server over the local world: what the local backend publishes is read back over real sockets.

`reply` is the whole of its judgement, bytes to bytes; the rest carries bytes. It answers for its zones alone (REFUSED
elsewhere), transfers nothing, and no packet can stop it. Zones with a key are signed at the moment they are asked
(`local_proofs.py`).
"""

import asyncio
import contextlib
import json
import logging
import signal
import sqlite3
from collections.abc import Callable
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from onboarding.provisioning.backends import local_keys, local_proofs, world
from onboarding.provisioning.backends.local import NAME_SERVERS, soa
from onboarding.provisioning.backends.local_mail import HOST_RECORDS, HOST_ZONE
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.backends.rrsets import presented
from onboarding.provisioning.errors import Unavailable

logger = logging.getLogger(__name__)

_HEADER = 12
_CLASSIC_UDP = 512
_UDP_MAX = 1232
_ALIASES_MAX = 8
_NEGATIVE_TTL = 60
_TCP_IDLE = 5.0  # seconds
_TCP_CLIENTS_MAX = 64


def reply(wire: bytes, *, over_udp: bool) -> bytes | None:
    """Return the response to one message, None for what deserves none (too short, or itself a response)."""
    if len(wire) < _HEADER or wire[2] & 0x80:
        return None
    try:
        query = dns.message.from_wire(wire, ignore_trailing=True)
        response = dns.message.make_response(query, our_payload=_UDP_MAX)
        _answer(query, response)
        limit = max(_CLASSIC_UDP, min(query.payload or 0, _UDP_MAX)) if over_udp else 65535
        return _fitted(response, limit)
    except Unavailable:
        return _bare(wire, dns.rcode.SERVFAIL)
    except (dns.exception.DNSException, ValueError, KeyError, IndexError, AttributeError, UnicodeError):
        return _bare(wire, dns.rcode.FORMERR)
    except Exception:  # a server outlives every packet; the traceback is what we need to mend it
        logger.exception("local_dns: a message of %d bytes was not understood", len(wire))
        return _bare(wire, dns.rcode.SERVFAIL)


def _bare(wire: bytes, code: dns.rcode.Rcode) -> bytes:
    """Return a header alone: the caller's id, opcode and RD, and the code."""
    return wire[:2] + bytes([0x80 | (wire[2] & 0x79), code & 0xF]) + bytes(8)


def _fitted(response: dns.message.Message, limit: int) -> bytes:
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)


def _answer(query: dns.message.Message, response: dns.message.Message) -> None:
    if query.opcode() != dns.opcode.QUERY:
        response.set_rcode(dns.rcode.NOTIMP)
    elif len(query.question) != 1:
        response.set_rcode(dns.rcode.FORMERR)
    elif query.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
    else:
        asked = query.question[0]
        if asked.rdclass != dns.rdataclass.IN or asked.rdtype in {dns.rdatatype.AXFR, dns.rdatatype.IXFR}:
            response.set_rcode(dns.rcode.REFUSED)
            return
        with world.opened() as connection:
            connection.execute("BEGIN")  # the whole answer is of one moment
            _look(connection, asked.name, asked.rdtype, response)
            if query.ednsflags & dns.flags.DO:
                local_proofs.prove(response, asked.rdtype, lambda name, kind: _signer(connection, name, kind))


def _look(
    connection: sqlite3.Connection, asked: dns.name.Name, kind: dns.rdatatype.RdataType, response: dns.message.Message
) -> None:
    """Fill the response for one name: answer, alias followed inside our zones, referral, NODATA or NXDOMAIN."""
    name = asked
    for hop in range(_ALIASES_MAX):
        zone = _zone_of(connection, name, kind)
        if zone is None:
            if not hop:
                response.set_rcode(dns.rcode.REFUSED)
            return
        apex, serial = zone
        here = _rrsets(connection, apex, name, serial)
        cut = None if name == apex else _cut(connection, apex, name)
        if cut is not None and not (cut.name == name and kind == dns.rdatatype.DS):
            response.authority.append(cut)
            signers = [each for each in _rrsets(connection, apex, cut.name, serial) if each.rdtype == dns.rdatatype.DS]
            response.authority += signers
            return
        response.flags |= dns.flags.AA
        if not here and not _has_below(connection, apex, name):
            here = _wildcard(connection, apex, name, serial)
        found = [rrset for rrset in here if kind in {rrset.rdtype, dns.rdatatype.ANY}]
        if found:
            response.answer += found
            return
        alias = next((rrset for rrset in here if rrset.rdtype == dns.rdatatype.CNAME), None)
        if alias is None:
            if not here and not _has_below(connection, apex, name):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(_soa(apex, serial, _NEGATIVE_TTL))
            return
        if alias in response.answer:
            return
        response.answer.append(alias)
        name = alias[0].target


def _zone_of(
    connection: sqlite3.Connection, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> tuple[dns.name.Name, int] | None:
    """Return the closest zone that holds the name; the DS of a zone belongs to its parent."""
    candidate = name.parent() if kind == dns.rdatatype.DS and name != dns.name.root else name
    while candidate != dns.name.root:
        if _key(candidate) == HOST_ZONE:
            return candidate, 1
        row = connection.execute("SELECT serial FROM zones WHERE name = ?", (_key(candidate),)).fetchone()
        if row is not None:
            return candidate, row["serial"]
        candidate = candidate.parent()
    return None


def _rrsets(
    connection: sqlite3.Connection, apex: dns.name.Name, name: dns.name.Name, serial: int
) -> list[dns.rrset.RRset]:
    rows = connection.execute("SELECT * FROM rrsets WHERE zone = ? AND name = ?", (_key(apex), _key(name)))
    found = [_rrset(name, row["ttl"], row["type"], json.loads(row["contents"])) for row in rows]
    found += [_rrset(name, 3600, kind, values) for (host, kind), values in HOST_RECORDS.items() if host == _key(name)]
    if name == apex:
        found += [_soa(apex, serial, 3600), _rrset(apex, 3600, "NS", NAME_SERVERS)]
        row = connection.execute("SELECT signing_key FROM zones WHERE name = ?", (_key(apex),)).fetchone()
        found += [local_keys.public(apex, row["signing_key"])] if row is not None and row["signing_key"] else []
    return found


def _cut(connection: sqlite3.Connection, apex: dns.name.Name, name: dns.name.Name) -> dns.rrset.RRset | None:
    """Return the delegation at or above the name inside the zone."""
    while name != apex:
        row = connection.execute(
            "SELECT * FROM rrsets WHERE zone = ? AND name = ? AND type = 'NS'", (_key(apex), _key(name))
        ).fetchone()
        if row is not None:
            return _rrset(name, row["ttl"], "NS", json.loads(row["contents"]))
        name = name.parent()
    return None


def _has_below(connection: sqlite3.Connection, apex: dns.name.Name, name: dns.name.Name) -> bool:
    """Tell an empty non-terminal, which exists, from a name that does not."""
    suffix = "." + _key(name)
    row = connection.execute(
        "SELECT 1 FROM rrsets WHERE zone = ? AND substr(name, -length(?)) = ? LIMIT 1", (_key(apex), suffix, suffix)
    ).fetchone()
    return row is not None


def _wildcard(
    connection: sqlite3.Connection, apex: dns.name.Name, name: dns.name.Name, serial: int
) -> list[dns.rrset.RRset]:
    """Return what the star below the closest name that exists says of a name that does not (RFC 4592)."""
    above = name.parent()
    while above != apex and not (_rrsets(connection, apex, above, serial) or _has_below(connection, apex, above)):
        above = above.parent()
    found = _rrsets(connection, apex, dns.name.Name((b"*", *above.labels)), serial)
    return [dns.rrset.from_rdata_list(name, each.ttl, list(each)) for each in found]


def _signer(
    connection: sqlite3.Connection, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> local_proofs.Signer | None:
    """Return the zone that answers for the name and its key, None when that zone is not signed."""
    zone = _zone_of(connection, name, kind)
    if zone is None:
        return None
    row = connection.execute("SELECT signing_key FROM zones WHERE name = ?", (_key(zone[0]),)).fetchone()
    return (zone[0], row["signing_key"]) if row is not None and row["signing_key"] else None


def _soa(apex: dns.name.Name, serial: int, ttl: int) -> dns.rrset.RRset:
    return _rrset(apex, ttl, "SOA", [soa(serial)])


def _rrset(name: dns.name.Name, ttl: int, kind: str, values: "list[str] | tuple[str, ...]") -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, ttl, "IN", kind, presented(Record(_key(name), kind, tuple(values))))


def _key(name: dns.name.Name) -> str:
    """Return a name as the world's file keeps it: lower case, no final dot."""
    return name.to_text(omit_final_dot=True).lower()


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own transport is not a subclass of the type that describes it.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = reply(data, over_udp=True)
        if response is not None:
            self.transport.sendto(response, addr)

    def error_received(self, exc: Exception) -> None:
        logger.debug("local_dns: %s", exc)


class _Streams:
    """Answers over TCP: several messages a connection, few connections, none idle for long."""

    def __init__(self) -> None:
        self.clients: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None and len(self.clients) < _TCP_CLIENTS_MAX:
            self.clients.add(task)
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, TimeoutError):
                await self._serve(reader, writer)
            self.clients.discard(task)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    @staticmethod
    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), _TCP_IDLE))
            wire = await asyncio.wait_for(reader.readexactly(size), _TCP_IDLE)
            response = reply(wire, over_udp=False)
            if response is None:
                return
            writer.write(len(response).to_bytes(2) + response)
            await asyncio.wait_for(writer.drain(), _TCP_IDLE)


async def serve(port: int, ready: Callable[[int], None]) -> None:
    """Answer on 127.0.0.1, UDP and TCP, until SIGTERM or SIGINT. Port 0 takes a free one; `ready` is told which."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    streams = _Streams()
    server = await asyncio.start_server(streams, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(_Datagrams, local_addr=("127.0.0.1", port))
    try:
        ready(port)
        await stop.wait()
    finally:
        transport.close()
        server.close()
        for client in streams.clients:
            client.cancel()
