"""The two files a territory comes from, and the sentence each broken one gets."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.directory import package, snapshot
from suite.directory.snapshot import SnapshotError, Territory

MERGER = {
    "kind": "epci",
    "date": "2026-01-01",
    "replaced": ["241200658"],
    "successor": {"code": "994579670", "name": "CC X", "nature": "CC"},
    "source": "essai",
}
PAST = {"deleguee": "commune-deleguee", "associee": "commune-associee", "arrondissement": "arrondissement-municipal"}


def write_package(folder: Path, territory: Territory) -> Path:
    """Write a territory the way the official package does."""
    data = folder / "data"
    data.mkdir(parents=True)
    department = {row.code: row for row in territory.departments}
    communes: list[dict[str, Any]] = []
    former: dict[str, list[str]] = {}
    for past in territory.past:
        if past.kind == "ancienne":
            former.setdefault(past.parent, []).append(past.code)
            continue
        key = "commune" if past.kind == "arrondissement" else "chefLieu"
        communes.append({"code": past.code, "nom": past.name, "type": PAST[past.kind], key: past.parent})
    members: dict[str, list[dict[str, Any]]] = {}
    for row in territory.communes:
        one: dict[str, Any] = {
            "code": row.code,
            "nom": row.name,
            "zone": row.zone,
            "departement": row.department,
            "region": department[row.department].region,
            "type": "commune-actuelle",
            "siren": row.siren,
            "population": row.population,
            "codesPostaux": list(row.postcodes),
            "anciensCodes": former.get(row.code),
        }
        communes.append({key: value for key, value in one.items() if value not in (None, [])})
        if row.epci:
            members.setdefault(row.epci, []).append({"code": row.code, "siren": row.siren})
    files: dict[str, Any] = {
        "regions.json": [{"code": row.code, "nom": row.name} for row in territory.regions],
        "departements.json": [
            {"code": row.code, "nom": row.name, "region": row.region} for row in territory.departments
        ],
        "communes.json": communes,
        "epci.json": [
            {
                "code": row.siren,
                "nom": row.name,
                "type": row.nature,
                "populationMunicipale": row.population,
                "membres": members.get(row.siren, []),
            }
            for row in territory.epci
        ],
    }
    for name, content in files.items():
        (data / name).write_text(json.dumps(content, ensure_ascii=False))
    (folder / "package.json").write_text(json.dumps({"name": "@etalab/decoupage-administratif", "version": "6.0.0"}))
    return folder


@pytest.fixture(scope="session")
def official(shipped: Territory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("official"), shipped)


def test_the_shipped_file_holds_the_whole_territory(shipped: Territory) -> None:
    assert len(shipped.communes) == 34_969
    assert len(shipped.epci) == 1_255
    assert sum(1 for row in shipped.communes if row.population is not None and row.population < 3500) == 31_673
    assert sum(1 for row in shipped.communes if row.siren) == 34_875
    assert sum(1 for row in shipped.communes if row.postcodes) == 34_964
    kinds = [row.kind for row in shipped.past]
    assert (kinds.count("deleguee"), kinds.count("associee"), kinds.count("arrondissement")) == (2105, 471, 45)
    assert (len(shipped.departments), len(shipped.regions)) == (109, 26)
    assert sum(1 for row in shipped.epci if row.nature == "CC" and row.population < 15_000) == 360


def test_the_shipped_file_says_where_it_comes_from_and_is_small() -> None:
    data = snapshot.read_shipped()
    head = json.loads(gzip.decompress(data).split(b"\n", 1)[0])
    assert head["source"] == "@etalab/decoupage-administratif 6.0.0"
    assert "Licence Ouverte" in head["licence"]
    assert (head["vintage"]["commune"], head["vintage"]["epci"]) == (2023, 2022)
    assert head["counts"]["communes"] == 34_969
    assert len(data) < 1_000_000


def test_the_same_territory_gives_the_same_bytes_whatever_its_order(shipped: Territory) -> None:
    shuffled = replace(shipped, communes=tuple(reversed(shipped.communes)))
    assert snapshot.pack(shuffled) == snapshot.pack(shipped)


def test_the_official_package_gives_back_the_shipped_file(official: Path, shipped: Territory) -> None:
    assert package.read(official) == shipped
    assert package.read(official / "data") == shipped


def test_data_without_their_version_are_read_and_said_so(official: Path, tmp_path: Path) -> None:
    shutil.copytree(official / "data", tmp_path / "alone")
    assert "version non précisée" in package.read(tmp_path / "alone").source


Change = Callable[[list[dict[str, Any]]], object]


def _first(rows: list[dict[str, Any]], **fields: object) -> dict[str, Any]:
    return next(row for row in rows if all(row.get(key) == value for key, value in fields.items()))


def _drop_half(rows: list[dict[str, Any]]) -> None:
    del rows[10_000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("communes.json", _drop_half, "34000"),
        ("communes.json", lambda rows: rows.append(dict(_first(rows, code="38061"))), "38061"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(siren="213800619"), "38061"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(population="3500"), "population"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(population=-1), "population"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(population=True), "population"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(nom=""), "nom"),
        ("communes.json", lambda rows: _first(rows, code="38061").pop("departement"), "departement"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(departement="99"), "99"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(codesPostaux="38500"), "codesPostaux"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(codesPostaux=["3850"]), "3850"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(zone="lune"), "lune"),
        ("communes.json", lambda rows: _first(rows, code="38061").update(code=38061), "code"),
        ("communes.json", lambda rows: _first(rows, type="commune-deleguee").update(chefLieu="00000"), "00000"),
        ("communes.json", lambda rows: _first(rows, type="commune-deleguee").update(type="hameau"), "hameau"),
        ("communes.json", lambda rows: _first(rows, code="01033").update(anciensCodes=[7]), "01033"),
        ("communes.json", lambda rows: rows.append({"type": "commune-actuelle"}), "code"),
        ("epci.json", lambda rows: rows[0]["membres"].append({"code": "99999"}), "99999"),
        ("epci.json", lambda rows: rows[1]["membres"].append(rows[0]["membres"][0]), "déjà"),
        ("epci.json", lambda rows: rows[0]["membres"][0].update(siren="210100012"), "SIREN"),
        ("epci.json", lambda rows: rows[0].update(membres=[]), "membre"),
        ("epci.json", lambda rows: rows[0].update(type="SIVU"), "SIVU"),
        ("epci.json", lambda rows: rows[0].update(populationMunicipale=None), "population"),
        ("epci.json", lambda rows: rows[0].update(code="200000173"), "200000173"),
        ("epci.json", lambda rows: rows.append(dict(rows[0], membres=rows[0]["membres"][:0])), "membre"),
        ("departements.json", lambda rows: rows[0].update(region="ZZ"), "ZZ"),
        ("departements.json", lambda rows: rows.clear(), "100"),
    ],
)
def test_a_broken_entry_is_named_with_its_file(
    official: Path, tmp_path: Path, file: str, change: Change, said: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(official, folder)
    rows = json.loads((folder / "data" / file).read_text())
    change(rows)
    (folder / "data" / file).write_text(json.dumps(rows))
    with pytest.raises(SnapshotError, match=r"\.json") as refusal:
        package.read(folder)
    assert said in str(refusal.value)


def test_two_communes_with_one_siren_are_refused(official: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(official, folder)
    rows = json.loads((folder / "data" / "communes.json").read_text())
    _first(rows, code="85113")["siren"] = _first(rows, code="22016")["siren"]
    (folder / "data" / "communes.json").write_text(json.dumps(rows))
    with pytest.raises(SnapshotError, match="présent deux fois"):
        package.read(folder)


@pytest.mark.parametrize("text", ["", "[", '{"a": 1}', "[1]", "null", '"', "\x00"])
def test_a_file_that_is_no_list_of_objects_is_refused(official: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(official, folder)
    (folder / "data" / "epci.json").write_text(text)
    with pytest.raises(SnapshotError, match=r"epci\.json"):
        package.read(folder)


def test_a_file_that_is_not_text_is_refused(official: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(official, folder)
    (folder / "data" / "regions.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SnapshotError, match=r"regions\.json"):
        package.read(folder)


@pytest.mark.parametrize(
    "described",
    [
        '{"name": "left-pad", "version": "6.0.0"}',
        "{",
        '{"name": "@etalab/decoupage-administratif", "version": "9.0.0"}',
    ],
)
def test_another_package_or_an_unknown_vintage_is_refused(official: Path, tmp_path: Path, described: str) -> None:
    folder = tmp_path / "other"
    shutil.copytree(official, folder)
    (folder / "package.json").write_text(described)
    with pytest.raises(SnapshotError, match=r"package\.json"):
        package.read(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="absent"):
        package.read(tmp_path / "nowhere")


@pytest.mark.parametrize("cut", [0, 100, 300_000])
def test_a_truncated_compact_file_is_refused(cut: int) -> None:
    with pytest.raises(SnapshotError, match="essai"):
        snapshot.unpack(snapshot.read_shipped()[:cut], "essai")
    with pytest.raises(SnapshotError, match="tronqué"):
        snapshot.digest(snapshot.read_shipped()[:cut] or b"x")


@pytest.mark.parametrize("lines", [0, 1, 20_000])
def test_a_compact_file_that_lacks_lines_is_refused(lines: int) -> None:
    kept = gzip.decompress(snapshot.read_shipped()).splitlines()[:lines]
    with pytest.raises(SnapshotError, match="essai"):
        snapshot.unpack(gzip.compress(b"\n".join(kept)), "essai")


@pytest.mark.parametrize(
    "table",
    [
        [],
        {},
        {"mergers": [{}]},
        {"mergers": [{**MERGER, "date": "2026-02-30"}]},
        {"mergers": [{**MERGER, "successor": {"code": "994579671", "name": "CC X", "nature": "CC"}}]},
        {"mergers": [{**MERGER, "replaced": [241200658]}]},
        {"mergers": [{**MERGER, "source": None}]},
    ],
)
def test_a_malformed_override_table_is_refused(tmp_path: Path, table: object) -> None:
    path = tmp_path / "overrides.json"
    path.write_text(json.dumps(table))
    with pytest.raises(SnapshotError, match=r"overrides\.json"):
        snapshot.mergers(path)
