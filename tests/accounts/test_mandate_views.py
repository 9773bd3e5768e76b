import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from suite.accounts.mandate_models import Letter, MandateProof, Objection
from suite.accounts.mandate_workflow import Subject, request_email_code, request_letter
from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import User
from suite.directory.models import Organization
from suite.notices.models import Notice
from tests.factories.accounts import UserFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory
from tests.factories.mandates import MandateProofFactory

S = MandateProof.State


@pytest.fixture
def commune(db: None) -> Organization:
    commune = CommuneFactory.create(name="Essai-le-Vieux", code="01998")
    DeclaredContactFactory.create(organization=commune, emails=["mairie@commune.example", "maire@orange.fr"])
    return commune


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(given_name="Zoë", usual_name="L’Hœur", email="zoe@ailleurs.example")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
    return client


def url(name: str, commune: Organization) -> str:
    return reverse(f"accounts:mandate_{name}", args=[commune.code])


def link() -> str:
    notice = Notice.objects.latest("created_at")
    found = re.search(r"(/habilitation/objection/\w+/)", notice.body_text)
    assert found
    return found[1]


class TestDetail:
    def test_the_routes_are_offered_with_the_addresses_masked(
        self, client: Client, commune: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(15):
            page = client.get(url("detail", commune)).content.decode()
        assert "m•••@commune.example" in page
        assert "mairie@commune.example" not in page
        assert "fournisseur grand public" in page
        assert "Demander un courrier" in page
        assert "Déposer le document" in page

    def test_without_a_known_contact_it_says_so_and_offers_the_rest(self, client: Client, db: None) -> None:
        bare = CommuneFactory.create()
        page = client.get(url("detail", bare)).content.decode()
        assert "Nous ne connaissons pas encore le contact officiel" in page
        assert "Demander un courrier" not in page
        assert "Déposer le document" in page
        assert "mailto:" in page

    def test_it_shows_nothing_of_others(self, client: Client, commune: Organization) -> None:
        MandateProofFactory.create(organization=commune, letter=True)
        assert "Où vous en êtes" not in client.get(url("detail", commune)).content.decode()

    @pytest.mark.parametrize("code", ["00000", "rien", "01 998", "%00"])
    def test_an_unknown_commune_is_not_found(self, client: Client, commune: Organization, code: str) -> None:
        assert client.get(f"/habilitation/{code}/").status_code == 404


class TestAskEmail:
    def test_a_code_leaves(self, client: Client, commune: Organization) -> None:
        assert client.post(url("ask_email", commune), {"address": "0"}).status_code == 302
        assert Notice.objects.get(kind="mandate_code").recipient == "mairie@commune.example"

    @pytest.mark.parametrize("address", ["", "7", "-1", "autre@commune.example"])
    def test_an_address_of_one_s_own_is_refused(self, client: Client, commune: Organization, address: str) -> None:
        response = client.post(url("ask_email", commune), {"address": address})
        assert response.status_code == 422
        assert 'role="alert"' in response.content.decode()
        assert not Notice.objects.exists()

    def test_the_fourth_of_a_day_is_refused_with_the_other_routes(self, client: Client, commune: Organization) -> None:
        for _ in range(3):
            client.post(url("ask_email", commune), {"address": "0"})
        response = client.post(url("ask_email", commune), {"address": "0"})
        assert response.status_code == 422
        assert "autre voie" in response.content.decode()

    def test_without_a_known_contact_it_is_refused_kindly(self, client: Client, db: None) -> None:
        response = client.post(url("ask_email", CommuneFactory.create()), {"address": "0"})
        assert response.status_code == 422
        assert "document signé du maire" in response.content.decode()


class TestAskLetter:
    def test_a_letter_waits_to_be_printed(self, client: Client, commune: Organization) -> None:
        assert client.post(url("ask_letter", commune), {"elected": "on"}).status_code == 302
        assert MandateProof.objects.get().elected
        assert Letter.objects.get().sealed_code

    def test_without_a_known_address_it_is_refused_kindly(self, client: Client, db: None) -> None:
        assert client.post(url("ask_letter", CommuneFactory.create())).status_code == 422


class TestHandIn:
    def test_a_disguised_file_is_refused_in_words(self, client: Client, commune: Organization) -> None:
        file = SimpleUploadedFile("arrete.pdf", b"<html></html>", content_type="application/pdf")
        response = client.post(url("hand_in", commune), {"file": file})
        assert response.status_code == 422
        assert "quel que soit son nom" in response.content.decode()

    def test_too_large_a_file_is_refused_before_it_is_read(self, client: Client, commune: Organization) -> None:
        file = SimpleUploadedFile("arrete.pdf", b"%PDF-" + b"0" * (5 * 1024 * 1024 + 1))
        response = client.post(url("hand_in", commune), {"file": file})
        assert response.status_code == 422
        assert "dépasse 5 Mo" in response.content.decode()

    def test_no_file_is_an_error_of_the_field(self, client: Client, commune: Organization) -> None:
        page = client.post(url("hand_in", commune)).content.decode()
        assert 'href="#document_file"' in page
        assert 'id="document_file"' in page


class TestEnter:
    def test_the_code_proves(self, client: Client, commune: Organization, user: User) -> None:
        proof = request_email_code(commune, address=0, by=user, elected=False)
        code = re.search(r"^(\w{4} \w{4})$", Notice.objects.get().body_text, re.MULTILINE)
        assert code
        response = client.post(reverse("accounts:mandate_enter", args=[proof.pk]), {"code": code[1]})
        assert response.status_code == 302
        assert mandate(user, commune) == Mandate.ATTACHED

    def test_a_wrong_one_says_how_many_are_left(self, client: Client, commune: Organization, user: User) -> None:
        proof = request_email_code(commune, address=0, by=user, elected=False)
        target = reverse("accounts:mandate_enter", args=[proof.pk])
        response = client.post(target, {"code": "AAAAAAAA"})
        assert response.status_code == 422
        assert "Il vous reste 4 essais" in response.content.decode()
        assert client.post(target, {"code": ""}).status_code == 422
        proof.refresh_from_db()
        assert proof.tries == 1

    def test_another_s_is_not_found(self, client: Client, commune: Organization) -> None:
        proof = request_email_code(commune, address=0, by=UserFactory.create(), elected=False)
        assert client.post(reverse("accounts:mandate_enter", args=[proof.pk]), {"code": "A"}).status_code == 404


class TestConfirm:
    def test_a_stranger_cannot_use_up_the_tries_of_a_town_hall(self, commune: Organization, user: User) -> None:
        subject = Subject(case=MandateProofFactory.create().pk, reference="D-2026-00001")
        proof = request_letter(commune, subject=subject, by=user, elected=False)
        visitor = Client()
        for _ in range(12):
            answer = visitor.post(
                reverse("accounts:mandate_confirm"), {"reference": "D-2026-00001", "code": "AAAAAAAAAA"}
            )
            assert answer.status_code == 422
        proof.refresh_from_db()
        assert (proof.tries, proof.state) == (0, S.PENDING)

    def test_it_is_open_to_all_and_kept_quiet(self, db: None) -> None:
        response = Client().get(reverse("accounts:mandate_confirm"))
        assert response.status_code == 200
        # Not "no-referrer": a browser would send the page's form with a null origin.
        assert response["Referrer-Policy"] == "same-origin"
        assert response["X-Robots-Tag"] == "noindex"
        assert "no-store" in response["Cache-Control"]

    def test_what_is_missing_is_said(self, db: None) -> None:
        assert Client().post(reverse("accounts:mandate_confirm"), {}).status_code == 422


class TestObject:
    def test_looking_changes_nothing_and_acting_freezes(self, commune: Organization, user: User) -> None:
        request_email_code(commune, address=0, by=user, elected=False)
        MandateProofFactory.create(organization=commune, user=user, letter=True)
        target, visitor = link(), Client()
        page = visitor.get(target).content.decode()
        assert "Zoë L’Hœur" in page
        assert not Objection.objects.exists()
        assert mandate(user, commune) == Mandate.PROVED
        assert visitor.post(target).status_code == 200
        assert visitor.post(target).status_code == 200
        assert Objection.objects.count() == 1
        assert mandate(user, commune) == Mandate.NONE
        assert set(MandateProof.objects.values_list("state", flat=True)) == {S.OBJECTED}

    def test_it_does_not_touch_other_people(self, commune: Organization, user: User) -> None:
        other = UserFactory.create()
        MandateProofFactory.create(organization=commune, user=other, letter=True)
        request_email_code(commune, address=0, by=user, elected=False)
        Client().post(link())
        assert mandate(other, commune) == Mandate.PROVED

    @pytest.mark.parametrize("token", ["rien", "A" * 24, "%00" * 8])
    def test_an_unknown_link_is_not_found(self, db: None, token: str) -> None:
        assert Client().get(f"/habilitation/objection/{token}/").status_code == 404
