"""Which addresses a probe may contact: those of the public internet, whatever they are wrapped in."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.audits.safety import is_public

FORBIDDEN = [
    "0.0.0.0", "0.1.2.3",  # this network
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # private
    "100.64.0.1", "100.127.255.254",  # carrier-grade NAT
    "127.0.0.1", "127.255.255.254",  # loopback
    "169.254.0.1", "169.254.169.254",  # link-local, and the metadata of clouds
    "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",  # protocol, documentation
    "198.18.0.1", "198.19.255.255",  # benchmarks
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",  # multicast, reserved, broadcast
    "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1",  # nothing, loopback, link-local, site-local
    "fc00::1", "fd00:ec2::254", "fdff::1",  # unique local, and metadata again
    "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1",  # multicast, documentation, discard, SRv6
    "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",  # IPv4 in IPv6
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::1",  # 6to4
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",  # NAT64
    "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo by a private server, towards 127.0.0.1
    "", "mairie.fr", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "1.2.3.4.5", "8.8.8.8 ", "8.8.8.8/32",
]  # fmt: skip
ALLOWED = [
    "8.8.8.8", "185.0.0.1", "212.27.48.10", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
    "2a01:cb00::1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_never_contacted(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_may_be(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_wrapping_makes_a_forbidden_address_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
    ]
    assert {is_public(str(each)) for each in wrapped} == {is_public(str(address))}


@given(st.one_of(st.ip_addresses(), st.text()))
def test_what_is_public_is_global_to_python_too(address: object) -> None:
    if is_public(str(address)):
        assert ipaddress.ip_address(str(address)).is_global or ":" in str(address)
