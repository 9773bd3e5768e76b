"""Which addresses a probe may contact (`presence.md`, 3). Pure."""

import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # younger than some versions of Python
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; addresses wrapped in IPv6 are unwrapped first."""
    try:
        parsed: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    for inner in _unwrap(parsed):
        if not inner.is_global or inner.is_multicast or inner.is_reserved or inner.is_unspecified:
            return False
        if inner.version == 6 and (inner not in _UNICAST or inner in _DOCUMENTATION):  # noqa: PLR2004 - IPv6
            return False
    return True


def _unwrap(address: Address) -> list[Address]:  # noqa: PLR0911 - one return per wrapping
    """Return what an address really reaches: IPv4-mapped, 6to4, Teredo and NAT64 hide another one."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in _LOCAL_NAT64:
        return [ipaddress.IPv4Address("127.0.0.1")]  # a network of somebody's own
    return [address]
