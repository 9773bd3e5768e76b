"""What is there against what was decided: the classes of their differences, which are mended, which need a person.

Pure: it reads two values and says what differs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from onboarding.provisioning.backends.protocols import Mailbox, Record
from onboarding.provisioning.models import Resource

MISSING_THERE, MISSING_HERE, DIFFERENT, FOREIGN = "missing_there", "missing_here", "different", "foreign"
Kind = Resource.Kind
# Nobody loses anything when these are set right again: they are ours, and what was decided is known.
SAFE = frozenset(
    {
        (Kind.ZONE, "delegation", MISSING_THERE),
        (Kind.ZONE, "delegation", DIFFERENT),
        (Kind.ZONE, "records", MISSING_THERE),
        (Kind.ZONE, "records", DIFFERENT),
        (Kind.MAIL_DOMAIN, "quota", DIFFERENT),
        (Kind.MAILBOX, "display_name", DIFFERENT),
        (Kind.STORAGE, "quota", DIFFERENT),
    }
)
_WORDS = {
    MISSING_THERE: "manque chez le fournisseur",
    MISSING_HERE: "existe chez le fournisseur avec notre marque, et n’a pas été demandé",
    DIFFERENT: "n’est pas comme décidé",
    FOREIGN: "a été ajouté par quelqu’un d’autre",
}
_FACTS = {
    "itself": "",
    "delegation": "délégation",
    "records": "enregistrement",
    "quota": "quota",
    "display_name": "nom affiché",
    "kind": "nature",
    "targets": "destinataires",
    "mailbox": "boîte",
    "use": "place occupée, au-delà du quota décidé,",
}


@dataclass(frozen=True, order=True)
class Difference:
    """One difference of one resource. `fact` is what differs, `what` which one (a record, an address)."""

    kind: str
    fact: str
    verdict: str
    what: str

    @property
    def safe(self) -> bool:
        """Whether it is mended without asking."""
        return (self.kind, self.fact, self.verdict) in SAFE

    @property
    def sentence(self) -> str:
        """The difference in words."""
        return f"{_FACTS[self.fact]} {self.what} {_WORDS[self.verdict]}".strip().capitalize() + "."

    def as_json(self) -> dict[str, str]:
        """Return it as it is kept on the resource."""
        return {"kind": self.kind, "fact": self.fact, "verdict": self.verdict, "what": self.what}

    @classmethod
    def from_json(cls, kept: Mapping[str, str]) -> "Difference":
        """Read it back."""
        return cls(kept["kind"], kept["fact"], kept["verdict"], kept["what"])


def gone(resource: Resource) -> list[Difference]:
    """Say that the thing itself is not there any more: making it again would hide that somebody lost something."""
    return [Difference(resource.kind, "itself", MISSING_THERE, resource.key)]


def of_zone(zone: str, wanted: Iterable[Record], found: Iterable[Record]) -> list[Difference]:
    """Compare the sets that we publish with those that are there; a set that we never asked for is somebody else's."""
    asked = {(record.name.lower(), record.type): record for record in wanted}
    there = {(record.name.lower(), record.type): record for record in found}
    differences = [
        Difference(Kind.ZONE, "records", MISSING_THERE, f"{kind} de {name}")
        for name, kind in asked.keys() - there.keys()
    ]
    differences += [
        Difference(Kind.ZONE, "records", DIFFERENT, f"{kind} de {name}")
        for name, kind in asked.keys() & there.keys()
        if _values(asked[name, kind]) != _values(there[name, kind])
    ]
    differences += [
        Difference(Kind.ZONE, "records", FOREIGN, f"{kind} de {name}")
        for name, kind in there.keys() - asked.keys()
        if (name, kind) != (zone, "NS") and kind not in {"DNSKEY", "CDS", "CDNSKEY", "RRSIG", "NSEC", "NSEC3PARAM"}
    ]
    return sorted(differences)


def of_mail_domain(decided: Iterable[str], found: Iterable[str]) -> list[Difference]:
    """Compare the addresses that were decided with those that are there."""
    unknown = {address.lower() for address in found} - {address.lower() for address in decided}
    # The domain bears our mark, so what is in it passed by our provider's account, not by us.
    return [Difference(Kind.MAIL_DOMAIN, "mailbox", MISSING_HERE, address) for address in sorted(unknown)]


def of_mailbox(desired: Mapping[str, Any], found: Mailbox) -> list[Difference]:
    """Compare one mailbox, content aside."""
    differences = []
    for fact, wanted, there in (
        ("kind", desired["kind"], found.kind),
        ("display_name", desired["display_name"], found.display_name),
        ("targets", sorted(desired.get("targets", ())), sorted(found.targets)),
    ):
        if wanted != there:
            differences.append(Difference(Kind.MAILBOX, fact, DIFFERENT, f"de {desired['address']}"))
    return differences


def of_space(desired: Mapping[str, Any], *, quota: int | None, used: int) -> list[Difference]:
    """Compare one space. What holds more than was decided is not cut under the feet of its people."""
    if used > desired["quota"]:
        return [Difference(Kind.STORAGE, "use", DIFFERENT, f"de {desired['space']}")]
    if quota != desired["quota"]:
        return [Difference(Kind.STORAGE, "quota", DIFFERENT, f"de {desired['space']}")]
    return []


def _values(record: Record) -> tuple[int, tuple[str, ...]]:
    """Return what counts of a set: its time to live and its values, in any order, names in any case."""
    values = record.values if record.type == "TXT" else tuple(value.lower() for value in record.values)
    return record.ttl, tuple(sorted(values))
