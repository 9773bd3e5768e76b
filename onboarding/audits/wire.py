"""DNS messages as bytes: questions written from a template, replies read just as far as they are needed.

dnspython reads the record data (a message built by it costs ten times more, `performance.md`); the header, the question
and the owner names are read here. Nothing that arrives is trusted: each length is checked, each pointer goes backwards.
"""

import random
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

HEADER = struct.Struct("!6H")
TAIL = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")

_READ = {
    int(kind): kind for kind in map(dns.rdatatype.from_text, ("A", "AAAA", "CAA", "CNAME", "DS", "MX", "NS", "TXT"))
}
TYPES = {kind.name: number for number, kind in _READ.items()}
A, AAAA, CNAME, MX, NS, TXT = (TYPES[kind] for kind in ("A", "AAAA", "CNAME", "MX", "NS", "TXT"))
SOA, OPT = 6, 41
IN = dns.rdataclass.IN

RESPONSE, AUTHORITATIVE, TRUNCATED, RECURSION_DESIRED = 0x8000, 0x0400, 0x0200, 0x0100
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5

# EDNS with the size that crosses every network whole (DNS flag day 2020): no option, version 0.
PAYLOAD = 1232
_EDNS = b"\x00" + struct.pack("!HHIH", OPT, PAYLOAD, 0, 0)

NAME_MAX, LABEL_MAX, RECORDS_MAX = 255, 63, 200


class Malformed(ValueError):
    """The bytes are not the message they should be, or the text is not a name the DNS can carry."""


@dataclass(slots=True)
class Record:
    """One record of a reply. `owner` is the name on the wire, in lower case; `start` and `end` bound its data."""

    owner: bytes
    kind: int
    ttl: int
    start: int
    end: int


@dataclass(slots=True)
class Reply:
    """What one packet says."""

    flags: int
    answers: list[Record]
    # Seconds an absence may be remembered, from the SOA; None without one.
    negative_ttl: int | None
    referral: bool
    packet: bytes

    @property
    def rcode(self) -> int:
        """The response code of the header."""
        return self.flags & 0xF

    @property
    def truncated(self) -> bool:
        """Whether the reply did not fit and must be asked again by TCP."""
        return bool(self.flags & TRUNCATED)

    def text(self, record: Record) -> str:
        """Return the data as in a zone file; a TXT as its text, its strings joined (RFC 7208, 3.3).

        The commonest types are read here, the others by dnspython, whose objects cost more than the rest of a look-up.
        """
        kind, start, end = record.kind, record.start, record.end
        if kind == MX:
            name, stop = read_name(self.packet, start + 2)
            if stop != end:
                raise Malformed("mx")
            return f"{int.from_bytes(self.packet[start : start + 2], 'big')} {name_to_text(name)}."
        if kind == NS:
            return f"{name_to_text(self.target(record))}."
        return _text(kind, self.packet[start:end])

    def target(self, record: Record) -> bytes:
        """Return the name that an alias points to, on the wire, in lower case."""
        name, end = read_name(self.packet, record.start)
        if end != record.end:
            raise Malformed("alias")
        return name


@lru_cache(maxsize=65_536)
def _text(kind: int, data: bytes) -> str:
    """Read data in which no pointer can be: the same bytes always say the same."""
    if kind == A and len(data) == 4:  # noqa: PLR2004 - bytes of an address
        return socket.inet_ntop(socket.AF_INET, data)
    if kind == AAAA and len(data) == 16:  # noqa: PLR2004 - idem
        return socket.inet_ntop(socket.AF_INET6, data)
    if kind == TXT:
        return _strings(data).decode("utf-8", "backslashreplace")
    try:
        rdata = dns.rdata.from_wire(IN, _READ[kind], data, 0, len(data))
    except (dns.exception.DNSException, ValueError) as error:
        raise Malformed("record") from error
    text = str(rdata)
    return text if kind == TYPES["CAA"] else text.lower()


def _strings(data: bytes) -> bytes:
    if len(data) == data[0] + 1 if data else False:  # nearly always one string
        return data[1:]
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    if at != len(data) or not parts:
        raise Malformed("txt")
    return b"".join(parts)


_SIZES = tuple(bytes((size,)) for size in range(LABEL_MAX + 1))


@lru_cache(maxsize=65_536)
def name_to_wire(name: str) -> bytes:
    """Write a name, absolute whether or not it ends with a dot, in lower case.

    Raises:
        Malformed: it is empty, too long, has an empty or too long label, or is not ASCII.
    """
    try:
        labels = name.lower().removesuffix(".").encode("ascii").split(b".")
    except UnicodeEncodeError as error:
        raise Malformed(name) from error
    if b"" in labels or max(map(len, labels)) > LABEL_MAX:
        raise Malformed(name)
    wire = b"".join([_SIZES[len(label)] + label for label in labels]) + b"\x00"
    if len(wire) > NAME_MAX:
        raise Malformed(name)
    return wire


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


@lru_cache(maxsize=65_536)
def name_to_text(wire: bytes) -> str:
    """Read a name back as text, without its final dot; bytes that are no part of a host name are escaped."""
    labels, at = [], 0
    while length := wire[at]:
        label = wire[at + 1 : at + 1 + length]
        if _PLAIN.issuperset(label):
            labels.append(label.decode("ascii"))
        else:
            labels.append("".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in label))
        at += 1 + length
    return ".".join(labels)


_CASE = bytes(0x20 if 97 <= byte <= 122 else 0 for byte in range(256))  # noqa: PLR2004 - a to z


def letters(wire: bytes) -> int:
    """Return, as one number, the bits that change the case of a name on the wire."""
    return int.from_bytes(wire.translate(_CASE), "big")


def question(wire: bytes, kind: int, mask: int) -> bytes:
    """Write a question section in a case drawn at random: who did not see it cannot echo it (0x20)."""
    size = len(wire)
    mixed = int.from_bytes(wire, "big") ^ (mask & random.getrandbits(8 * size))
    return mixed.to_bytes(size, "big") + TAIL.pack(kind, IN)


def query(number: int, asked: bytes, *, edns: bool = True) -> bytes:
    """Write a query for one question section."""
    return HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, int(edns)) + asked + (_EDNS if edns else b"")


def read_name(packet: bytes, at: int) -> tuple[bytes, int]:
    """Read a name from a packet: in lower case, without pointers; and where what follows it starts."""
    parts: list[bytes] = []
    size, end, limit = 1, -1, at
    try:
        while length := packet[at]:
            if length >= 0xC0:  # noqa: PLR2004 - a pointer
                if end < 0:
                    end = at + 2
                at = (length & 0x3F) << 8 | packet[at + 1]
                if at >= limit:  # only backwards, so that it ends
                    raise Malformed("pointer")
                limit = at
                continue
            if length > LABEL_MAX:
                raise Malformed("label")
            size += length + 1
            if size > NAME_MAX or at + length >= len(packet):
                raise Malformed("name")
            parts.append(packet[at : at + 1 + length])
            at += 1 + length
    except IndexError as error:
        raise Malformed("name") from error
    return b"".join(parts).lower() + b"\x00", end if end >= 0 else at + 1


def decode(packet: bytes, asked: bytes, name: bytes) -> Reply:  # noqa: C901 - one pass over the bytes
    """Read the reply to a question already recognised: `asked` is its section as sent, `name` its name in lower case.

    Records beyond RECORDS_MAX are left unread; so is the additional section.

    Raises:
        Malformed: it is not a whole reply.
    """
    found: list[Record] = []
    negative_ttl, referral = None, False
    try:
        _, flags, _, answers, authorities, _ = HEADER.unpack_from(packet)
        if not flags & RESPONSE:
            raise Malformed("header")
        at = HEADER.size + len(asked)
        if not flags & TRUNCATED:
            for place in range(min(answers + authorities, RECORDS_MAX)):
                if packet[at] == 0xC0 and packet[at + 1] == 0x0C:  # noqa: PLR2004 - nearly always: the name asked
                    owner, at = name, at + 2
                else:
                    owner, at = read_name(packet, at)
                kind, klass, ttl, size = RECORD.unpack_from(packet, at)
                at += 10
                end = at + size
                if end > len(packet):
                    raise Malformed("record")
                if klass != IN:
                    pass
                elif place < answers:
                    found.append(Record(owner, kind, ttl, at, end))
                elif kind == SOA and size >= 22:  # noqa: PLR2004 - two root names and five numbers
                    negative_ttl = min(ttl, int.from_bytes(packet[end - 4 : end], "big"))
                elif kind == NS:
                    referral = True
                at = end
    except (struct.error, IndexError) as error:
        raise Malformed("short") from error
    referral = referral and negative_ttl is None and not flags & AUTHORITATIVE
    return Reply(flags, found, negative_ttl, referral, packet)
