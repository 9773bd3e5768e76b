"""The signatures of an answer, and the proof that something is not there, made when asked (RFC 4470).

An NSEC record covers exactly what was asked and nothing that exists, so that no zone can be walked.
"""

from collections.abc import Callable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rrset
from dns.rdtypes.util import Bitmap

from onboarding.provisioning.backends import local_keys

Signer = tuple[dns.name.Name, str]
Finder = Callable[[dns.name.Name, dns.rdatatype.RdataType], Signer | None]

_DENIAL_TTL = 60
_ALWAYS = ["NSEC", "RRSIG"]


def prove(response: dns.message.Message, kind: dns.rdatatype.RdataType, signer: Finder) -> None:
    """Sign what a response says, and prove what it denies; zones without a key stay as they are."""
    for rrset in list(response.answer):
        found = signer(rrset.name, rrset.rdtype)
        if found is not None:
            response.answer.append(local_keys.signed(*found, rrset))
    for rrset in list(response.authority):
        if rrset.rdtype == dns.rdatatype.NS:
            _delegation(response, rrset.name, signer)
        elif rrset.rdtype == dns.rdatatype.SOA:
            _denial(response, rrset, kind, signer)


def _delegation(response: dns.message.Message, cut: dns.name.Name, signer: Finder) -> None:
    """Sign the DS of a delegation, or prove that it has none."""
    found = signer(cut, dns.rdatatype.DS)
    if found is None:
        return
    signers = [rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.DS]
    if signers:
        response.authority += [local_keys.signed(*found, rrset) for rrset in signers]
        return
    _append(response, found, cut, cut.successor(found[0]), ["NS"])


def _denial(response: dns.message.Message, soa: dns.rrset.RRset, kind: dns.rdatatype.RdataType, signer: Finder) -> None:
    """Prove that the last name asked for does not exist, or not with that type."""
    found = signer(soa.name, dns.rdatatype.SOA)
    if found is None:
        return
    apex = found[0]
    response.authority.append(local_keys.signed(*found, soa))
    aliases = [rrset for rrset in response.answer if rrset.rdtype == dns.rdatatype.CNAME]
    asked = aliases[-1][0].target if aliases else response.question[0].name
    if response.rcode() == dns.rcode.NXDOMAIN:
        # The name, and every star that could have answered for it.
        stars = []
        above = asked.parent()
        while above.is_subdomain(apex):
            stars.append(dns.name.Name((b"*", *above.labels)))
            above = above.parent()
        for name in (asked, stars[-1]):
            _append(response, found, name.predecessor(apex), name.successor(apex), [])
        return
    present = ["SOA", "NS", "DNSKEY"] if asked == apex and kind != dns.rdatatype.DS else []
    _append(response, found, asked, asked.successor(apex), present)


def _append(
    response: dns.message.Message, signer: Signer, owner: dns.name.Name, following: dns.name.Name, kinds: list[str]
) -> None:
    bitmap = Bitmap.from_rdtypes([dns.rdatatype.from_text(kind) for kind in [*kinds, *_ALWAYS]])
    nsec = dns.rdtypes.ANY.NSEC.NSEC(  # type: ignore[no-untyped-call]  # dnspython leaves this one untyped
        dns.rdataclass.IN, dns.rdatatype.NSEC, following, bitmap.windows
    )
    rrset = dns.rrset.from_rdata(owner, _DENIAL_TTL, nsec)
    if rrset not in response.authority:
        response.authority += [rrset, local_keys.signed(*signer, rrset)]
