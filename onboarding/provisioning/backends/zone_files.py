"""Zones as master files (RFC 1035): written when a commune leaves with its zone, read when it brings its domain.

An import changes nothing: it says what would be added, and what stands in the way. Whoever adds does it by
`Dns.ensure_records`, which never touches a set without our mark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdatatype
import dns.rdtypes.txtbase
import dns.zone

from onboarding.provisioning.backends.names import normal
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused

_FILE_MAX = 1_000_000  # characters
_STRING_MAX = 255
# What a server makes by itself: the apex's own, and all that signing adds.
_APEX = frozenset({"SOA", "NS"})
_MADE = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"})


@dataclass(frozen=True)
class Comparison:
    """What importing a file would do. `different`: as published, as in the file; only a person settles it."""

    added: tuple[Record, ...]
    same: tuple[Record, ...]
    different: tuple[tuple[Record, Record], ...]
    absent: tuple[Record, ...]  # published, and not in the file: they stay


def quoted(value: str) -> str:
    """Write a text as zone files do: strings of at most 255 bytes, everything unusual escaped."""
    data = value.encode()
    chunks = [data[start : start + _STRING_MAX] for start in range(0, len(data), _STRING_MAX)] or [b""]
    return " ".join('"' + "".join(_escaped(byte) for byte in chunk) + '"' for chunk in chunks)


def presented(record: Record) -> list[str]:
    """Return the values of a set as they stand in a zone file."""
    return [quoted(value) for value in record.values] if record.type == "TXT" else list(record.values)


def written(zone: str, soa: str, name_servers: Sequence[str], records: Iterable[Record], *, ttl: int = 3600) -> str:
    """Return a zone as a master file, every name in full."""
    apex = f"{zone}."
    lines = [f"$ORIGIN {apex}", f"{apex} {ttl} IN SOA {soa}"]
    lines += [f"{apex} {ttl} IN NS {server}" for server in name_servers]
    for record in sorted(records, key=lambda each: (each.name.split(".")[::-1], each.type)):
        lines += [f"{record.name}. {record.ttl} IN {record.type} {value}" for value in presented(record)]
    return "\n".join(lines) + "\n"


def read(zone: str, text: str) -> tuple[Record, ...]:
    """Return the sets of a master file, without its SOA, its own NS and its signatures.

    `Refused("bad_zone_file")`, in words that name the line where dnspython does, for what cannot be read whole: a
    file that includes others, names outside the zone, a text that is not UTF-8.
    """
    if len(text) > _FILE_MAX:
        raise Refused("bad_zone_file", "Ce fichier de zone dépasse un million de caractères.")
    try:
        parsed = dns.zone.from_text(
            text, origin=f"{normal(zone)}.", relativize=False, check_origin=False, allow_include=False
        )
        return records_of(parsed)
    except (dns.exception.DNSException, ValueError, KeyError, IndexError, NotImplementedError) as error:
        detail = str(error)[:200] or type(error).__name__
        raise Refused("bad_zone_file", f"Ce fichier de zone ne se lit pas : {detail}") from error


def records_of(zone: dns.zone.Zone) -> tuple[Record, ...]:
    """Return the sets of a zone made with `relativize=False`, ordered, without what its server makes by itself."""
    found = []
    for name, node in zone.nodes.items():
        for rdataset in node.rdatasets:
            kind = dns.rdatatype.to_text(rdataset.rdtype)
            if kind in _MADE or (name == zone.origin and kind in _APEX):
                continue
            values = tuple(sorted({_value(rdata) for rdata in rdataset}))
            found.append(Record(name.to_text(omit_final_dot=True).lower(), kind, values, rdataset.ttl))
    return tuple(sorted(found, key=lambda each: (each.name, each.type)))


def compare(published: Iterable[Record], imported: Iterable[Record]) -> Comparison:
    """Say, set by set, what a file brings to a zone. A TTL alone is no difference."""
    here = {(each.name, each.type): each for each in published}
    brought = {(each.name, each.type): each for each in imported}
    shared = sorted(here.keys() & brought.keys())
    equal = [key for key in shared if set(here[key].values) == set(brought[key].values)]
    return Comparison(
        added=tuple(brought[key] for key in sorted(brought.keys() - here.keys())),
        same=tuple(here[key] for key in equal),
        different=tuple((here[key], brought[key]) for key in shared if key not in equal),
        absent=tuple(here[key] for key in sorted(here.keys() - brought.keys())),
    )


def _value(rdata: object) -> str:
    if isinstance(rdata, dns.rdtypes.txtbase.TXTBase):
        return b"".join(rdata.strings).decode()  # UnicodeDecodeError is a ValueError
    return str(rdata)


def _escaped(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"  # noqa: PLR2004 - printable ASCII
