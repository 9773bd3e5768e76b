"""What anybody reads, and what the people of a commune sign."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from onboarding.agreements import texts
from onboarding.agreements.models import Acceptance, Text
from suite.accounts.models import User
from suite.directory.models import Organization
from tests.accounts.elevation import elevate
from tests.agreements.test_workflow import accepted
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.agreements import TextFactory

pytestmark = pytest.mark.django_db


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
    elevate(client)
    return client


class TestPrices:
    def test_anybody_reads_what_a_commune_pays(self, client: Client, commune: Organization) -> None:
        html = client.get(f"/conventions/prix/{commune.code}/").content.decode()

        assert "<strong>Gratuit</strong>" in html
        assert "Part de l’État" in html
        assert "Modèle à valider par le service juridique" in html

    def test_an_unknown_code_is_404(self, client: Client) -> None:
        assert client.get("/conventions/prix/99999/").status_code == 404


class TestText:
    def test_a_published_text_is_public_and_a_draft_is_not(self, client: Client) -> None:
        out, draft = TextFactory.create(), TextFactory.create(draft=True)

        assert out.digest in client.get(reverse("agreements:text", args=[out.pk])).content.decode()
        assert client.get(reverse("agreements:text", args=[draft.pk])).status_code == 404

    def test_an_old_version_points_to_the_new_one(self, client: Client) -> None:
        old = Text.objects.get(kind="convention")
        new = TextFactory.create()

        html = client.get(reverse("agreements:text", args=[old.pk])).content.decode()
        assert reverse("agreements:text", args=[new.pk]) in html

    def test_what_was_typed_as_html_stays_words(self, client: Client) -> None:
        text = TextFactory.create(body="<script>alert(1)</script>")
        html = client.get(reverse("agreements:text", args=[text.pk])).content.decode()

        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html


class TestTextPdf:
    def test_it_is_a_pdf_to_download(self, client: Client) -> None:
        response = client.get(reverse("agreements:text_pdf", args=[TextFactory.create().pk]))

        assert response["Content-Type"] == "application/pdf"
        assert response.content.startswith(b"%PDF")

    def test_a_draft_is_404(self, client: Client) -> None:
        draft = TextFactory.create(draft=True)
        assert client.get(reverse("agreements:text_pdf", args=[draft.pk])).status_code == 404


class TestList:
    def test_an_only_commune_is_its_page(self, commune: Organization, manager: User) -> None:
        response = sign_in(manager).get("/conventions/")
        assert response["Location"] == reverse("agreements:organization", args=[commune.pk])

    def test_two_are_listed_and_none_is_explained(self, commune: Organization, manager: User) -> None:
        MembershipFactory.create(user=manager)
        assert commune.name in sign_in(manager).get("/conventions/").content.decode()
        assert "prix, eux, sont publics" in sign_in(UserFactory.create()).get("/conventions/").content.decode()


class TestOrganization:
    def test_it_says_what_is_signed_what_is_not_and_what_it_costs(
        self, commune: Organization, manager: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        done = accepted(commune, manager)
        TextFactory.create()
        client = sign_in(manager)
        with django_assert_max_num_queries(15):
            html = client.get(reverse("agreements:organization", args=[commune.pk])).content.decode()

        assert "Nouvelle version à accepter" in html
        assert reverse("agreements:acceptance_pdf", args=[done[0].pk]) in html
        assert "Gratuit" in html

    def test_a_stranger_does_not_see_it(self, commune: Organization) -> None:
        response = sign_in(UserFactory.create()).get(reverse("agreements:organization", args=[commune.pk]))
        assert response.status_code == 404


class TestAccept:
    def url(self, commune: Organization) -> str:
        return reverse("agreements:accept", args=[commune.pk])

    def data(self, **more: str) -> dict[str, object]:
        return {"texts": [str(one.pk) for one in texts.in_force(None)], "function": "Maire", **more}

    def test_a_manager_accepts_and_finds_the_stamped_pdf(self, commune: Organization, manager: User) -> None:
        client = sign_in(manager)
        assert client.post(self.url(commune), self.data()).status_code == 302

        assert Acceptance.objects.filter(organization=commune, user=manager, mandate=3).count() == 3
        assert "Tout est accepté" in client.get(self.url(commune)).content.decode()

    def test_a_weak_mandate_is_told_what_the_convention_needs(self, commune: Organization, secretary: User) -> None:
        client = sign_in(secretary)
        assert "habilitation M2" in client.get(self.url(commune)).content.decode()
        client.post(self.url(commune), self.data())
        html = client.get(reverse("agreements:organization", args=[commune.pk])).content.decode()

        assert "Acceptée, à confirmer" in html

    @pytest.mark.parametrize("lacking", ["texts", "function"])
    def test_what_is_missing_is_named_and_nothing_is_stored(
        self, commune: Organization, manager: User, lacking: str
    ) -> None:
        response = sign_in(manager).post(
            self.url(commune), {name: value for name, value in self.data().items() if name != lacking}
        )

        assert response.status_code == 422
        assert "Erreur\u00a0:" in response.content.decode()
        assert not Acceptance.objects.exists()

    def test_a_text_replaced_while_one_reads_is_not_accepted_unread(self, commune: Organization, manager: User) -> None:
        shown = self.data()
        TextFactory.create()
        response = sign_in(manager).post(self.url(commune), shown)

        assert response.status_code == 422
        assert "a changé depuis" in response.content.decode()
        assert not Acceptance.objects.exists()

    def test_readers_and_operators_accept_nothing(self, commune: Organization, lead: User) -> None:
        reader = MembershipFactory.create(organization=commune, invited=True, role="reader").user
        for user in (reader, lead):
            assert sign_in(user).post(self.url(commune), self.data()).status_code == 403
        assert not Acceptance.objects.exists()

    def test_another_commune_s_manager_does_not_find_it(self, commune: Organization) -> None:
        other = MembershipFactory.create(manager=True).user
        assert sign_in(other).post(self.url(commune), self.data()).status_code == 404


class TestAcceptancePdf:
    def test_the_commune_and_its_operator_read_it_nobody_else(
        self, commune: Organization, manager: User, lead: User
    ) -> None:
        url = reverse("agreements:acceptance_pdf", args=[accepted(commune, manager)[1].pk])

        assert sign_in(manager).get(url).content.startswith(b"%PDF")
        assert sign_in(lead).get(url).status_code == 200
        assert sign_in(UserFactory.create()).get(url).status_code == 404
