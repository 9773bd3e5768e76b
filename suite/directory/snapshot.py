"""The territory as one value: read whole from the official package or from our compact file, checked, or refused.

Source: npm package `@etalab/decoupage-administratif` (COG of the INSEE, EPCI of the DGCL, postcodes of La Poste), data
under Licence Ouverte. The compact file is gzipped NDJSON: a first line of provenance and counts, then one array per
row, whose first item says what it is; the same territory always gives the same bytes.
"""

import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from suite.directory.identifiers import is_insee, is_siren

DATA = Path(__file__).resolve().parent / "data"
SHIPPED = DATA / "territory.ndjson.gz"
OVERRIDES = DATA / "overrides.json"

NATURES = frozenset({"CC", "CA", "CU", "METRO", "MET69"})
ZONES = frozenset({"metro", "drom", "com"})
PAST_KINDS = frozenset({"deleguee", "associee", "arrondissement", "ancienne"})
# Fewer than this and the file is truncated, whatever it says of itself.
FLOORS = {"communes": 34_000, "epci": 1_200, "departments": 100, "regions": 18}
LONGEST_NAME = 150


class SnapshotError(ValueError):
    """The file cannot be imported. Its text is a French sentence naming the file, the entry and the problem."""

    def __init__(self, file: str, entry: str, problem: str) -> None:
        place = f"{file}, {entry}" if entry else file
        super().__init__(f"{place} : {problem}")


class Region(NamedTuple):
    """A region of the COG; overseas territories are their own."""

    code: str
    name: str


class Department(NamedTuple):
    """A département or an overseas territory; `region` is a code."""

    code: str
    name: str
    region: str


class Epci(NamedTuple):
    """An EPCI à fiscalité propre as the file gives it; `population` is municipale."""

    siren: str
    name: str
    nature: str
    population: int


class Commune(NamedTuple):
    """A current commune; `epci` is a SIREN, `population` is municipale. None means unknown or none."""

    code: str
    name: str
    zone: str
    department: str
    siren: str | None
    population: int | None
    postcodes: tuple[str, ...]
    epci: str | None


class PastName(NamedTuple):
    """A commune déléguée, associée, an arrondissement, or a former code (then `name` is ""); `parent` is an INSEE code."""

    kind: str
    code: str
    name: str
    parent: str


class Vintage(NamedTuple):
    """Which year each figure speaks of. `exceptions` maps a département or a zone to its own year, or None if unsaid."""

    label: str
    commune: int
    epci: int
    exceptions: dict[str, int | None]


# The package says none of this: its README links the INSEE's and the DGCL's files. Two figures, two vintages; the
# census of Mayotte is older, and the COM each have their own, which the file does not give.
VINTAGE_2026 = Vintage("2026", 2023, 2022, {"976": 2017, "com": None})
VINTAGES = {"6": VINTAGE_2026}


@dataclass(frozen=True, slots=True)
class Territory:
    """Everything one file says, sorted by code."""

    source: str
    vintage: Vintage
    regions: tuple[Region, ...]
    departments: tuple[Department, ...]
    epci: tuple[Epci, ...]
    communes: tuple[Commune, ...]
    past: tuple[PastName, ...]
    licence: str = "Licence Ouverte 2.0"
    origins: tuple[str, ...] = field(
        default=(
            "INSEE, code officiel géographique et populations municipales",
            "DGCL, liste des EPCI à fiscalité propre",
            "La Poste, base officielle des codes postaux",
        )
    )

    def counts(self) -> dict[str, int]:
        """Return how many rows of each sort there are."""
        return {
            "regions": len(self.regions),
            "departments": len(self.departments),
            "epci": len(self.epci),
            "communes": len(self.communes),
            "past": len(self.past),
        }


_ROWS: dict[str, tuple[str, type[Any]]] = {
    "R": ("regions", Region),
    "D": ("departments", Department),
    "E": ("epci", Epci),
    "C": ("communes", Commune),
    "P": ("past", PastName),
}


def pack(territory: Territory) -> bytes:
    """Write the compact file. The same territory gives the same bytes, whatever the day (and the same text, whatever zlib)."""
    head = {
        "format": 1,
        "source": territory.source,
        "licence": territory.licence,
        "origins": territory.origins,
        "vintage": territory.vintage._asdict(),
        "counts": territory.counts(),
    }
    lines = [json.dumps(head, ensure_ascii=False, sort_keys=True)]
    for letter, (attribute, _) in _ROWS.items():
        lines += [
            json.dumps([letter, *row], ensure_ascii=False, separators=(",", ":"))
            for row in sorted(getattr(territory, attribute))
        ]
    written = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=written, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return written.getvalue()


def unpack(data: bytes, file: str) -> Territory:
    """Read a compact file. Raises SnapshotError when it is not one, or says something impossible."""
    try:
        head, *lines = gzip.decompress(data).decode().splitlines()
        meta = json.loads(head)
        vintage = Vintage(**meta["vintage"])
        rows: dict[str, list[Any]] = {attribute: [] for attribute, _ in _ROWS.values()}
        for line in lines:
            letter, *values = json.loads(line)
            attribute, row = _ROWS[letter]
            rows[attribute].append(
                row(*(tuple(value) if isinstance(value, list) else value for value in values)) if values else row()
            )
        territory = Territory(
            source=meta["source"],
            vintage=vintage,
            licence=meta["licence"],
            origins=tuple(meta["origins"]),
            **{attribute: tuple(found) for attribute, found in rows.items()},
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        raise SnapshotError(
            file, "", f"fichier tronqué ou illisible ({error}). Reconstruisez-le depuis le paquet officiel."
        ) from error
    if territory.counts() != meta.get("counts"):
        raise SnapshotError(file, "première ligne", "le nombre d’entrées annoncé n’est pas celui du fichier.")
    check(territory, file)
    return territory


def shipped(path: Path = SHIPPED) -> tuple[Territory, bytes]:
    """Read the file that comes with the product."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(str(path), "", f"fichier illisible ({error.strerror}).") from error
    return unpack(data, path.name), data


def digest(data: bytes, overrides: Path = OVERRIDES) -> str:
    """Return the SHA-256, in hexadecimal, of a compact file's text and of the override table that completes it."""
    return hashlib.sha256(gzip.decompress(data) + overrides.read_bytes()).hexdigest()


def check(territory: Territory, file: str) -> None:
    """Refuse what cannot be true, whichever file it came from."""
    for name, floor in FLOORS.items():
        count = territory.counts()[name]
        if count < floor:
            raise SnapshotError(file, "", f"{count} entrées ({name}), au moins {floor} attendues : fichier tronqué.")
    regions = _unique(file, "région", (row.code for row in territory.regions))
    departments = _unique(file, "département", (row.code for row in territory.departments))
    epci = _unique(file, "EPCI", (row.siren for row in territory.epci))
    communes = _unique(file, "commune", (row.code for row in territory.communes))
    _unique(file, "nom passé", (f"{row.kind} {row.code}" for row in territory.past))
    for department in territory.departments:
        _known(file, f"département {department.code}", "la région", department.region, regions)
    for row in territory.epci:
        _check_epci(row, file)
    for commune in territory.communes:
        _check_commune(commune, file)
        _known(file, f"commune {commune.code}", "le département", commune.department, departments)
        if commune.epci is not None:
            _known(file, f"commune {commune.code}", "l’EPCI", commune.epci, epci)
    _unique(file, "SIREN", (row.siren for row in territory.communes if row.siren), already=epci)
    for past in territory.past:
        entry = f"{past.kind} {past.code}"
        if past.kind not in PAST_KINDS or not is_insee(past.code):
            raise SnapshotError(file, entry, "type ou code inconnu.")
        _known(file, entry, "la commune", past.parent, communes)
        if past.kind != "ancienne":
            _check_name(past.name, file, entry)


def _check_epci(row: Epci, file: str) -> None:
    entry = f"EPCI {row.siren!r}"
    if not isinstance(row.siren, str) or not is_siren(row.siren):
        raise SnapshotError(file, entry, "le SIREN n’est pas fait de 9 chiffres ou sa clé de contrôle est fausse.")
    _check_name(row.name, file, entry)
    if row.nature not in NATURES:
        raise SnapshotError(file, entry, f"nature « {row.nature} » inconnue (attendu : {', '.join(sorted(NATURES))}).")
    _check_population(row.population, file, entry)


def _check_commune(row: Commune, file: str) -> None:
    entry = f"commune {row.code!r}"
    if not isinstance(row.code, str) or not is_insee(row.code):
        raise SnapshotError(file, entry, "le code INSEE n’a pas la forme attendue (5 caractères, « 01004 », « 2A004 »).")
    _check_name(row.name, file, entry)
    if row.zone not in ZONES:
        raise SnapshotError(file, entry, f"zone « {row.zone} » inconnue.")
    if row.siren is not None and not (isinstance(row.siren, str) and is_siren(row.siren)):
        raise SnapshotError(
            file, entry, f"le SIREN « {row.siren} » n’est pas fait de 9 chiffres ou sa clé de contrôle est fausse."
        )
    if row.population is not None:
        _check_population(row.population, file, entry)
    for postcode in row.postcodes:
        if not isinstance(postcode, str) or not (len(postcode) == 5 and postcode.isascii() and postcode.isdigit()):  # noqa: PLR2004 - a postcode's length
            raise SnapshotError(file, entry, f"le code postal « {postcode} » n’est pas fait de 5 chiffres.")


def _check_population(value: object, file: str, entry: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10_000_000:  # noqa: PLR2004 - more than any
        raise SnapshotError(file, entry, f"la population « {value} » n’est pas un nombre entier d’habitants.")


def _check_name(value: object, file: str, entry: str) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME or not value.isprintable():
        raise SnapshotError(file, entry, f"le nom {value!r} est vide, trop long ou illisible.")


def _known(file: str, entry: str, what: str, value: object, known: frozenset[str]) -> None:
    if value not in known:
        raise SnapshotError(file, entry, f"{what} « {value} » n’existe pas dans le fichier.")


def _unique(file: str, what: str, values: Iterator[str], already: frozenset[str] = frozenset()) -> frozenset[str]:
    counted = Counter(values)
    for value, count in counted.items():
        if count > 1 or value in already:
            raise SnapshotError(file, f"{what} {value}", "présent deux fois.")
    return frozenset(counted)


# --- The override table -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Merger:
    """Several organizations became one on a date. `name` and `nature` describe a successor absent from the file."""

    kind: str
    date: str
    replaced: tuple[str, ...]
    code: str
    name: str
    nature: str
    source: str


def mergers(path: Path = OVERRIDES) -> tuple[Merger, ...]:
    """Read the dated override table. Raises SnapshotError when it is malformed."""
    try:
        found = tuple(
            Merger(
                kind=one["kind"],
                date=one["date"],
                replaced=tuple(one["replaced"]),
                code=one["successor"]["code"],
                name=one["successor"].get("name", ""),
                nature=one["successor"].get("nature", ""),
                source=one["source"],
            )
            for one in json.loads(path.read_text())["mergers"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(path.name, "", f"table illisible ({error}).") from error
    for merger in found:
        entry = f"successeur {merger.code!r}"
        said = (merger.kind, merger.date, merger.code, merger.name, merger.nature, merger.source, *merger.replaced)
        if not all(isinstance(value, str) for value in said):
            raise SnapshotError(path.name, entry, "chaque valeur doit être un texte.")
        try:
            date.fromisoformat(merger.date)
        except ValueError:
            raise SnapshotError(path.name, entry, f"la date « {merger.date} » n’existe pas.") from None
        if merger.kind == "epci":
            _check_epci(Epci(merger.code, merger.name, merger.nature, 0), path.name)
    return found
