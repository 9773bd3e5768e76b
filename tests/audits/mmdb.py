"""Writes a small MMDB file (MaxMind DB 2.0): which country each network is in."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SEPARATOR = bytes(16)
_MARKER = b"\xab\xcd\xefMaxMind.com"


def write(path: Path, countries: Mapping[str, Any], built: int) -> Path:
    """Write `countries`, from network to ISO code (or to a whole entry), as built at a Unix time."""
    nodes: list[list[int | None]] = [[None, None]]
    data, offsets = b"", []
    for network, said in countries.items():
        bits, length = _bits(network)
        at = 0
        for depth in range(length - 1):
            side = bits >> (127 - depth) & 1
            below = nodes[at][side]
            if below is None:
                nodes.append([None, None])
                below = nodes[at][side] = len(nodes) - 1
            at = below
        nodes[at][bits >> (128 - length) & 1] = -1 - len(offsets)
        offsets.append(len(data))
        data += _encode({"country": {"iso_code": said}} if isinstance(said, str) else said)
    tree = b"".join(_record(side, len(nodes), offsets) for node in nodes for side in node)
    metadata = _encode(
        {
            "binary_format_major_version": (5, 2),
            "binary_format_minor_version": (5, 0),
            "build_epoch": (9, built),
            "database_type": "Test-Country",
            "description": {"en": "A base made by a test"},
            "ip_version": (5, 6),
            "languages": ["en"],
            "node_count": (6, len(nodes)),
            "record_size": (5, 32),
        }
    )
    path.write_bytes(tree + _SEPARATOR + data + _MARKER + metadata)
    return path


def _bits(network: str) -> tuple[int, int]:
    read = ipaddress.ip_network(network)
    shift = 96 if read.version == 4 else 0
    return int(read.network_address), read.prefixlen + shift


def _record(side: int | None, nodes: int, offsets: list[int]) -> bytes:
    if side is None:
        number = nodes  # nothing here
    elif side < 0:
        number = nodes + len(_SEPARATOR) + offsets[-1 - side]
    else:
        number = side
    return number.to_bytes(4, "big")


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_encode(key) + _encode(each) for key, each in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(_encode, value))
    kind, number = value
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _control(kind, len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    assert size < 29  # longer ones are written otherwise
    return bytes((kind << 5 | size,)) if kind < 8 else bytes((size, kind - 7))
