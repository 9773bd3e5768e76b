"""Mailboxes from a table: nothing changes before the confirmation, nothing is run, no right is given."""

import io
import zipfile
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from onboarding.intake import imports, sheets, tables
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import MailboxImport
from suite.accounts.models import User
from suite.directory.models import Organization
from suite.journal.models import Event
from tests.factories.intake import DossierFactory, MailboxRequestFactory
from tests.intake.browsing import form_of, page, said, sign_in

TITLES = ["Type", "Prénom", "Nom", "Fonction", "Adresse", "Adresse de secours", "Destinations"]
ZOE = ["personnelle", "Zoé", "L’Hénaff", "Secrétaire", "", "zoe@ailleurs.example", ""]
TOWN_HALL = ["partagée", "", "", "Mairie", "mairie", "", "zoe.l-henaff"]


def table(*rows: list[str], separator: str = ";") -> str:
    return "\r\n".join(separator.join(row) for row in rows) + "\r\n"


def xlsx(*rows: list[str], extra: dict[str, bytes] | None = None, sheet: str = "") -> bytes:
    """Return the smallest workbook that a spreadsheet opens."""
    cells = "".join(
        f'<row r="{number}">'
        + "".join(
            f'<c r="{chr(65 + place)}{number}" t="inlineStr"><is><t xml:space="preserve">{cell}</t></is></c>'
            for place, cell in enumerate(row)
        )
        + "</row>"
        for number, row in enumerate(rows, start=1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="'
        'application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
        '+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/'
        'officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="F" sheetId="1" '
        'r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet or f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    return archive({**{name: text.encode() for name, text in parts.items()}, **(extra or {})})


def ods(*rows: list[str]) -> bytes:
    body = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{space}:office:1.0" xmlns:table="{space}:table:1.0" '
        f'xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet><table:table table:name="F">{body}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{space}:manifest:1.0"/>'
    return archive(
        {
            "mimetype": tables.ODS,
            "content.xml": content.encode(),
            "META-INF/manifest.xml": manifest.encode(),
        }
    )


def archive(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in parts.items():
            written.writestr(name, content)
    return buffer.getvalue()


def utf8(text: str) -> bytes:
    return text.encode()


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": utf8,
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "windows": lambda text: text.encode("cp1252"),
    "texte unicode": lambda text: text.encode("utf-16"),
}


class TestReading:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("separator", [";", ",", "\t"])
    def test_what_french_spreadsheets_write_is_read(self, encoding: str, separator: str) -> None:
        data = ENCODINGS[encoding](table(TITLES, ZOE, separator=separator))
        lines, ignored = imports.parse(data)
        assert ignored == []
        assert lines[0].values["family_name"] == "L’Hénaff"
        assert lines[0].values["recovery_email"] == "zoe@ailleurs.example"

    @pytest.mark.parametrize("made", [xlsx, ods])
    def test_a_workbook_is_read(self, made: Callable[..., bytes]) -> None:
        lines, _ = imports.parse(made(TITLES, ZOE, TOWN_HALL))
        assert [line.values.get("function") for line in lines] == ["Secrétaire", "Mairie"]

    def test_the_line_that_excel_writes_for_itself_is_passed_over(self) -> None:
        assert imports.parse(utf8("sep=,\r\n" + table(TITLES, ZOE, separator=",")))[0][0].values["given_name"] == "Zoé"

    @pytest.mark.parametrize("made", [lambda *rows: utf8(table(*rows)), xlsx, ods])
    def test_blank_lines_keep_the_numbers_of_the_spreadsheet(self, made: Callable[..., bytes]) -> None:
        blank = [""] * len(TITLES)
        lines, _ = imports.parse(made(TITLES, blank, ZOE, blank, blank, TOWN_HALL, blank))
        assert [line.number for line in lines] == [3, 6]

    def test_a_quoted_cell_may_hold_the_delimiter_and_a_new_line(self) -> None:
        lines, _ = imports.parse(utf8('Adresse;Fonction\nmairie;"Accueil ; état civil\nétage 1"\n'))
        assert lines[0].values["function"].startswith("Accueil ; état civil")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"   \n",
            b"\x89PNG\r\n\x1a\n\x00\x00",
            b"%PDF-1.7\n\x01\x02",
            b"MZ\x90\x00",
            b"Nom\n",
            utf8("Couleur;Taille\nrouge;grande\n"),
            utf8('Nom;Adresse\n"ouvert;x\n'),
            b"PK\x03\x04 not an archive",
            archive({"word/document.xml": b"<a/>", "[Content_Types].xml": b"<a/>"}),
            xlsx(TITLES, ZOE, extra={"xl/vbaProject.bin": b"macro"}),
            xlsx(TITLES, ZOE, sheet="<broken"),
            archive({f"{number}.xml": b"" for number in range(300)}),
            utf8("Nom\n" + "a\n" * 1001),
            b"Nom;Adresse\n" + b"a" * 200_000 + b";x\n",
        ],
    )
    def test_what_is_no_table_is_refused_with_a_sentence(self, data: bytes) -> None:
        with pytest.raises(tables.Unreadable) as refused:
            imports.parse(data)
        assert str(refused.value).endswith(".")

    def test_an_archive_that_swells_is_refused_before_it_is_read(self) -> None:
        bomb = archive({"mimetype": tables.ODS, "content.xml": b"\x00" * 60_000_000})
        assert len(bomb) < tables.LARGEST
        with pytest.raises(tables.Unreadable, match="trop grand"):
            imports.parse(bomb)

    def test_a_sheet_of_billions_of_cells_hurts_nobody(self) -> None:
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        cell = '<c r="{}" t="inlineStr"><is><t>x</t></is></c>'
        far = "".join(
            f'<row r="{row}">{cell.format(place)}</row>' for row, place in ((1, "A1"), (1048576, "XFD1048576"))
        )
        sheet = f'<worksheet xmlns="{main}"><sheetData>{far}</sheetData></worksheet>'
        with pytest.raises(tables.Unreadable):
            imports.parse(xlsx(sheet=sheet))

    def test_entities_that_multiply_hurt_nobody(self) -> None:
        names = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        sheet = (
            f'<!DOCTYPE w [<!ENTITY e0 "ha">{names}]><worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>'
            "&e9;</t></is></c></row></sheetData></worksheet>"
        )
        with pytest.raises(tables.Unreadable):
            imports.parse(xlsx(sheet=sheet))

    def test_the_reader_of_workbooks_has_bounds_of_its_own(self) -> None:
        assert sheets.MEMORY <= 512 * 1024 * 1024
        assert sheets.SECONDS <= 10


class TestR45Import:
    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "  =", "\u00a0="])
    @pytest.mark.parametrize("made", [lambda *rows: utf8('"' + '"\n"'.join('";"'.join(r) for r in rows) + '"\n'), xlsx])
    def test_r45_a_cell_that_a_spreadsheet_would_run_is_refused(self, start: str, made: Callable[..., bytes]) -> None:
        lines, _ = imports.parse(made(["Adresse", "Fonction"], ["mairie", f"{start}HYPERLINK(1)"], ["accueil", "Oui"]))
        if made is xlsx and start in {"\t", "\r"}:  # an XML reader may have made a blank of it
            assert lines[0].refusal or lines[0].values["function"] == "HYPERLINK(1)"
        else:
            assert "formule" in lines[0].refusal
            assert lines[0].values == {}
        assert lines[1].refusal == ""

    @pytest.mark.parametrize(
        "title", ["statut", "Rôle", "is_superuser", "Administrateur", "droits", "groupes", "Mot de passe"]
    )
    def test_r45_no_column_gives_a_right(self, title: str) -> None:
        lines, ignored = imports.parse(utf8(f"Adresse;Type;{title}\nmairie;partagée;oui\n"))
        assert ignored == [title]
        assert imports.powers(ignored) == [title]
        assert set(lines[0].values) == {"local_part", "kind"}


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


def hand_in(client: Client, dossier: Dossier, data: bytes, name: str = "boites.csv") -> str:
    response = client.post(f"/demandes/{dossier.pk}/boites/importer/", {"file": SimpleUploadedFile(name, data)})
    assert response.status_code == 302, said(response.content.decode())
    return str(response["Location"])


@pytest.mark.django_db
class TestUpload:
    def test_reading_a_table_changes_nothing(self, town_hall: Client, draft: Dossier) -> None:
        hand_in(town_hall, draft, utf8(table(TITLES, ZOE)))
        draft.refresh_from_db()
        assert (draft.version, draft.mailboxes.count()) == (1, 1)

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("vide.csv", b""),
            ("image.csv", b"\x89PNG\x00"),
            ("programme.xlsx", b"MZ\x00\x01"),
            ("gros.csv", b"a;b\n" * 200_000),
        ],
    )
    def test_what_is_no_table_is_said_beside_the_field(
        self, name: str, data: bytes, town_hall: Client, draft: Dossier
    ) -> None:
        url = f"/demandes/{draft.pk}/boites/importer/"
        response = town_hall.post(url, {"file": SimpleUploadedFile(name, data)})
        html = response.content.decode()
        assert response.status_code == 422
        assert 'href="#id_file"' in html
        assert "id_file-desc-error" in html
        assert not MailboxImport.objects.exists()

    def test_no_file_at_all_is_said(self, town_hall: Client, draft: Dossier) -> None:
        assert town_hall.post(f"/demandes/{draft.pk}/boites/importer/").status_code == 422

    def test_a_closed_dossier_takes_no_table(self, town_hall: Client, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, sent=True)
        data = {"file": SimpleUploadedFile("a.csv", utf8(table(TITLES, ZOE)))}
        assert town_hall.post(f"/demandes/{dossier.pk}/boites/importer/", data).status_code == 409

    def test_the_journal_keeps_numbers_and_no_name(self, town_hall: Client, draft: Dossier) -> None:
        hand_in(town_hall, draft, utf8("Nom;Prénom;Rôle\nPetit;Zoé;chef\n"))
        event = Event.objects.get(stream="mailbox_import")
        assert event.payload == {"dossier": str(draft.pk), "lines": 1, "powers_left_aside": 1}


@pytest.mark.django_db
class TestPreview:
    def test_each_line_says_what_it_would_do_and_why(
        self, town_hall: Client, draft: Dossier, django_assert_max_num_queries: object
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, shared=True)
        rows = [
            ["partagée", "", "", "Mairie de Rochefort", "mairie", "", ""],
            ZOE,
            ["personnelle", "Ada", "Petit", "", "etat-civil", "a@ailleurs.example", ""],
            ["chef", "Ada", "Petit", "", "", "a@ailleurs.example", ""],
            ZOE,
            ["partagée", "", "", "=1+1", "accueil", "", ""],
            ["personnelle", "Ada", "Petit", "", "", "", ""],
        ]
        url = hand_in(town_hall, draft, utf8(table(TITLES, *rows)))
        with django_assert_max_num_queries(15):  # type: ignore[operator]
            text = said(page(town_hall, url))
        assert "ajoutées : 1 ; modifiées : 1 ; lignes refusées : 5" in text
        for told in (
            "fonction : « vide » devient « Mairie de Rochefort »",
            "désigne un service et non une personne",
            "Le type doit être",
            "déjà plus haut dans le tableau",
            "une formule",
            "adresse de secours",
        ):
            assert told in text

    def test_confirming_adds_and_changes_and_leaves_the_rest(self, town_hall: Client, draft: Dossier) -> None:
        kept = draft.mailboxes.get()
        url = hand_in(town_hall, draft, utf8(table(TITLES, ZOE, TOWN_HALL, ["chef", "A", "B", "", "", "", ""])))
        response = town_hall.post(url, form_of(page(town_hall, url)))
        assert response["Location"] == f"/demandes/{draft.pk}/etape/3/"
        rows = {row.local_part: row for row in draft.mailboxes.all()}
        assert set(rows) == {kept.local_part, "zoe.l-henaff", "mairie"}
        assert rows[kept.local_part].pk == kept.pk
        assert not rows["zoe.l-henaff"].administrator
        assert rows["mairie"].targets == "zoe.l-henaff"

    def test_a_list_that_changed_meanwhile_is_shown_again_first(self, town_hall: Client, draft: Dossier) -> None:
        url = hand_in(town_hall, draft, utf8(table(TITLES, ZOE)))
        form = form_of(page(town_hall, url))
        step = f"/demandes/{draft.pk}/etape/3/"
        town_hall.post(step, {**form_of(page(town_hall, step)), "action": "add-shared-mairie"})
        response = town_hall.post(url, form)
        assert response.status_code == 409
        assert draft.mailboxes.count() == 2
        assert town_hall.post(url, form_of(response.content.decode())).status_code == 302
        assert draft.mailboxes.count() == 3

    def test_confirming_twice_adds_once(self, town_hall: Client, draft: Dossier) -> None:
        url = hand_in(town_hall, draft, utf8(table(TITLES, ZOE)))
        form = form_of(page(town_hall, url))
        assert [town_hall.post(url, form).status_code for _ in range(2)] == [302, 302]
        assert draft.mailboxes.count() == 2

    def test_a_table_of_another_dossier_is_not_found(self, town_hall: Client, draft: Dossier, agent: User) -> None:
        other = DossierFactory.create(author=agent)
        url = hand_in(town_hall, other, utf8(table(TITLES, ZOE)))
        assert town_hall.get(url.replace(str(other.pk), str(draft.pk))).status_code == 404
        assert town_hall.post(url.replace(str(other.pk), str(draft.pk)), {"version": "1"}).status_code == 404

    def test_what_nobody_confirms_is_erased(self, town_hall: Client, draft: Dossier) -> None:
        hand_in(town_hall, draft, utf8(table(TITLES, ZOE)))
        MailboxImport.objects.update(created_at=draft.created_at - imports.KEPT)
        assert imports.purge() == 1


@pytest.mark.django_db
class TestTemplate:
    def test_it_opens_in_a_french_spreadsheet_with_the_list_and_comes_back_unchanged(
        self, town_hall: Client, draft: Dossier
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, shared=True, function="État civil")
        data = town_hall.get(f"/demandes/{draft.pk}/boites/modele.csv").content
        assert data.startswith(b"\xef\xbb\xbf")
        assert ";" in data.decode("utf-8-sig").splitlines()[0]
        lines, ignored = imports.parse(data)
        assert (len(lines), ignored) == (2, [])
        assert {line.verb for line in imports.plan(draft, lines).lines} == {"same"}

    @pytest.mark.parametrize("text", ["=1+1", "+33", "-2", "@SUM(A1)", "\tx", "\rx"])
    def test_r45_what_was_typed_is_not_run_by_who_opens_it(self, text: str, town_hall: Client, draft: Dossier) -> None:
        draft.mailboxes.update(function=text)
        data = town_hall.get(f"/demandes/{draft.pk}/boites/modele.csv").content.decode("utf-8-sig")
        assert f'"\'{text}"' in data
