"""An authoritative server on loopback, whose zones are a dictionary: what a name holds, or how asking for it fails."""

from collections.abc import Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.live.hostile_dns import HostileDns

Records = Mapping[tuple[str, str], list[str] | str]
_CODES = {"servfail": dns.rcode.SERVFAIL, "refused": dns.rcode.REFUSED}


class ZoneDns(HostileDns):
    """Answers from `records`: (name, type) to values, or to nxdomain, servfail, refused, timeout.

    A name nobody holds does not exist, unless it lies below a « *.name » (every name, for « * »).
    """

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.records: dict[tuple[str, str], list[str] | str] = {
            (name.lower(), kind): values for (name, kind), values in records.items()
        }

    def _answers(self, packet: bytes, *, tcp: bool) -> list[tuple[bytes, float]]:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = question.name.to_text().lower().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{name} {kind}"] += 1
        found = self._find(name, kind)
        if found == "timeout":
            return []
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA
        if isinstance(found, str):
            reply.set_rcode(_CODES.get(found, dns.rcode.NXDOMAIN))
        elif found:
            rrset = dns.rrset.RRset(question.name, dns.rdataclass.IN, question.rdtype)
            for value in found:
                rrset.add(_rdata(kind, value), 60)
            reply.answer.append(rrset)
        if not reply.answer and found not in _CODES:
            reply.authority.append(dns.rrset.from_text("fr.", 60, "IN", "SOA", "ns.fr. admin.fr. 1 2 3 4 60"))
        wire = reply.to_wire(max_size=65535)
        if not tcp and len(wire) > 1232:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        return [(wire, 0)]

    def _find(self, name: str, kind: str) -> list[str] | str:
        names = {each for each, _ in self.records}
        if (name, kind) in self.records:
            return self.records[name, kind]
        if name in names or any(each.endswith(f".{name}") for each in names):
            return []
        labels = name.split(".")
        for at in range(1, len(labels) + 1):
            above = ".".join(["*", *labels[at:]])
            if above in names:
                return self.records.get((above, kind), [])
        return "nxdomain"


def _rdata(kind: str, value: str) -> dns.rdata.Rdata:
    if kind != "TXT":
        return dns.rdata.from_text("IN", kind, value)
    raw = value.encode() or b""
    parts = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
    data = b"".join(bytes((len(part),)) + part for part in parts)
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, data, 0, len(data))
