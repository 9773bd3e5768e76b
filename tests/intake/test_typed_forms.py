"""A login that expires while typing: what was typed comes back, to the same person in the same browser alone."""

import logging
import re
from datetime import timedelta
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from onboarding.intake import tasks, typed_forms, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import TypedForm
from suite.accounts.models import User
from suite.accounts.permissions import ADDRESSES
from suite.directory.models import Operator, Organization
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory
from tests.factories.intake import DossierFactory
from tests.intake.browsing import form_of, page, said, sign_in
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


def lose_session(client: Client) -> None:
    """End the session as time does: the cookie opens nothing any more, the others stay."""
    client.session.flush()


def come_back(client: Client, user: User) -> None:
    """Sign in again in the same browser."""
    client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
    elevate(client)


def sent_to(response: object) -> str:
    """Return where the sign-in will lead."""
    location = str(response["Location"])  # type: ignore[index]
    assert urlsplit(location).path == "/connexion/" or "next=" in location
    return parse_qs(urlsplit(location).query)["next"][0]


class TestTypedForms:
    def typed(self, client: Client, draft: Dossier, step: int = 1, **changes: str) -> str:
        url = f"/demandes/{draft.pk}/etape/{step}/"
        form = form_of(page(client, url))
        lose_session(client)
        response = client.post(url, {**form, **changes})
        assert response.status_code == 302
        return sent_to(response)

    def test_what_was_typed_comes_back_in_the_form_and_is_saved_by_hand(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, requester_given_name="Zoé", requester_email="pas une adresse")
        draft.refresh_from_db()
        assert draft.version == 1
        come_back(client, agent)
        text = page(client, back)
        assert "Votre saisie est retrouvée" in said(text)
        assert 'value="Zoé"' in text
        assert 'value="pas une adresse"' in text
        form = {**form_of(text), "requester_email": "zoe@ailleurs.example"}
        assert client.post(urlsplit(back).path, form).status_code == 302
        draft.refresh_from_db()
        assert draft.requester_given_name == "Zoé"
        assert not TypedForm.objects.exists()

    @pytest.mark.parametrize("step", range(1, 6))
    def test_every_step_comes_back(self, step: int, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        typed = {
            1: {"requester_phone": "02 97 99 99 99"},
            2: {"justification": "Un nom d’usage."},
            3: {"mailboxes-0-function": "Bibliothèque"},
            4: {"technical_contact_name": "Dominique"},
            5: {"declares_exact": "on"},
        }[step]
        back = self.typed(client, draft, step, **typed)
        come_back(client, agent)
        text = page(client, back)
        assert "Votre saisie est retrouvée" in said(text)
        for value in typed.values():
            assert value == "on" or value in text

    def test_a_button_that_adds_a_row_adds_it_once_back(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, 3, action="add-shared-mairie")
        come_back(client, agent)
        assert 'value="mairie"' in page(client, back)
        assert draft.mailboxes.count() == 1

    def test_somebody_else_in_the_same_browser_sees_nothing(
        self, agent: User, draft: Dossier, commune: Organization
    ) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, requester_given_name="Zoé")
        come_back(client, MembershipFactory.create(organization=commune).user)
        assert "Zoé" not in page(client, back)

    def test_the_same_person_in_another_browser_sees_nothing(self, agent: User, draft: Dossier) -> None:
        back = self.typed(sign_in(agent), draft, requester_given_name="Zoé")
        elsewhere = sign_in(agent)
        page(elsewhere, urlsplit(back).path)  # it has a cookie of its own
        assert "Zoé" not in page(elsewhere, back)

    def test_after_an_hour_it_is_gone(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, requester_given_name="Zoé")
        with time_machine.travel(timezone.now() + timedelta(minutes=61)):
            come_back(client, agent)
            assert "Zoé" not in page(client, back)
            assert TypedForm.objects.exists()
            tasks.forget()
            assert not TypedForm.objects.exists()

    def test_a_browser_that_nobody_used_here_leaves_nothing(self, draft: Dossier) -> None:
        client = Client()
        client.cookies[typed_forms.COOKIE] = "forged"
        response = client.post(f"/demandes/{draft.pk}/etape/1/", {"requester_given_name": "Zoé"})
        assert response.status_code == 302
        assert typed_forms.NAME not in sent_to(response)
        assert not TypedForm.objects.exists()

    def test_a_forged_post_from_another_site_is_not_kept(self, agent: User, draft: Dossier) -> None:
        client = Client(enforce_csrf_checks=True)
        come_back(client, agent)
        page(client, f"/demandes/{draft.pk}/etape/1/")
        lose_session(client)
        assert client.post(f"/demandes/{draft.pk}/etape/1/", {"requester_given_name": "Zoé"}).status_code == 403
        assert not TypedForm.objects.exists()

    @pytest.mark.parametrize("text", ["x" * 200_001, "a\x00b"])
    def test_what_cannot_be_kept_is_asked_again(self, text: str, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        assert typed_forms.NAME not in self.typed(client, draft, requester_given_name=text)
        assert not TypedForm.objects.exists()

    def test_the_oldest_go_when_there_are_many(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        page(client, f"/demandes/{draft.pk}/etape/1/")
        lose_session(client)
        for number in range(8):
            client.post(f"/demandes/{draft.pk}/etape/1/", {"requester_given_name": f"Zoé{number}"})
        assert TypedForm.objects.count() == typed_forms.MOST

    def test_nothing_typed_is_written_in_the_logs(
        self, agent: User, draft: Dossier, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = sign_in(agent)
        with caplog.at_level(logging.DEBUG):
            back = self.typed(client, draft, requester_given_name="Secretissime")
            come_back(client, agent)
            page(client, back)
        assert "Secretissime" not in "".join(
            one.getMessage() for one in caplog.records if not one.name.startswith("django.db")
        )

    def test_a_dossier_sent_meanwhile_still_shows_what_was_typed(
        self, agent: User, draft: Dossier, anct: Operator, commune: Organization
    ) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, requester_given_name="Zoé")
        workflow.submit(draft, by=MembershipFactory.create(organization=commune).user, version=1)
        come_back(client, agent)
        text = page(client, back, 409)
        assert "Zoé" in text
        assert "transmise entre-temps" in said(text)

    def test_what_somebody_saved_meanwhile_is_merged_when_it_is_sent(
        self, agent: User, draft: Dossier, commune: Organization
    ) -> None:
        client = sign_in(agent)
        back = self.typed(client, draft, requester_given_name="Zoé")
        colleague = sign_in(MembershipFactory.create(organization=commune).user)
        url = urlsplit(back).path
        colleague.post(url, {**form_of(page(colleague, url)), "requester_phone": "02 97 11 11 11"})
        come_back(client, agent)
        client.post(url, form_of(page(client, back)))
        draft.refresh_from_db()
        assert (draft.requester_given_name, draft.requester_phone) == ("Zoé", "02 97 11 11 11")

    def test_another_form_is_shown_ready_to_be_sent_again(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        url = f"/demandes/{draft.pk}/signaler/"
        page(client, url)
        lose_session(client)
        data = {"fact": "population", "claimed": "321 habitants", "reason": "Le recensement de janvier."}
        back = sent_to(client.post(url, data))
        come_back(client, agent)
        form = form_of(page(client, back))
        assert form["claimed"] == ["321 habitants"]
        assert client.post(url, form).status_code == 302
        assert draft.claims.get().claimed == "321 habitants"

    def test_leaving_takes_the_cookie_away(self, agent: User, draft: Dossier) -> None:
        client = sign_in(agent)
        page(client, f"/demandes/{draft.pk}/etape/1/")
        assert client.cookies[typed_forms.COOKIE].value
        assert client.cookies[typed_forms.COOKIE]["httponly"]
        client.post("/deconnexion/")
        assert client.cookies[typed_forms.COOKIE].value == ""


class TestAnotherTab:
    """The session ended while somebody typed, and another tab signed in again: the form's token is of yesterday."""

    OURS: ClassVar[dict[str, str]] = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}

    def opened(self, user: User, url: str) -> tuple[Client, dict[str, object]]:
        """Return a browser that signed in again since it opened the page, and the form it still shows."""
        client = Client(enforce_csrf_checks=True)
        come_back(client, user)
        text = page(client, url)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
        assert token
        form: dict[str, object] = {**form_of(text), "csrfmiddlewaretoken": token[1]}
        lose_session(client)
        del client.cookies["suite_csrf"]  # what signing in changes
        come_back(client, user)
        page(client, "/demandes/")
        return client, form

    def test_the_words_are_shown_back_and_a_click_saves_them(self, agent: User, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        client, form = self.opened(agent, url)
        response = client.post(url, {**form, "requester_email": "zoe@ailleurs.example"}, headers=self.OURS)
        assert response.status_code == 403
        text = response.content.decode()
        assert "zoe@ailleurs.example</li>" in text
        assert "no-store" in response["Cache-Control"]
        draft.refresh_from_db()
        assert draft.version == 1, "nothing is done before the click"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
        assert token
        again = {**form_of(text), "csrfmiddlewaretoken": token[1]}
        assert client.post(url, again, headers=self.OURS).status_code == 302
        draft.refresh_from_db()
        assert draft.requester_email == "zoe@ailleurs.example"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://ailleurs.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
            {"Origin": "http://testserver.ailleurs.example"},
            {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
            {},
        ],
        ids=["another site", "nowhere", "a name alike", "two words", "unsaid"],
    )
    def test_what_another_site_sends_is_neither_shown_nor_kept(
        self, headers: dict[str, str], agent: User, draft: Dossier
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        client, form = self.opened(agent, url)
        response = client.post(url, {**form, "requester_given_name": "Forgée par autrui"}, headers=headers)
        assert response.status_code == 403
        assert "Forgée" not in response.content.decode()
        assert f'action="{url}"' not in response.content.decode()
        assert not TypedForm.objects.exists()

    def test_what_the_person_may_not_do_stays_refused_after_the_click(
        self, agent: User, draft: Dossier, stranger: User
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        client, form = self.opened(agent, url)
        lose_session(client)
        come_back(client, stranger)
        page(client, "/demandes/")
        text = client.post(url, form, headers=self.OURS).content.decode()
        assert stranger.get_full_name() in text, "it is said who would send it"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
        assert token
        again = {**form_of(text), "csrfmiddlewaretoken": token[1]}
        assert client.post(url, again, headers=self.OURS).status_code == 404

    def test_nobody_signed_in_signs_in_and_finds_it(self, agent: User, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        client, form = self.opened(agent, url)
        lose_session(client)
        response = client.post(url, {**form, "requester_given_name": "Zoé"}, headers=self.OURS)
        assert response.status_code == 302
        back = sent_to(response)
        come_back(client, agent)
        assert 'value="Zoé"' in page(client, back)

    def test_files_are_asked_for_again(self, agent: User, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/boites/importer/"
        client, form = self.opened(agent, url)
        table = SimpleUploadedFile("boites.csv", b"Adresse\nmairie\n")
        response = client.post(url, {**form, "file": table}, headers=self.OURS)
        assert response.status_code == 403
        assert "joignez-les à nouveau" in said(response.content.decode())
        assert "Envoyer maintenant" not in response.content.decode()

    def test_an_act_of_one_click_is_asked_again(self, agent: User, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/retirer/"
        client, form = self.opened(agent, url)
        response = client.post(url, form, headers=self.OURS)
        assert response.status_code == 403
        assert "Envoyer maintenant" not in response.content.decode()
        draft.refresh_from_db()
        assert draft.status == "draft"

    def test_words_written_where_there_is_no_page_lead_back_to_the_one_that_shows_them(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation("in_review", commune, agent, anct, instructor)
        thread, write = (reverse(f"desk:{name}", args=[dossier.pk]) for name in ("thread", "write"))
        client, form = self.opened(instructor, thread)
        text = client.post(write, {**form, "text": "Bonjour à tous."}, headers=self.OURS).content.decode()
        assert "Bonjour à tous.</li>" in text
        assert f'href="{thread}"' in text
        lose_session(client)
        response = client.post(write, {**form, "text": "Bonjour à tous."}, headers=self.OURS)
        come_back(client, instructor)
        assert "Bonjour à tous.</li>" in page(client, sent_to(response))


@pytest.mark.parametrize("name", sorted(typed_forms.KEEPING))
def test_each_form_that_is_kept_is_an_address_that_takes_one(name: str) -> None:
    address = ADDRESSES[name]
    assert address.post
    assert (address.get is None) == (name in typed_forms.SHOWN_BY)


def test_a_form_without_a_page_is_shown_by_one() -> None:
    assert all(ADDRESSES[page].get for page in typed_forms.SHOWN_BY.values())
