"""Answers of signed zones, validated link by link from a DS that we trust (RFC 4035, 5), with dnspython."""

from collections.abc import Callable

import dns.dnssec
import dns.message
import dns.name
import dns.node
import dns.query
import dns.rdataset
import dns.rdatatype
import dns.rrset

Keys = dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset]
Ask = Callable[[str, str], dns.message.Message]


def asking(port: int) -> Ask:
    """Return what asks the server on this port of 127.0.0.1, signatures wanted."""

    def ask(name: str, kind: str) -> dns.message.Message:
        query = dns.message.make_query(name, kind, want_dnssec=True, payload=1232)
        return dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=5)[0]

    return ask


def keys_of(ask: Ask, zone: str, ds: tuple[str, ...]) -> Keys:
    """Return the keys of a zone, vouched for by one of these DS and by their own signature."""
    apex = dns.name.from_text(zone)
    answer = ask(zone, "DNSKEY")
    keys, signatures = sets(answer.answer, apex, "DNSKEY")
    made = {str(dns.dnssec.make_ds(apex, key, "SHA256")) for key in keys}
    assert made & set(ds), f"no key of {zone} matches {ds}"
    dns.dnssec.validate(keys, signatures, {apex: keys})
    return {apex: keys}


def sets(section: list[dns.rrset.RRset], name: dns.name.Name, kind: str) -> tuple[dns.rrset.RRset, dns.rrset.RRset]:
    """Return a set and its signatures."""
    found = {(each.rdtype, each.covers): each for each in section if each.name == name}
    wanted = dns.rdatatype.from_text(kind)
    return found[wanted, dns.rdatatype.NONE], found[dns.rdatatype.RRSIG, wanted]


def answered(ask: Ask, name: str, kind: str, keys: Keys) -> dns.rrset.RRset:
    """Return a set whose signature holds."""
    rrset, signatures = sets(ask(name, kind).answer, dns.name.from_text(name), kind)
    dns.dnssec.validate(rrset, signatures, keys)
    return rrset


def denied(ask: Ask, name: str, kind: str, keys: Keys) -> dns.message.Message:
    """Return a response that gives nothing, and proves it: each NSEC and the SOA signed, one of them over the name."""
    response = ask(name, kind)
    assert not response.answer
    proofs = [each for each in response.authority if each.rdtype == dns.rdatatype.NSEC]
    assert proofs
    for proof in proofs:
        dns.dnssec.validate(*sets(response.authority, proof.name, "NSEC"), keys)
    asked, apex = dns.name.from_text(name), next(iter(keys))
    assert any(_covers(proof, asked, apex, kind) for proof in proofs), f"nothing proves that {name} {kind} is absent"
    return response


def _covers(proof: dns.rrset.RRset, name: dns.name.Name, apex: dns.name.Name, kind: str) -> bool:
    following = proof[0].next
    if proof.name == name:
        return f" {kind} " not in f"{proof[0].to_text()} "
    return bool(proof.name < name and (name < following or following == apex))
