"""Where a request comes from, as far as our own proxies can tell."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def visitor(request: HttpRequest) -> str:
    """Return the address to count tries by: an IPv4 address, or the /64 of an IPv6 one, which a household holds whole.

    Each proxy of ours (TRUSTED_PROXIES) adds the address it saw at the end of X-Forwarded-For; what stands before was
    written by the visitor. A header that is too short or no address falls back to whoever is connected.
    """
    found = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        if len(forwarded) >= settings.TRUSTED_PROXIES:
            found = forwarded[-settings.TRUSTED_PROXIES].strip() or found
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return str(request.META.get("REMOTE_ADDR", ""))
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
