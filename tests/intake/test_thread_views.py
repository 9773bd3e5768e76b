"""The pages of a thread, as people without JavaScript walk them."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import thread, thread_files
from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import Attachment, Message, Reading, Rhythm
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.test_documents import PDF
from tests.factories.intake import DossierFactory
from tests.factories.thread import MessageFactory
from tests.intake.browsing import page, said, sign_in
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def dossier(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    made: Dossier = DossierFactory.create(
        organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor
    )
    return made


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


@pytest.fixture
def operator(instructor: User) -> Client:
    return sign_in(instructor)


def commune_page(dossier: Dossier) -> str:
    return f"/demandes/{dossier.pk}/messages/"


def desk_page(dossier: Dossier) -> str:
    return f"/instruction/{dossier.pk}/echanges/"


def crowd(dossier: Dossier, count: int) -> None:
    for _ in range(count):
        MessageFactory.create(dossier=dossier, answer=True)
        MessageFactory.create(dossier=dossier, note=True)


class TestCommune:
    def test_it_writes_to_the_operator_and_reads_what_it_wrote(self, town_hall: Client, dossier: Dossier) -> None:
        response = town_hall.post(commune_page(dossier), {"body": "Voici <b>le</b> point.", "key": str(uuid4())})
        assert response.status_code == 302
        html = page(town_hall, commune_page(dossier))
        assert "Voici &lt;b&gt;le&lt;/b&gt; point." in html
        assert Notice.objects.get().kind == "thread_answer"

    def test_nothing_typed_says_so_and_links_to_the_field(self, town_hall: Client, dossier: Dossier) -> None:
        response = town_hall.post(commune_page(dossier), {"body": "  "})
        html = response.content.decode()
        assert response.status_code == 422
        assert 'href="#message_body"' in html
        assert 'id="message_body"' in html
        assert "Erreur" in re.findall(r"<title>(.*?)</title>", html, re.DOTALL)[0]

    def test_what_was_typed_survives_a_refused_file(self, town_hall: Client, dossier: Dossier) -> None:
        bad = SimpleUploadedFile("photo.png", b"MZ program")
        response = town_hall.post(commune_page(dossier), {"body": "Mon texte.", "files": bad})
        assert response.status_code == 422
        assert "Mon texte." in response.content.decode()
        assert "photo.png" in said(response.content.decode())
        assert not Message.objects.exists()

    def test_six_files_are_too_many(self, town_hall: Client, dossier: Dossier) -> None:
        files = [SimpleUploadedFile(f"{number}.pdf", PDF) for number in range(6)]
        response = town_hall.post(commune_page(dossier), {"body": "Voici.", "files": files})
        assert response.status_code == 422
        assert not Attachment.objects.exists()

    def test_it_reads_no_note_and_no_name_in_the_thread(
        self, town_hall: Client, dossier: Dossier, instructor: User
    ) -> None:
        User.objects.filter(pk=instructor.pk).update(given_name="Dominique", usual_name="Secret")
        instructor.refresh_from_db()
        thread.note(dossier, "Entre nous.", by=instructor)
        thread.write(dossier, "Bonjour.", by=instructor)
        text = page(town_hall, commune_page(dossier))
        assert "Bonjour." in text
        assert "Dominique" not in said(text)
        assert "Entre nous" not in text + page(town_hall, f"/demandes/{dossier.pk}/")

    def test_the_date_of_sending_is_the_ledger_s(self, town_hall: Client, dossier: Dossier, instructor: User) -> None:
        thread.write(dossier, "Bonjour.", by=instructor)
        assert "Envoyé par courriel" not in said(page(town_hall, commune_page(dossier)))
        Notice.objects.update(state="sent", sent_at=timezone.now())
        assert "Envoyé par courriel" in said(page(town_hall, commune_page(dossier)))

    def test_a_bounce_shows_on_both_sides(
        self, town_hall: Client, operator: Client, dossier: Dossier, instructor: User
    ) -> None:
        thread.write(dossier, "Bonjour.", by=instructor)
        Notice.objects.filter(recipient=dossier.requester_email).update(
            state="bounced", bounced_at=timezone.now(), error="Le serveur a renvoyé le message (5.1.1)."
        )
        for client, url in (
            (town_hall, commune_page(dossier)),
            (operator, desk_page(dossier)),
        ):
            assert "5.1.1" in said(page(client, url))
        for client, url in ((town_hall, f"/demandes/{dossier.pk}/"), (operator, f"/instruction/{dossier.pk}/")):
            assert "Adresse injoignable" in said(page(client, url))

    def test_a_closed_dossier_stays_readable_and_takes_no_word(
        self, town_hall: Client, dossier: Dossier, instructor: User
    ) -> None:
        thread.write(dossier, "Bonjour.", by=instructor)
        Dossier.objects.filter(pk=dossier.pk).update(status=Dossier.Status.WITHDRAWN)
        html = page(town_hall, commune_page(dossier))
        assert "Bonjour." in html
        assert 'name="body"' not in html
        response = town_hall.post(commune_page(dossier), {"body": "Encore."})
        assert response.status_code == 409
        assert Message.objects.count() == 1

    def test_too_many_messages_in_an_hour_wait(self, town_hall: Client, dossier: Dossier, monkeypatch: Any) -> None:
        monkeypatch.setattr("onboarding.intake.thread_views.MOST_AN_HOUR", 1)
        town_hall.post(commune_page(dossier), {"body": "Un."})
        response = town_hall.post(commune_page(dossier), {"body": "Deux."})
        assert response.status_code == 422
        assert "Deux." in response.content.decode()
        assert Message.objects.count() == 1

    def test_ten_times_more_messages_cost_no_more_queries(
        self, town_hall: Client, dossier: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        crowd(dossier, 20)
        with django_assert_max_num_queries(15):
            page(town_hall, commune_page(dossier))


class TestDesk:
    def test_two_forms_that_nobody_takes_for_one_another(self, operator: Client, dossier: Dossier) -> None:
        html = page(operator, desk_page(dossier))
        assert "Message à la commune" in html
        assert "Note interne" in html
        assert html.count("<form") >= 2
        assert 'id="message_body"' in html
        assert 'id="note_body"' in html
        assert "Votre note" in html
        assert "Prénom Nom" in html

    def test_a_reader_reads_and_finds_no_form(self, dossier: Dossier, anct: Operator) -> None:
        html = page(sign_in(staff(anct, OperatorRole.Role.READER)), desk_page(dossier))
        assert 'name="body"' not in html

    def test_looking_reads_nothing(self, operator: Client, dossier: Dossier) -> None:
        MessageFactory.create(dossier=dossier, answer=True)
        for _ in range(2):
            assert "Non lu" in page(operator, desk_page(dossier))
        assert not Reading.objects.exists()

    def test_ten_times_more_messages_cost_no_more_queries(
        self, operator: Client, dossier: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        crowd(dossier, 20)
        for url in (desk_page(dossier), f"/instruction/{dossier.pk}/"):
            with django_assert_max_num_queries(15):
                page(operator, url)


class TestWrite:
    def test_it_leaves_to_the_commune(self, operator: Client, dossier: Dossier) -> None:
        response = operator.post(f"{desk_page(dossier)}message/", {"body": "Bonjour.", "key": str(uuid4())})
        assert response["Location"] == desk_page(dossier)
        assert set(Notice.objects.values_list("kind", flat=True)) == {"thread_message"}

    def test_nothing_typed_shows_the_page_again(self, operator: Client, dossier: Dossier) -> None:
        response = operator.post(f"{desk_page(dossier)}message/", {"body": ""})
        assert response.status_code == 422
        assert 'href="#message_body"' in response.content.decode()

    def test_the_same_form_twice_is_one_message(self, operator: Client, dossier: Dossier) -> None:
        data = {"body": "Bonjour.", "key": str(uuid4())}
        for _ in range(2):
            assert operator.post(f"{desk_page(dossier)}message/", data).status_code == 302
        assert Message.objects.count() == 1


class TestNote:
    def test_it_stays_between_operators(self, operator: Client, town_hall: Client, dossier: Dossier) -> None:
        assert operator.post(f"{desk_page(dossier)}note/", {"body": "Entre nous."}).status_code == 302
        assert not Notice.objects.exists()
        assert "Entre nous." in page(operator, desk_page(dossier))
        assert "Entre nous." not in page(town_hall, commune_page(dossier))

    def test_nothing_typed_points_at_the_note_s_own_field(self, operator: Client, dossier: Dossier) -> None:
        response = operator.post(f"{desk_page(dossier)}note/", {"body": ""})
        assert response.status_code == 422
        assert 'href="#note_body"' in response.content.decode()


class TestEdit:
    def test_one_s_own_message_within_fifteen_minutes(
        self, operator: Client, dossier: Dossier, instructor: User
    ) -> None:
        message = thread.write(dossier, "Avant mardi.", by=instructor)
        url = f"/demandes/{dossier.pk}/messages/{message.pk}/"
        assert url in page(operator, desk_page(dossier))
        assert "Avant mardi." in page(operator, url)
        assert operator.post(url, {"body": "Avant jeudi."}).status_code == 302
        html = page(operator, desk_page(dossier))
        assert "Avant jeudi." in html
        assert "Avant mardi." in html

    def test_late_it_says_so_and_keeps_what_was_typed(
        self, operator: Client, dossier: Dossier, instructor: User
    ) -> None:
        message = thread.write(dossier, "Avant mardi.", by=instructor)
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
            response = operator.post(f"/demandes/{dossier.pk}/messages/{message.pk}/", {"body": "Avant jeudi."})
        assert response.status_code == 409
        assert "Avant jeudi." in response.content.decode()

    def test_a_note_is_out_of_the_commune_s_sight(self, town_hall: Client, dossier: Dossier, instructor: User) -> None:
        note = thread.note(dossier, "Entre nous.", by=instructor)
        assert town_hall.get(f"/demandes/{dossier.pk}/messages/{note.pk}/").status_code == 404

    def test_r33_a_message_is_reached_by_its_own_dossier_only(
        self, operator: Client, dossier: Dossier, instructor: User
    ) -> None:
        message = thread.write(dossier, "Bonjour.", by=instructor)
        other = DossierFactory.create(in_review=True, operator=dossier.operator, assignee=instructor)
        assert operator.get(f"/demandes/{other.pk}/messages/{message.pk}/").status_code == 404


class TestAttachment:
    @pytest.fixture
    def kept(self, dossier: Dossier, agent: User) -> Attachment:
        thread.write(dossier, "Voici.", by=agent, files=[thread_files.prepare("<x>.pdf", PDF)])
        return Attachment.objects.get()

    def test_it_is_handed_out_as_a_download_and_written_down(
        self, operator: Client, dossier: Dossier, kept: Attachment
    ) -> None:
        response = operator.post(f"/demandes/{dossier.pk}/fichiers/{kept.pk}/")
        assert response.content == PDF
        assert response["Content-Type"] == "application/pdf"
        assert response["Content-Disposition"].startswith("attachment;")
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
        assert Event.objects.filter(stream="thread", kind="attachment_read").count() == 1

    def test_a_note_s_file_is_out_of_the_commune_s_sight(
        self, town_hall: Client, dossier: Dossier, instructor: User
    ) -> None:
        thread.note(dossier, "Voici.", by=instructor, files=[thread_files.prepare("x.pdf", PDF)])
        kept = Attachment.objects.get()
        assert town_hall.post(f"/demandes/{dossier.pk}/fichiers/{kept.pk}/").status_code == 404

    def test_r33_a_file_is_reached_by_its_own_dossier_only(
        self, operator: Client, dossier: Dossier, kept: Attachment, instructor: User
    ) -> None:
        other = DossierFactory.create(in_review=True, operator=dossier.operator, assignee=instructor)
        assert operator.post(f"/demandes/{other.pk}/fichiers/{kept.pk}/").status_code == 404

    def test_what_is_not_looked_at_yet_is_not_handed_out(
        self, operator: Client, dossier: Dossier, kept: Attachment
    ) -> None:
        Attachment.objects.update(state=Attachment.State.WAITING)
        assert operator.post(f"/demandes/{dossier.pk}/fichiers/{kept.pk}/").status_code == 404


class TestRead:
    def test_a_button_says_that_it_is_read(self, town_hall: Client, dossier: Dossier, instructor: User) -> None:
        thread.write(dossier, "Bonjour.", by=instructor)
        assert "(1 non lu)" in said(page(town_hall, f"/demandes/{dossier.pk}/"))
        assert town_hall.post(f"{commune_page(dossier)}lus/")["Location"] == commune_page(dossier)
        assert "Non lu" not in page(town_hall, commune_page(dossier))
        assert "non lu" not in said(page(town_hall, f"/demandes/{dossier.pk}/"))

    def test_a_get_does_not(self, town_hall: Client, dossier: Dossier) -> None:
        assert town_hall.get(f"{commune_page(dossier)}lus/").status_code == 405


class TestRhythm:
    def test_the_choice_is_kept_and_shown(self, town_hall: Client, agent: User) -> None:
        assert town_hall.post("/demandes/notifications/", {"rhythm": "daily"}).status_code == 302
        assert Rhythm.objects.get().user == agent
        html = page(town_hall, "/demandes/notifications/")
        assert re.search(r'value="daily"[^>]*checked|checked[^>]*value="daily"', html)

    @pytest.mark.parametrize("rhythm", ["", "hourly"])
    def test_another_word_is_refused(self, town_hall: Client, rhythm: str) -> None:
        assert town_hall.post("/demandes/notifications/", {"rhythm": rhythm}).status_code == 422
        assert not Rhythm.objects.exists()
