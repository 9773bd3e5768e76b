"""The DNSSEC keys of local zones: one ECDSA P-256 key each (RFC 6605), and what it signs at the moment it is asked."""

from datetime import timedelta
from functools import lru_cache

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rrset
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

_ALGORITHM = dns.dnssec.Algorithm.ECDSAP256SHA256
_KEY_SIGNING = 257  # flags: zone key and secure entry point
_EARLY, _LATE = timedelta(hours=1), timedelta(days=7)


def made() -> str:
    """Return a new private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def delegation_signer(zone: str, pem: str) -> str:
    """Return the DS that the parent must publish, with a SHA-256 digest."""
    return str(dns.dnssec.make_ds(dns.name.from_text(zone), _public(pem), "SHA256"))


def public(zone: dns.name.Name, pem: str) -> dns.rrset.RRset:
    """Return the zone's DNSKEY set."""
    return dns.rrset.from_rdata(zone, 3600, _public(pem))


def signed(zone: dns.name.Name, pem: str, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
    """Return the signatures of a set."""
    now = timezone.now()
    signature = dns.dnssec.sign(
        rrset, _private(pem), zone, _public(pem), inception=now - _EARLY, expiration=now + _LATE, deterministic=False
    )
    return dns.rrset.from_rdata(rrset.name, rrset.ttl, signature)


@lru_cache(maxsize=1000)
def _private(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a zone's key is an elliptic curve's")
    return key


@lru_cache(maxsize=1000)
def _public(pem: str) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
    return dns.dnssec.make_dnskey(_private(pem).public_key(), _ALGORITHM, flags=_KEY_SIGNING)
