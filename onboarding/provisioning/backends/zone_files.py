"""Zones as master files (RFC 1035): written when a commune leaves with its zone, read when it brings its domain.

An import changes nothing: it says what would be added, and what stands in the way. Whoever adds does it by
`Dns.ensure_records`, which never touches a set without our mark.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zone
import dns.zonefile

from onboarding.provisioning.backends.names import normal
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.backends.rrsets import APEX, MADE, presented, value_of
from onboarding.provisioning.errors import Refused

_FILE_MAX = 1_000_000  # characters
_LINE = re.compile(r"^zone:(\d+): ")


@dataclass(frozen=True)
class Comparison:
    """What importing a file would do. `different`: as published, as in the file; only a person settles it."""

    added: tuple[Record, ...]
    same: tuple[Record, ...]
    different: tuple[tuple[Record, Record], ...]
    absent: tuple[Record, ...]  # published, and not in the file: they stay


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
    name = normal(zone)
    parsed = dns.zone.Zone(f"{name}.", relativize=False)
    try:
        with parsed.writer(replacement=True) as writer:
            tokens = dns.tokenizer.Tokenizer(text, filename="zone")
            _Whole(tokens, dns.rdataclass.IN, writer, allow_include=False).read()
        return records_of(parsed, name)
    except (dns.exception.DNSException, ValueError, KeyError, IndexError, NotImplementedError) as error:
        detail = _LINE.sub(r"vers la ligne \1, ", str(error))[:200] or type(error).__name__
        raise Refused("bad_zone_file", f"Ce fichier de zone ne se lit pas : {detail}") from error


class _Whole(dns.zonefile.Reader):
    """Reads every line of a file: dnspython's own reader drops names outside the zone without a word."""

    def _eat_line(self) -> None:
        raise ValueError("un nom n’est pas dans cette zone")


def records_of(zone: dns.zone.Zone, apex: str) -> tuple[Record, ...]:
    """Return the sets of a zone made with `relativize=False`, ordered, without what its server makes by itself."""
    found = []
    for owner, node in zone.nodes.items():
        name = owner.to_text(omit_final_dot=True).lower()
        for rdataset in node.rdatasets:
            kind = dns.rdatatype.to_text(rdataset.rdtype)
            if kind in MADE or (name == apex and kind in APEX):
                continue
            values = tuple(sorted({value_of(rdata) for rdata in rdataset}))
            found.append(Record(name, kind, values, rdataset.ttl))
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
