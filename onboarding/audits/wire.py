"""DNS messages as bytes: questions written from a template, replies read just as far as they are needed.

dnspython reads the record data (a message built by it costs ten times more, `performance.md`); the header, the question
and the owner names are read here. Nothing that arrives is trusted: each length is checked, each pointer goes backwards.
"""

import random
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
CNAME, NS, SOA, OPT = TYPES["CNAME"], TYPES["NS"], 6, 41
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
    """What one packet says: `question` is its question section, byte for byte; `packet` the whole."""

    id: int
    flags: int
    question: bytes
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
        """Return the data as in a zone file; a TXT as its text, its strings joined (RFC 7208, 3.3)."""
        if record.kind in _UNCOMPRESSED:
            return _text(record.kind, self.packet[record.start : record.end])
        try:
            rdata = dns.rdata.from_wire(IN, _READ[record.kind], self.packet, record.start, record.end - record.start)
        except (dns.exception.DNSException, ValueError) as error:
            raise Malformed("record") from error
        return str(rdata).lower()

    def target(self, record: Record) -> bytes:
        """Return the name that an alias points to, on the wire, in lower case."""
        name, end = read_name(self.packet, record.start)
        if end != record.end:
            raise Malformed("alias")
        return name


# Their data holds no name that a pointer could shorten: the same bytes always say the same.
_UNCOMPRESSED = frozenset({TYPES["A"], TYPES["AAAA"], TYPES["TXT"], TYPES["CAA"], TYPES["DS"]})


@lru_cache(maxsize=65_536)
def _text(kind: int, data: bytes) -> str:
    try:
        rdata = dns.rdata.from_wire(IN, _READ[kind], data, 0, len(data))
    except (dns.exception.DNSException, ValueError) as error:
        raise Malformed("record") from error
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "backslashreplace")
    text = str(rdata)
    return text if kind == TYPES["CAA"] else text.lower()


def name_to_wire(name: str) -> bytes:
    """Write a name, absolute whether or not it ends with a dot, in lower case.

    Raises:
        Malformed: it is empty, too long, has an empty or too long label, or is not ASCII.
    """
    try:
        labels = name.lower().removesuffix(".").encode("ascii").split(b".")
    except UnicodeEncodeError as error:
        raise Malformed(name) from error
    if not all(0 < len(label) <= LABEL_MAX for label in labels):
        raise Malformed(name)
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\x00"
    if len(wire) > NAME_MAX:
        raise Malformed(name)
    return wire


def name_to_text(wire: bytes) -> str:
    """Read a name back as text, without its final dot; bytes that are not printable are escaped."""
    labels, at = [], 0
    while length := wire[at]:
        label = wire[at + 1 : at + 1 + length]
        labels.append("".join(chr(byte) if 33 <= byte < 127 and byte != 46 else f"\\{byte:03d}" for byte in label))  # noqa: PLR2004 - printable ASCII, less the dot
        at += 1 + length
    return ".".join(labels)


def letters(wire: bytes) -> int:
    """Return, as one number, the bits that change the case of a name on the wire."""
    return int.from_bytes(bytes(0x20 if 97 <= byte <= 122 else 0 for byte in wire), "big")  # noqa: PLR2004 - a to z


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


def decode(packet: bytes) -> Reply:  # noqa: C901 - one pass over the bytes
    """Read a reply. Records beyond RECORDS_MAX are left unread; so is the additional section.

    Raises:
        Malformed: it is not a whole reply to one question.
    """
    try:
        number, flags, questions, answers, authorities, _ = HEADER.unpack_from(packet)
        if not flags & RESPONSE or questions != 1:
            raise Malformed("header")
        asked, at = read_name(packet, 12)
        asked_end = at + 4
        section = packet[12:asked_end]
        if at - 12 != len(asked) or len(packet) < asked_end:  # a pointer there would point at nothing
            raise Malformed("question")
        at = asked_end
        found: list[Record] = []
        negative_ttl, referral = None, False
        if not flags & TRUNCATED:
            for place in range(min(answers + authorities, RECORDS_MAX)):
                if packet[at : at + 2] == b"\xc0\x0c":  # nearly always: the name that was asked
                    owner, at = asked, at + 2
                else:
                    owner, at = read_name(packet, at)
                kind, klass, ttl, size = RECORD.unpack_from(packet, at)
                at += 10
                end = at + size
                if end > len(packet):
                    raise Malformed("record")
                if klass == IN and place < answers:
                    found.append(Record(owner, kind, ttl, at, end))
                elif kind == SOA and size >= 22:  # noqa: PLR2004 - two root names and five numbers
                    negative_ttl = min(ttl, int.from_bytes(packet[end - 4 : end], "big"))
                elif kind == NS:
                    referral = True
                at = end
    except (struct.error, IndexError) as error:
        raise Malformed("short") from error
    return Reply(
        number, flags, section, found, negative_ttl,
        referral and negative_ttl is None and not flags & AUTHORITATIVE, packet,
    )  # fmt: skip
