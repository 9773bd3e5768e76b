"""The public directory's contacts, read from small files of our own in the shape of its export."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from suite.directory import contacts
from suite.directory.models import DeclaredContact, Organization
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, EpciFactory

DAY = dt.date(2026, 11, 1)


def record(code: str, name: str = "Mairie - Essai", **changed: Any) -> dict[str, Any]:
    """Return a record as the export writes it: objects inside strings."""
    address = {"type_adresse": "Adresse", "numero_voie": "1 rue Haute", "code_postal": "01000", "nom_commune": "Essai"}
    return {
        "id": f"id-{code}-{name}",
        "nom": name,
        "siret": "",
        "pivot": json.dumps([{"type_service_local": "mairie", "code_insee_commune": [code]}]),
        "adresse_courriel": "Mairie@essai.example;accueil@essai.example",
        "adresse": json.dumps([address]),
        **changed,
    }


def written(folder: Path, records: list[Any], wrap: str = "") -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps({wrap: records} if wrap else records, ensure_ascii=False), encoding="utf-8")
    return path


def load(folder: Path, *records: Any, wrap: str = "") -> contacts.Report:
    return contacts.load(written(folder, list(records), wrap), observed_on=DAY, minimum=1)


@pytest.fixture
def commune(db: None) -> Organization:
    return CommuneFactory.create(name="Essai", code="01777")


@pytest.mark.parametrize("wrap", ["", "service"])
def test_a_town_hall_is_matched_by_its_insee_code(commune: Organization, tmp_path: Path, wrap: str) -> None:
    report = load(tmp_path, record("01777"), record("01776"), wrap=wrap)
    assert (report.records, report.matched) == (2, 1)
    contact = DeclaredContact.objects.get()
    assert contact.organization == commune
    assert contact.emails == ["mairie@essai.example", "accueil@essai.example"]
    assert contact.address_lines == ["1 rue Haute", "01000 ESSAI"]
    assert (contact.source, contact.observed_on, contact.demonstration) == (contacts.SOURCE, DAY, False)


@pytest.mark.parametrize("name", ["Mairie déléguée - Essai", "Mairie annexe - Essai", "Mairie - Annexe - Essai"])
def test_a_secondary_town_hall_is_never_the_commune_s(commune: Organization, tmp_path: Path, name: str) -> None:
    load(tmp_path, record("01777"), record("01777", name, adresse_courriel="autre@essai.example"))
    found = DeclaredContact.objects.first()
    assert found is None or found.emails[0] == "mairie@essai.example"


def test_among_several_the_one_of_that_name_is_taken(commune: Organization, tmp_path: Path) -> None:
    load(tmp_path, record("01777"), record("01777", "Mairie - Autre", adresse_courriel="autre@essai.example"))
    assert DeclaredContact.objects.get().emails[0] == "mairie@essai.example"


def test_several_candidates_are_none(commune: Organization, tmp_path: Path) -> None:
    report = load(tmp_path, record("01777"), record("01777", adresse_courriel="autre@essai.example"))
    assert report.matched == 0
    assert report.issues == {"plusieurs fiches possibles": 1}
    assert not DeclaredContact.objects.exists()


def test_a_siren_serves_where_no_insee_code_does(commune: Organization, tmp_path: Path) -> None:
    load(tmp_path, record("00000", "Mairie - Ailleurs", siret=f"{commune.siren}00017"))
    assert DeclaredContact.objects.get().organization == commune


def test_an_epci_is_matched_by_its_siren(tmp_path: Path, db: None) -> None:
    epci = EpciFactory.create()
    pivot = json.dumps([{"type_service_local": "epci", "code_insee_commune": ["01777"]}])
    load(tmp_path, record("01777", "Communauté de communes", siret=f"{epci.siren}00017", pivot=pivot))
    assert DeclaredContact.objects.get().organization == epci


@pytest.mark.parametrize(
    "changed",
    [
        {"adresse_courriel": "pas une adresse; ;@"},
        {"adresse_courriel": None},
        {"adresse": "pas du JSON"},
        {"adresse": json.dumps([{"numero_voie": "1 rue Haute"}])},
        {"adresse": None},
    ],
)
def test_what_cannot_be_used_is_left_out(commune: Organization, tmp_path: Path, changed: dict[str, Any]) -> None:
    load(tmp_path, record("01777", **changed))
    contact = DeclaredContact.objects.get()
    assert contact.emails == [] if "adresse_courriel" in changed else contact.address_lines == []


def test_a_record_of_nothing_usable_is_no_contact(commune: Organization, tmp_path: Path) -> None:
    report = load(tmp_path, record("01777", adresse=None, adresse_courriel=""))
    assert report.issues == {"fiche sans courriel ni adresse postale": 1}


def test_the_postal_address_comes_before_the_other(commune: Organization, tmp_path: Path) -> None:
    post = {
        "type_adresse": "Adresse postale",
        "service_distribution": "BP 3",
        "code_postal": "01001",
        "nom_commune": "E",
    }
    other = {"type_adresse": "Adresse", "numero_voie": "1 rue", "code_postal": "01000", "nom_commune": "E"}
    load(tmp_path, record("01777", adresse=json.dumps([other, post])))
    assert DeclaredContact.objects.get().address_lines == ["BP 3", "01001 E"]


def test_records_are_read_across_pieces(commune: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "_CHUNK", 64)
    assert load(tmp_path, *(record(f"9{number:04}") for number in range(20)), record("01777")).records == 21


def test_importing_again_replaces_and_removes(commune: Organization, tmp_path: Path) -> None:
    other = CommuneFactory.create(code="01778")
    kept = DeclaredContactFactory.create(organization=CommuneFactory.create(), demonstration=True)
    load(tmp_path, record("01777"), record("01778", "Mairie - X"))
    report = load(tmp_path, record("01777", adresse_courriel="neuve@essai.example"))
    assert report.removed == 1
    assert DeclaredContact.objects.get(organization=commune).emails == ["neuve@essai.example"]
    assert not DeclaredContact.objects.filter(organization=other).exists()
    assert DeclaredContact.objects.filter(pk=kept.pk).exists()


class TestCommand:
    def test_it_refuses_a_piece_of_the_export_unless_told(self, commune: Organization, tmp_path: Path) -> None:
        path = written(tmp_path, [record("01777")])
        with pytest.raises(CommandError, match="50000"):
            call_command("import_contacts", str(path), stdout=io.StringIO())
        assert not DeclaredContact.objects.exists()
        out = io.StringIO()
        call_command("import_contacts", str(path), "--minimum", "1", "--date", "2026-11-01", stdout=out)
        assert "1 collectivités avec un contact" in out.getvalue()

    @pytest.mark.parametrize("text", ["", "{}", '[{"id": 1}', "[1]", '[{"id": 1}, nonsense]', "\x80"])
    def test_a_file_that_is_no_export_changes_nothing(self, commune: Organization, tmp_path: Path, text: str) -> None:
        DeclaredContactFactory.create(organization=commune)
        path = tmp_path / "export.json"
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(CommandError, match="Import refusé"):
            call_command("import_contacts", str(path), "--minimum", "0")
        assert DeclaredContact.objects.count() == 1

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path, db: None) -> None:
        with pytest.raises(CommandError, match="Import refusé"):
            call_command("import_contacts", str(tmp_path / "rien.json"))
