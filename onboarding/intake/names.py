"""Domain names a commune may ask for: normalised, judged, proposed. No network (`requests.md`, 4).

The reserved ones are a setting of the trade; nothing else here reads the database.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tldextract import TLDExtract

from suite import trade
from suite.directory.folding import JOINTS, slug
from suite.directory.folding import letters as fold

__all__ = [
    "EXTENSIONS",
    "LABEL",
    "Reserved",
    "abbreviations",
    "fold",
    "is_subdomain",
    "label_problem",
    "labels_of",
    "normalise",
    "problem",
    "registrable",
    "reserved",
    "skeleton",
    "slug",
]

NBSP = "\u00a0"
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SHORTEST = 3  # a bare name of one or two letters starts at « mairie-nom »

_DATA = json.loads((Path(__file__).parent / "data" / "extensions.json").read_text())["extensions"]
# The sovereign extensions, and for each where its registry answers RDAP ("" where it does not).
RDAP: dict[str, str] = {row["extension"]: row["rdap"] for row in _DATA}
EXTENSIONS = tuple(RDAP)

_QUALIFIER = re.compile(r"\([^)]*\)")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_LOOK_ALIKES = (("rn", "m"), ("0", "o"), ("1", "l"), ("i", "l"))


class Reserved(NamedTuple):
    """Why a label is kept from the public; `blocked` never given, otherwise two people decide."""

    blocked: bool
    reason: str


def normalise(typed: str, *, default_extension: str = "") -> str:
    """Return the name meant by what was typed, an address of a site included; "" when nothing is left.

    Characters that no rule converts stay, for `problem` to name them. A bare label takes the default extension.
    """
    text = fold(typed.strip())
    text = _SCHEME.sub("", text).split("/")[0].split("?")[0].split("#")[0].split("@")[-1].split(":")[0]
    text = _QUALIFIER.sub("", text).strip().removeprefix("www.").strip(".")
    # An encoded label (xn--) is left alone: collapsing its hyphens would make another name of it.
    labels = [label if label.startswith("xn--") else _joined(label) for label in text.split(".")]
    name = ".".join(labels).strip(".")
    if name and "." not in name and default_extension:
        name = f"{name}.{default_extension}"
    return name


def _joined(label: str) -> str:
    return re.sub(r"-{2,}", "-", JOINTS.sub("-", label.strip())).strip("-")


def skeleton(name: str) -> str:
    """Return the name without hyphens, look-alikes folded: two names of one skeleton would be confused."""
    text = name.replace("-", "")
    for seen, same in _LOOK_ALIKES:
        text = text.replace(seen, same)
    return text


def label_problem(label: str) -> str:  # noqa: PLR0911 - one return per thing to say
    """Return what is wrong with one label, as a French sentence, "" when nothing is."""
    if not label:
        return "Indiquez un nom."
    if len(label) > 63:  # noqa: PLR2004 - RFC 1035
        return "Ce nom est trop long : 63 caractères au plus entre deux points."
    if label.startswith("xn--"):
        return f"Un nom encodé («{NBSP}xn--{NBSP}») ne convient pas aux messageries.{_decoded(label)}"
    if label[2:4] == "--":
        return "Ce nom ne peut pas avoir deux tirets en troisième et quatrième position."
    if said := _foreign(label):
        return said
    if not LABEL.fullmatch(label):
        return "Ce nom ne peut contenir que des lettres sans accent, des chiffres et des tirets à l’intérieur."
    if label.isdigit():
        return "Ce nom ne peut pas être fait que de chiffres."
    return ""


def _decoded(label: str) -> str:
    """Return the name to take instead of an encoded one, as a sentence, "" when it gives none."""
    try:
        plain = slug(label.encode("ascii").decode("idna"))
    except UnicodeError:
        return ""
    return f" Nous proposons «{NBSP}{plain}{NBSP}»." if plain and not plain.startswith("xn--") else ""


def _foreign(label: str) -> str:
    """Return what to say of a letter that is not of the Latin alphabet, or that has no plain form."""
    odd = next((char for char in label if not char.isascii() and char.isalpha()), "")
    if not odd:
        return ""
    latin = unicodedata.name(odd, "").startswith("LATIN")
    if not latin and re.search("[a-z]", label):
        return f"Ce nom mélange plusieurs alphabets{NBSP}: «{NBSP}{odd}{NBSP}» n’est pas une lettre latine. Retapez-la."
    return f"La lettre «{NBSP}{odd}{NBSP}» ne peut pas figurer dans un nom{NBSP}: écrivez-le avec les lettres de a à z."


def problem(fqdn: str, family: str, *, shared_zone: str) -> str:
    """Return what keeps a normalised name out of its family, as a French sentence, "" when nothing does.

    `family` is a `Dossier.Family`: "collectivite" (one label under our zone), "new" (one label under a sovereign
    extension) or "existing" (any name of at least two labels, ours excepted).
    """
    if not fqdn:
        return "Indiquez le nom souhaité."
    if len(fqdn) > 253:  # noqa: PLR2004 - RFC 1035
        return f"Ce nom est trop long{NBSP}: 253 caractères au plus."
    labels = fqdn.split(".")
    malformed = next(filter(None, map(label_problem, labels)), "")
    kept = reserved(labels[0]) if family != "existing" else None
    return malformed or _misplaced(fqdn, family, shared_zone) or (kept.reason if kept and kept.blocked else "")


def _misplaced(fqdn: str, family: str, shared_zone: str) -> str:
    rest = fqdn.partition(".")[2]
    if family == "collectivite" and rest != shared_zone:
        return f"Ce nom doit être de la forme «{NBSP}commune.{shared_zone}{NBSP}», sans autre point."
    if family == "new" and rest not in EXTENSIONS:
        extensions = ", ".join(f".{extension}" for extension in EXTENSIONS)
        return f"Ce nom doit être un seul mot suivi d’une de ces extensions{NBSP}: {extensions}."
    return _not_held(fqdn, rest, shared_zone) if family == "existing" else ""


def _not_held(fqdn: str, rest: str, shared_zone: str) -> str:
    if not rest:
        return f"Indiquez le nom entier, avec son extension{NBSP}: par exemple «{NBSP}macommune.fr{NBSP}»."
    if f".{fqdn}".endswith(f".{shared_zone}"):
        return f"Un nom sous {shared_zone} se demande avec le choix «{NBSP}nom gratuit{NBSP}»."
    if registrable(fqdn) == "":
        return f"«{NBSP}{fqdn}{NBSP}» est une extension, que personne ne détient{NBSP}: indiquez le nom entier."
    return ""


def reserved(label: str) -> Reserved | None:
    """Return why a label is reserved, None when it is not."""
    kept = trade.read("reserved_names").match(label)
    return Reserved(kept.blocked, kept.reason) if kept else None


@cache
def _suffixes() -> TLDExtract:
    # The list that comes with the package: nothing is fetched, nothing is written.
    return TLDExtract(suffix_list_urls=(), cache_dir=None)


def registrable(fqdn: str) -> str:
    """Return the name that somebody registered: « mairie.evreux.fr » stands under `evreux.fr`.

    "" for a public suffix (`asso.fr`); the name itself where the suffix is not in the public list.
    """
    found = _suffixes()(fqdn)
    if not found.suffix:
        return fqdn
    return f"{found.domain}.{found.suffix}" if found.domain else ""


def is_subdomain(fqdn: str) -> bool:
    """Whether the name stands under another that somebody registered: its holder must agree in writing."""
    return registrable(fqdn) not in {"", fqdn}


def labels_of(  # noqa: PLR0913 - what tells one commune from another
    name: str,
    *,
    department: str,
    postcode: str,
    insee: str,
    shared: bool,
    short_shared: bool = False,
    used: Iterable[str] = (),
    prefixes: Iterable[str] = ("mairie", "ville", "commune"),
) -> list[str]:
    """Return the labels a commune may recognisably bear, the most natural first; all are valid.

    The ladder ends at the INSEE code because two communes may share name, département and postcode. `shared`: others
    bear the name, which is then never proposed bare; `short_shared`: others bear it without its article. `used` are
    suffixes that a namesake has too (its département, its postcode): they tell nobody apart. `insee` and `department`
    are codes such as "2A004".
    """
    bare = slug(name)
    if not bare:
        return []
    forms = [bare]
    short = re.sub(r"^(l|la|le|les)-", "", bare)
    if short not in {bare, ""}:
        forms.append(short)
    alone = [] if shared else [form for form in forms if form == bare or not short_shared]
    bases = [form for form in alone if len(form) >= SHORTEST]
    bases += [f"{prefix}-{form}" for prefix in prefixes for form in alone]
    taken = {suffix.lower() for suffix in used}
    suffixes = [one for one in (department.lower(), postcode, insee.lower()) if one and one not in taken]
    bases += [f"{form}{suffix}" for suffix in suffixes for form in forms]
    return [label for label in dict.fromkeys(bases) if not label_problem(label) and not _is_blocked(label)]


def abbreviations(label: str) -> list[str]:
    """Return the label with « saint » written « st », and the other way round: alternatives, never a first choice."""
    short = re.sub(r"(^|-)saint(e?)(?=-)", r"\1st\2", label)
    long = re.sub(r"(^|-)st(e?)(?=-)", r"\1saint\2", label)
    return [other for other in (short, long) if other != label]


def _is_blocked(label: str) -> bool:
    kept = reserved(label)
    return kept is not None and kept.blocked
