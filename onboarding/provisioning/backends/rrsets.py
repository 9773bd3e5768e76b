"""Sets of records in one form, whatever a server makes of case, order, spaces and quotes: so that equal is equal."""

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.txtbase

from onboarding.provisioning.backends.names import normal, within
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused

_STRING_MAX = 255
# What a server makes by itself: the apex's own, and all that signing adds.
APEX = frozenset({"SOA", "NS"})
MADE = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"})


def normal_record(record: Record, zone: str) -> Record:
    """Return a set under its normal name, its values in one form, once each and in order.

    `Refused`: "outside_zone", "no_value", "bad_value" (what the type does not allow), "not_ours_to_write" (the SOA,
    the apex's NS and what signing makes).
    """
    name, kind = normal(record.name), record.type.upper()
    if not within(name, zone):
        raise Refused("outside_zone", f"Le nom {name} n’appartient pas à la zone {zone}.")
    if kind in MADE or (name == zone and kind in APEX):
        raise Refused("not_ours_to_write", f"L’enregistrement {kind} de {name} est tenu par le serveur de noms.")
    if not record.values:
        raise Refused("no_value", f"L’enregistrement {kind} de {name} n’a aucune valeur.")
    values = set()
    for value in record.values:
        try:
            values.add(value if kind == "TXT" else value_of(parsed(kind, value)))
        except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
            raise Refused(
                "bad_value", f"« {value[:80]} » n’est pas une valeur d’enregistrement {kind} ({name})."
            ) from error
    return Record(name, kind, tuple(sorted(values)), record.ttl)


def seen_record(name: str, kind: str, contents: list[str], ttl: int) -> Record:
    """Return a set as a server presents it, in the same form; what only this server understands stays as written."""
    values = set()
    for content in contents:
        try:
            values.add(value_of(parsed(kind, content)))
        except (dns.exception.DNSException, ValueError, NotImplementedError):
            values.add(content)
    return Record(name.lower().removesuffix("."), kind.upper(), tuple(sorted(values)), ttl)


def parsed(kind: str, content: str) -> dns.rdata.Rdata:
    """Read one value as a zone file presents it."""
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), content, relativize=False)


def value_of(rdata: dns.rdata.Rdata) -> str:
    """Return one value as `Record` holds it. UnicodeDecodeError, a ValueError, for a text that is not UTF-8."""
    if isinstance(rdata, dns.rdtypes.txtbase.TXTBase):
        return b"".join(rdata.strings).decode()
    return rdata.to_text()


def presented(record: Record) -> list[str]:
    """Return the values of a set as they stand in a zone file."""
    return [quoted(value) for value in record.values] if record.type == "TXT" else list(record.values)


def quoted(value: str) -> str:
    """Write a text as zone files do: strings of at most 255 bytes, everything unusual escaped."""
    data = value.encode()
    chunks = [data[start : start + _STRING_MAX] for start in range(0, len(data), _STRING_MAX)] or [b""]
    return " ".join('"' + "".join(_escaped(byte) for byte in chunk) + '"' for chunk in chunks)


def conflict(name: str, kind: str) -> Refused:
    """Return the refusal to touch a set that does not bear our mark."""
    return Refused("conflict", f"L’enregistrement {kind} de {name} existe déjà, fait par quelqu’un d’autre.")


def _escaped(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"  # noqa: PLR2004 - printable ASCII
