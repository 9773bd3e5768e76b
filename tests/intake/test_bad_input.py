"""« Bad input » of the issue that no other file holds: uploads of a message, bodies too large, the same step twice.

The others: every step in every state by everybody, a GET that writes (`test_matrix`, R04, R19), two operators at once
(`test_races`, R06), a session that ends while typing (`test_typed_forms`), tables and their formulas (`test_imports`,
R45), documents (`tests/accounts/test_documents`).
"""

import ast
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import Attachment, Message
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.intake import DossierFactory
from tests.house import ROOT, nothing, sources
from tests.intake.browsing import form_of, page, sign_in
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


class TestUploads:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("arrete.pdf", b"MZ\x90\x00" + b"\x00" * 200),
            ("arrete.pdf", b"<html><script>alert(1)</script></html>"),
            ("arrete.pdf", b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF"),
            ("plan.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
            ("plan.png", PNG + b"\x00" * 50),
            ("plan.png.exe", b"MZ\x90\x00"),
            ("lisez-moi.html", b"<p>Bonjour</p>"),
            ("archive.pdf", b"PK\x03\x04" + b"\x00" * 100),
            ("vide.pdf", b""),
            ("gros.pdf", b"%PDF-1.7\n" + b"0" * (5 * 1024 * 1024) + b"\n%%EOF"),
        ],
        ids=["program", "page", "acting pdf", "acting image", "broken image", "two endings", "html", "archive", "empty",
             "too large"],
    )  # fmt: skip
    def test_a_disguised_or_oversized_file_is_refused_and_the_words_stay(  # noqa: PLR0917 - the people
        self,
        name: str,
        content: bytes,
        town_hall: Client,
        commune: Organization,
        agent: User,
        anct: Operator,
        instructor: User,
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        url = reverse("intake:thread", args=[dossier.pk])
        form = form_of(page(town_hall, url))
        response = town_hall.post(
            url, {**form, "body": "Voici notre arrêté.", "files": SimpleUploadedFile(name, content)}
        )
        assert response.status_code == 422
        assert "Voici notre arrêté." in response.content.decode()
        assert not Message.objects.exists()
        assert not Attachment.objects.exists()

    @pytest.mark.parametrize(
        "form",
        [
            {"requester_given_name": "x" * 2_700_000},
            {f"champ-{number}": "1" for number in range(2_100)},
        ],
        ids=["a huge text", "thousands of fields"],
    )
    def test_a_form_that_no_page_sends_is_refused_whole(
        self, form: dict[str, str], town_hall: Client, commune: Organization, agent: User
    ) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        response = town_hall.post(f"/demandes/{draft.pk}/etape/1/", {"version": "1", **form})
        assert response.status_code == 400
        assert '<html lang="fr"' in response.content.decode()
        draft.refresh_from_db()
        assert draft.version == 1

    @pytest.mark.parametrize("step", range(1, 5))
    def test_a_text_longer_than_its_column_is_refused_and_kept_on_the_page(
        self, step: int, town_hall: Client, commune: Organization, agent: User
    ) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        field = {
            1: "requester_family_name", 2: "justification", 3: "mailboxes-0-function", 4: "allocation_reason"
        }[step]  # fmt: skip
        url = f"/demandes/{draft.pk}/etape/{step}/"
        long = "é" * 1_001
        response = town_hall.post(url, {**form_of(page(town_hall, url)), field: long})
        assert response.status_code == 422
        assert long in response.content.decode()
        assert f"id_{field}" in response.content.decode()


class TestTwice:
    @pytest.mark.parametrize("step", range(1, 6))
    def test_the_same_step_sent_twice_is_saved_once(
        self, step: int, town_hall: Client, commune: Organization, agent: User
    ) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        url = f"/demandes/{draft.pk}/etape/{step}/"
        form: dict[str, Any] = {
            **form_of(page(town_hall, url)),
            "action": "quit",
            **{
                1: {"requester_phone": "02 97 11 11 11"},
                2: {"alternative_1": "ville-de-rochefort.collectivite.fr"},
                3: {"mailboxes-0-function": "Secrétariat"},
                4: {"technical_contact_name": "Dominique"},
                5: {"declares_exact": ""},
            }[step],
        }
        answers = [town_hall.post(url, form).status_code for _ in range(2)]
        assert answers == [302, 302]
        draft.refresh_from_db()
        assert draft.version == 2
        assert Event.objects.filter(kind="save").count() == 1

    def test_adding_a_row_twice_by_a_doubled_click_adds_one(
        self, town_hall: Client, commune: Organization, agent: User
    ) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        url = f"/demandes/{draft.pk}/etape/3/"
        form = {**form_of(page(town_hall, url)), "action": "add-shared-mairie"}
        for _ in range(2):
            assert town_hall.post(url, form).status_code == 302
        assert list(draft.mailboxes.values_list("local_part", flat=True)).count("mairie") == 1


def test_every_file_given_for_a_spreadsheet_passes_by_the_one_that_disarms_formulas() -> None:
    """Each module that answers text/csv writes its lines by `export.neutral`, itself or by the module it names."""
    given = {path for path, tree in sources().items() if "text/csv" in ast.unparse(tree) and "demo" not in path.parts}
    writers = {path: ast.unparse(tree) for path, tree in sources().items()}
    disarming = {path.stem for path, text in writers.items() if "neutral(" in text}
    assert given
    wrong = [
        str(path.relative_to(ROOT))
        for path in given
        if not any(f"{stem}." in writers[path] or "neutral(" in writers[path] for stem in disarming)
    ]
    nothing(wrong, "Write the lines with `onboarding.intake.export.neutral`.")
