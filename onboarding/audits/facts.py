"""What was seen of a domain: each look-up has three outcomes, and « unknown » is never « none »."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["answer", "none", "unknown"]

# Under these, each name belongs to somebody else: policies are not inherited through them.
SHARED_SUFFIXES = frozenset({"collectivite.fr", "gouv.fr", "asso.fr", "com.fr", "nom.fr", "prd.fr", "tm.fr"})


@dataclass(frozen=True)
class Lookup:
    """One question to the DNS and what came back.

    `values` as in a zone file, but a TXT value is its text, neither quoted nor cut. `detail` says why there is no
    answer: nxdomain, nodata; timeout, refused, servfail, malformed, network, loop.
    """

    name: str
    type: str
    outcome: Outcome
    values: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """What the DNS says about the mail of a domain. `dkim` goes from selector to look-up."""

    domain: str
    mx: Lookup
    txt: Lookup
    dmarc: Lookup
    dmarc_inherited: Lookup | None = None
    dkim: dict[str, Lookup] = field(default_factory=dict)
    # Whatever else was asked, in the order it was: what an SPF record leads to, the addresses of the mail servers...
    others: tuple[Lookup, ...] = ()

    def known(self) -> dict[tuple[str, str], Lookup]:
        """Return what was looked up, by name (lower case, no final dot) and type."""
        found = {(each.name, each.type): each for each in self.others}
        found |= {
            (self.domain, "MX"): self.mx,
            (self.domain, "TXT"): self.txt,
            (f"_dmarc.{self.domain}", "TXT"): self.dmarc,
        }
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the shape stored in `Audit.facts`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Facts":
        """Return the facts of an `Audit`, so that a new rule replays on them."""
        inherited = stored["dmarc_inherited"]
        return cls(
            domain=stored["domain"],
            mx=lookup_from(stored["mx"]),
            txt=lookup_from(stored["txt"]),
            dmarc=lookup_from(stored["dmarc"]),
            dmarc_inherited=lookup_from(inherited) if inherited else None,
            dkim={selector: lookup_from(each) for selector, each in stored["dkim"].items()},
            others=tuple(lookup_from(each) for each in stored.get("others", ())),
        )


def lookup_from(stored: dict[str, Any]) -> Lookup:
    """Return one look-up from the shape it is stored in."""
    return Lookup(**{**stored, "values": tuple(stored["values"])})


def organizational_domain(domain: str) -> str:
    """Return the domain one registers: `mairie.exemple.fr` gives `exemple.fr`, `exemple.collectivite.fr` itself."""
    labels = domain.lower().rstrip(".").split(".")
    depth = 3 if ".".join(labels[-2:]) in SHARED_SUFFIXES else 2
    return ".".join(labels[-depth:])
