"""A DNS server that plays every bad server an audit may meet: the first label of the name says which."""

import socket
import struct
import threading
import time
from collections import Counter
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

BIG = "x" * 250


def packet_name(query: dns.message.Message) -> bytes:
    return query.question[0].name.to_wire() or b""


def _same_port() -> tuple[socket.socket, socket.socket]:
    """Return two sockets, UDP and TCP, on one free port: what is free for one may be taken for the other."""
    for _ in range(50):
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp
    raise OSError("no port is free for both")


class HostileDns:
    """Serves on loopback, by UDP and TCP, until it leaves its `with`. `asked` counts the questions, by name."""

    def __init__(self, *, mute: bool = False) -> None:
        self.mute = mute
        self.asked: Counter[str] = Counter()
        self.by_tcp: Counter[str] = Counter()
        self._stop = threading.Event()
        self._udp, self._tcp = _same_port()
        self.address: tuple[str, int] = self._udp.getsockname()
        self._udp.settimeout(0.1)
        self._tcp.settimeout(0.1)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve, self._listen)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                packet, sender = self._udp.recvfrom(4096)
            except TimeoutError:
                continue
            for answer, wait in self._answers(packet, tcp=False):
                if wait:
                    threading.Timer(wait, self._send, (answer, sender)).start()
                else:
                    self._send(answer, sender)

    def _send(self, answer: bytes, sender: tuple[str, int]) -> None:
        if not self._stop.is_set():
            self._udp.sendto(answer, sender)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                link, _ = self._tcp.accept()
            except TimeoutError:
                continue
            with link:
                link.settimeout(1)
                try:
                    size = struct.unpack("!H", link.recv(2))[0]
                    packet = link.recv(size)
                    for answer, _ in self._answers(packet, tcp=True):
                        link.sendall(struct.pack("!H", len(answer)) + answer)
                    if b"cut" in packet:
                        time.sleep(0.05)
                except (OSError, struct.error):
                    continue

    def _answers(self, packet: bytes, *, tcp: bool) -> list[tuple[bytes, float]]:
        """Return what to send back, each with the seconds to wait before."""
        if self.mute:
            return []
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name = question.name
        text = name.to_text().lower().rstrip(".")
        self.asked[text] += 1
        self.by_tcp[text] += tcp
        kind = name.labels[0].decode().lower()
        handler = getattr(self, f"_{kind}", self._honest)
        return [(each, wait) for each, wait in handler(query, packet, text, tcp)]

    # --- Each behaviour -----------------------------------------------------------------------------------------------

    @staticmethod
    def _reply(query: dns.message.Message, *values: str, kind: str = "TXT") -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        if values:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", kind, *values))
        return reply

    def _honest(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        if query.question[0].rdtype != dns.rdatatype.TXT:
            return [(self._reply(query).to_wire(), 0)]
        return [(self._reply(query, '"honest"').to_wire(), 0)]

    def _absent(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        reply = self._reply(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        return [(reply.to_wire(), 0)]

    def _silent(self, *_: object) -> list[tuple[bytes, float]]:
        return []

    def _flaky(self, query: dns.message.Message, packet: bytes, text: str, *_: object) -> list[tuple[bytes, float]]:
        return [] if self.asked[text] == 1 else self._honest(query)

    def _slow(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        return [(answer, 0.7) for answer, _ in self._honest(query)]

    def _lame(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        reply = self._reply(query)
        reply.set_rcode(dns.rcode.REFUSED)
        return [(reply.to_wire(), 0)]

    def _ill(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        reply = self._reply(query)
        reply.set_rcode(dns.rcode.SERVFAIL)
        return [(reply.to_wire(), 0)]

    def _forged(self, query: dns.message.Message, packet: bytes, *_: object) -> list[tuple[bytes, float]]:
        """Forgeries arrive before the true answer: another number, another name, another case."""
        lie = bytearray(self._reply(query, '"forged"').to_wire())
        number = bytearray(lie)
        number[0] ^= 0xFF
        case = bytes(lie[:12]) + bytes(lie[12:]).replace(b"forged", b"FORGED", 1)
        other = dns.message.make_query("autre.example", "TXT", id=query.id)
        return [(bytes(number), 0), (self._reply(other, '"forged"').to_wire(), 0), (case[:20], 0), *self._honest(query)]

    def _lowercase(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        """An old server that does not keep the case of the question."""
        lowered = dns.message.make_query(query.question[0].name.canonicalize(), "TXT", id=query.id)
        return [(self._reply(lowered, '"lowered"').to_wire(), 0)]

    def _truncated(self, query: dns.message.Message, _: bytes, __: str, tcp: bool) -> list[tuple[bytes, float]]:  # noqa: FBT001 - a handler's signature
        reply = self._reply(query, *([f'"{BIG}{at}"' for at in range(8)] if tcp else []))
        if not tcp:
            reply.flags |= dns.flags.TC
        return [(reply.to_wire(max_size=65535), 0)]

    def _always(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        """Truncated by TCP too."""
        reply = self._reply(query)
        reply.flags |= dns.flags.TC
        return [(reply.to_wire(), 0)]

    def _huge(self, query: dns.message.Message, _: bytes, __: str, tcp: bool) -> list[tuple[bytes, float]]:  # noqa: FBT001 - a handler's signature
        """A TXT of nearly 64 kB."""
        reply = self._reply(query)
        if not tcp:
            reply.flags |= dns.flags.TC
            return [(reply.to_wire(), 0)]
        data = (bytes((255,)) + b"y" * 255) * 250
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, data, 0, len(data))
        reply.answer.append(dns.rrset.from_rdata(query.question[0].name, 60, rdata))
        return [(reply.to_wire(max_size=65535), 0)]

    def _alias(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        return [(self._reply(query, "honest.example.", kind="CNAME").to_wire(), 0)]

    def _loop(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        return [(self._reply(query, query.question[0].name.to_text(), kind="CNAME").to_wire(), 0)]

    def _turning(self, query: dns.message.Message, packet: bytes, text: str, *_: object) -> list[tuple[bytes, float]]:
        """An alias to another alias, for ever."""
        return [(self._reply(query, f"turning.x{text[8:200]}.", kind="CNAME").to_wire(), 0)]

    def _noedns(self, query: dns.message.Message, packet: bytes, *_: object) -> list[tuple[bytes, float]]:
        if query.edns >= 0:
            return [(packet[:2] + b"\x80\x01" + b"\x00" * 8, 0)]
        return self._honest(query)

    def _garbage(self, query: dns.message.Message, packet: bytes, *_: object) -> list[tuple[bytes, float]]:
        asked = packet[: 12 + len(packet_name(query)) + 4]
        return [(asked[:2] + b"\x80\x00\x00\x01\x00\x03" + asked[8:] + b"\xc0\xff\xff\x00\x10", 0)]

    def _pointers(self, query: dns.message.Message, packet: bytes, *_: object) -> list[tuple[bytes, float]]:
        """A name that points at itself."""
        section = packet[12 : 12 + len(packet_name(query)) + 4]
        at = 12 + len(section)
        return [(packet[:2] + b"\x80\x00\x00\x01\x00\x01" + b"\x00" * 4 + section + struct.pack("!H", 0xC000 | at), 0)]

    def _elsewhere(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        """Answers about somebody else."""
        reply = self._reply(query)
        reply.answer.append(dns.rrset.from_text("autre.example.", 60, "IN", "TXT", '"stolen"'))
        return [(reply.to_wire(), 0)]

    def _referral(self, query: dns.message.Message, *_: object) -> list[tuple[bytes, float]]:
        reply = self._reply(query)
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.autre.example."))
        return [(reply.to_wire(), 0)]

    def _cut(self, query: dns.message.Message, packet: bytes, text: str, tcp: bool) -> list[tuple[bytes, float]]:  # noqa: FBT001 - a handler's signature
        """Truncated, then a TCP connection that says nothing."""
        return [] if tcp else self._always(query)
