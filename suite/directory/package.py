"""The official package's own folder, as published on npm, read into a `Territory`. Nothing is trusted."""

import json
from pathlib import Path
from typing import Any

from suite.directory.identifiers import is_insee
from suite.directory.snapshot import (
    VINTAGES,
    Commune,
    Department,
    Epci,
    PastName,
    Region,
    SnapshotError,
    Territory,
    check,
)

_PAST = {"commune-deleguee": "deleguee", "commune-associee": "associee", "arrondissement-municipal": "arrondissement"}
_PACKAGE = "@etalab/decoupage-administratif"


def read(folder: Path) -> Territory:
    """Read the package's folder, or its `data` folder. Raises SnapshotError; the text names file, entry, problem."""
    data = folder / "data" if (folder / "data").is_dir() else folder
    version = _version(data.parent)
    regions = [
        Region(_text("regions.json", row, "code"), _text("regions.json", row, "nom"))
        for row in _rows(data, "regions.json")
    ]
    departments = [
        Department(*(_text("departements.json", row, key) for key in ("code", "nom", "region")))
        for row in _rows(data, "departements.json")
    ]
    rows = _rows(data, "communes.json")
    current = [row for row in rows if row.get("type") == "commune-actuelle"]
    siren_of = {_text("communes.json", row, "code"): row.get("siren") for row in current}
    epci, membership = _epci(_rows(data, "epci.json"), siren_of)
    communes = [_commune(row, membership) for row in current]
    territory = Territory(
        source=f"{_PACKAGE} {version}",
        vintage=VINTAGES[version.split(".")[0]],
        regions=tuple(sorted(regions)),
        departments=tuple(sorted(departments)),
        epci=tuple(sorted(epci)),
        communes=tuple(sorted(communes, key=lambda row: row.code)),
        past=tuple(sorted(_past(rows))),
    )
    check(territory, "communes.json et epci.json")
    return territory


def _version(folder: Path) -> str:
    name = "package.json"
    try:
        described = json.loads((folder / name).read_text())
        package, version = described["name"], described["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            str(folder / name), "", f"absent ou illisible : le dossier n’est pas celui du paquet {_PACKAGE}."
        ) from error
    if package != _PACKAGE or not isinstance(version, str):
        raise SnapshotError(name, "", f"paquet « {package} » au lieu de {_PACKAGE}.")
    if version.split(".")[0] not in VINTAGES:
        raise SnapshotError(
            name,
            f"version {version}",
            "les années de population de ce millésime ne sont pas connues : ajoutez-les à VINTAGES (snapshot.py).",
        )
    return version


def _rows(data: Path, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads((data / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise SnapshotError(str(data / name), "", f"fichier illisible ({error.strerror}).") from error
    except ValueError as error:
        raise SnapshotError(name, "", f"fichier tronqué ou qui n’est pas du JSON ({error}).") from error
    if not isinstance(rows, list):
        raise SnapshotError(name, "", "une liste est attendue.")
    for position, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise SnapshotError(name, f"entrée n° {position}", "un objet est attendu.")
    return rows


def _text(file: str, row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise SnapshotError(file, f"entrée {row.get('code', '?')!r}", f"le champ « {key} » manque ou n’est pas un texte.")
    return value


def _commune(row: dict[str, Any], membership: dict[str, str]) -> Commune:
    code = _text("communes.json", row, "code")
    postcodes = row.get("codesPostaux", [])
    if not isinstance(postcodes, list) or not all(isinstance(one, str) for one in postcodes):
        raise SnapshotError("communes.json", f"commune {code}", "« codesPostaux » n’est pas une liste de textes.")
    return Commune(
        code=code,
        name=_text("communes.json", row, "nom"),
        zone=_text("communes.json", row, "zone"),
        department=_text("communes.json", row, "departement"),
        siren=row.get("siren"),
        population=row.get("population"),
        postcodes=tuple(sorted(set(postcodes))),
        epci=membership.get(code),
    )


def _epci(rows: list[dict[str, Any]], siren_of: dict[str, Any]) -> tuple[list[Epci], dict[str, str]]:
    """Return the EPCI, and the EPCI of each commune that has one."""
    file = "epci.json"
    found, membership = [], {}
    for row in rows:
        code = _text(file, row, "code")
        entry = f"EPCI {code}"
        population = row.get("populationMunicipale")
        members = row.get("membres")
        if not isinstance(members, list) or not members:
            raise SnapshotError(file, entry, "il n’a aucun membre.")
        for member in members:
            commune = member.get("code") if isinstance(member, dict) else None
            if not isinstance(commune, str) or commune not in siren_of:
                raise SnapshotError(file, entry, f"son membre {commune!r} n’est pas une commune actuelle.")
            if member.get("siren") != siren_of[commune]:
                raise SnapshotError(file, entry, f"le SIREN de son membre {commune} n’est pas celui de communes.json.")
            if commune in membership:
                raise SnapshotError(file, entry, f"son membre {commune} est déjà dans l’EPCI {membership[commune]}.")
            membership[commune] = code
        found.append(Epci(code, _text(file, row, "nom"), _text(file, row, "type"), population))  # type: ignore[arg-type] # check() says so if it is no integer
    return found, membership


def _past(rows: list[dict[str, Any]]) -> list[PastName]:
    file = "communes.json"
    past = []
    for row in rows:
        kind = _text(file, row, "type")
        if kind == "commune-actuelle":
            continue
        code = _text(file, row, "code")
        if kind not in _PAST:
            raise SnapshotError(file, f"entrée {code}", f"type « {kind} » inconnu.")
        parent = _text(file, row, "commune" if kind == "arrondissement-municipal" else "chefLieu")
        past.append(PastName(_PAST[kind], code, _text(file, row, "nom"), parent))
    # Codes of the past that no déléguée nor associée still bears: the file gives no name for them.
    borne = {one.code for one in past} | {row["code"] for row in rows if row["type"] == "commune-actuelle"}
    for row in rows:
        for code in row.get("anciensCodes", []):
            if not isinstance(code, str) or not is_insee(code):
                raise SnapshotError(file, f"commune {row['code']}", f"l’ancien code {code!r} n’est pas un code INSEE.")
            if code not in borne:
                past.append(PastName("ancienne", code, "", row["code"]))
    return past
