"""The public pages: what they say, their statuses, their budgets."""

import html
import re

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from suite.catalog.models import Service, Subscription
from tests.factories.directory import CommuneFactory, EpciFactory, NameFactory, OperatorFactory, siret

pytestmark = pytest.mark.django_db


def text(content: bytes) -> str:
    """Return what a reader sees, blanks made plain."""
    bare = re.sub(r"<[^>]+>", " ", content.decode())
    return " ".join(html.unescape(bare).split())


class TestHome:
    def test_it_is_public_and_says_who_may_join_and_how(self, client: Client) -> None:
        response = client.get(reverse("eligibility:home"))
        assert response.status_code == 200
        page = text(response.content)
        for said in ("3 500", "15 000", "nom de domaine", "messagerie", "stockage", "Avant de commencer"):
            assert said in page

    def test_homonyms_show_their_departement_and_population_and_are_counted(self, client: Client) -> None:
        CommuneFactory.create(name="Double", department__code="38", population=1234)
        CommuneFactory.create(name="Double", department__code="01", population=56)
        page = text(client.get("/", {"q": "double"}).content)
        assert "2 réponses pour « double »" in page
        for said in ("Isère (38)", "Ain (01)", "1 234 habitants", "56 habitants"):
            assert said in page

    def test_ten_are_shown_then_all(self, client: Client) -> None:
        CommuneFactory.create_batch(12, name="Pareil")
        first = client.get("/", {"q": "pareil"})
        assert first.content.count(b">Pareil</a>") == 10
        assert "Voir toutes les réponses" in text(first.content)
        assert client.get("/", {"q": "pareil", "tous": "1"}).content.count(b">Pareil</a>") == 12

    def test_a_postcode_lists_its_communes(self, client: Client) -> None:
        CommuneFactory.create(name="Une", postcodes=["97680"])
        CommuneFactory.create(name="Deux", postcodes=["97680", "97681"])
        page = text(client.get("/", {"q": "97680"}).content)
        assert "Une" in page
        assert "Deux" in page

    def test_an_exact_identifier_leads_to_its_page(self, client: Client) -> None:
        commune = CommuneFactory.create()
        response = client.get("/", {"q": f" {commune.siren} "}, follow=True)
        assert response.redirect_chain[-1][0] == reverse("eligibility:organization", args=[commune.code])
        # A list while one types: a redirect would put a whole page inside the page.
        assert client.get("/", {"q": commune.siren or ""}, headers={"HX-Request": "true"}).status_code == 200

    def test_a_former_name_says_which_commune_answers_for_it(self, client: Client) -> None:
        commune = CommuneFactory.create(name="Neuve")
        NameFactory.create(organization=commune, name="Vieille", code="01990")
        page = text(client.get("/", {"q": "vieille"}).content)
        assert "commune déléguée : voir Neuve" in page

    def test_nothing_found_says_so_and_what_to_try(self, client: Client) -> None:
        response = client.get("/", {"q": "introuvable"})
        assert response.status_code == 200
        assert "Aucune collectivité trouvée pour « introuvable »" in text(response.content)

    def test_what_was_typed_is_shown_again_and_harmless(self, client: Client) -> None:
        response = client.get("/", {"q": '"><script>alert(1)</script>'})
        assert b"<script>alert" not in response.content
        assert "alert(1)" in html.unescape(response.content.decode())

    def test_too_short_and_too_long_get_a_sentence(self, client: Client) -> None:
        assert "au moins deux lettres" in text(client.get("/", {"q": "b"}).content)
        assert "dépasse 100 caractères" in text(client.get("/", {"q": "x" * 101}).content)

    @pytest.mark.parametrize("query", ["%00", "%", "_", "%F0%9F%8F%9B", "%FF", "'", "%5C", "+", "a" * 5000])
    def test_hostile_queries_are_answered(self, client: Client, query: str) -> None:
        assert client.get(f"/?q={query}").status_code == 200

    def test_a_post_is_refused(self, client: Client) -> None:
        assert client.post("/").status_code == 405

    def test_its_budget(self, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        EpciFactory.create(name="CC Pareil")
        CommuneFactory.create_batch(12, name="Pareil", in_epci=True)
        with django_assert_max_num_queries(3):
            client.get("/", {"q": "pareil"})
        with django_assert_max_num_queries(0):
            client.get("/")

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(query=st.text(max_size=120))
    def test_no_query_breaks_it(self, client: Client, query: str) -> None:
        encoded = query.encode("utf-8", "surrogatepass")
        assert client.get("/", {"q": encoded}).status_code in {200, 302}


class TestOrganization:
    def page(self, client: Client, code: str) -> str:
        response = client.get(reverse("eligibility:organization", args=[code]))
        assert response.status_code == 200
        return text(response.content)

    def test_an_eligible_commune_reads_why_and_may_ask(self, client: Client) -> None:
        commune = CommuneFactory.create(name="Rochefort", in_epci=True, population=647)
        response = client.get(reverse("eligibility:organization", args=[commune.code]))
        page = text(response.content)
        for said in (
            "peut en bénéficier",
            "647 habitants",
            "2023",
            "3 500",
            "21 mars 2025",
            "Ain (01)",
            str(commune.siren),
        ):
            assert said in page
        assert f'href="/demandes/nouvelle/?commune={commune.code}"'.encode() in response.content
        assert commune.epci is not None
        assert reverse("eligibility:organization", args=[commune.epci.code]).encode() in response.content

    def test_a_commune_of_3500_is_sent_to_the_guide(self, client: Client) -> None:
        commune = CommuneFactory.create(population=3500)
        page = self.page(client, commune.code)
        assert "dépasse les seuils" in page
        assert "exactement la limite" in page
        assert "Guide d’autohébergement" in page
        assert "Faire une demande" not in page

    def test_above_with_an_operator_one_is_sent_to_it_and_to_the_guide(self, client: Client) -> None:
        OperatorFactory.create(name="Adico")
        page = self.page(client, CommuneFactory.create(above=True).code)
        assert "Contacter Adico" in page
        assert "Guide d’autohébergement" in page

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            ("partenaire_avec_services", "qui sert votre territoire"),
            ("partenaire", "vous serez recontacté"),
            ("intention", "À venir"),
        ],
    )
    def test_the_operators_are_all_shown_and_the_request_goes_to_the_best(
        self, client: Client, status: str, said: str
    ) -> None:
        OperatorFactory.create(name="Adico", status=status)
        OperatorFactory.create(name="Vaste", departments=["01", "38"])
        OperatorFactory.create(name="Muet", hidden=True)
        OperatorFactory.create(national_one=True)
        page = self.page(client, CommuneFactory.create().code)
        assert "transmise à Adico" in page
        assert said in page
        assert "Vaste" in page
        assert "Muet" not in page
        assert "Faire une demande" in page

    def test_special_cases_may_ask_without_a_promise(self, client: Client) -> None:
        for commune in (
            CommuneFactory.create(com=True),
            CommuneFactory.create(empty=True),
            CommuneFactory.create(no_siren=True),
            CommuneFactory.create(unknown_population=True),
        ):
            page = self.page(client, commune.code)
            assert "sans promesse" in page
            assert "Faire une demande" in page
            assert "peut en bénéficier" not in page
            assert "None" not in page

    def test_an_agglomeration_is_not_covered_and_may_write(self, client: Client) -> None:
        page = self.page(client, EpciFactory.create(agglomeration=True).code)
        assert "Non couverte" in page
        assert "communauté d’agglomération" in page
        assert "Nous contacter" in page
        assert "Faire une demande" not in page

    def test_a_communaute_de_communes_shows_its_members(self, client: Client) -> None:
        epci = EpciFactory.create()
        commune = CommuneFactory.create(epci=epci)
        page = self.page(client, epci.code)
        assert "peut en bénéficier" in page
        assert commune.name in page

    def test_a_commune_without_epci_shows_none(self, client: Client) -> None:
        page = self.page(client, CommuneFactory.create().code)
        assert "Intercommunalité" not in page
        assert "None" not in page

    def test_the_services_already_used_come_first_and_the_verdict_stays(self, client: Client) -> None:
        commune = CommuneFactory.create(above=True)
        operator = OperatorFactory.create(departments=[])
        service, dormant = (
            Service.objects.create(id=9000 + n, slug=f"essai-{n}", name=f"Service-{n}", description="x") for n in (1, 2)
        )
        Subscription.objects.create(organization=commune, service=service, operator=operator)
        Subscription.objects.create(organization=commune, service=dormant, operator=operator, active=False)
        page = self.page(client, commune.code)
        assert page.index("Déjà utilisateur") < page.index("dépasse les seuils")
        assert "Service-1" in page
        assert "Service-2" not in page

    def test_a_code_of_the_past_shows_one_link_and_no_request(self, client: Client) -> None:
        commune = CommuneFactory.create(name="Neuve")
        NameFactory.create(organization=commune, name="Vieille", code="01990")
        page = self.page(client, "01990")
        assert "Vieille est une commune déléguée de Neuve" in page
        assert "Voir Neuve" in page
        assert "Faire une demande" not in page

    def test_a_merged_epci_shows_its_successor(self, client: Client) -> None:
        closed = EpciFactory.create(closed=True)
        page = self.page(client, closed.code)
        assert closed.successor is not None
        assert f"Voir {closed.successor.name}" in page
        assert "Faire une demande" not in page

    def test_other_numbers_redirect_to_the_address_of_the_page(self, client: Client) -> None:
        commune = CommuneFactory.create()
        address = reverse("eligibility:organization", args=[commune.code])
        assert client.get(f"/collectivites/{commune.siren}/").headers["Location"] == address
        assert client.get(f"/collectivites/{siret(commune.siren or '')}/").headers["Location"] == address
        other = client.get(f"/collectivites/{siret(commune.siren or '', 66)}/", follow=True)
        assert other.redirect_chain[0][0].startswith(address)
        assert "établissement secondaire" in text(other.content)

    def test_the_note_on_an_establishment_is_not_shown_for_anothers(self, client: Client) -> None:
        commune, other = CommuneFactory.create_batch(2)
        address = reverse("eligibility:organization", args=[commune.code])
        own = siret(commune.siren or "", 66)
        mistyped = own[:-1] + str((int(own[-1]) + 1) % 10)  # its key is wrong, whatever the SIREN
        for value in (siret(other.siren or "", 66), "x", "%00", mistyped):
            assert "établissement secondaire" not in text(client.get(f"{address}?siret={value}").content)

    @pytest.mark.parametrize("code", ["99999", "217500017", "x", "%00", "2A", "é", "%F0%9F%8F%9B", "a" * 3000, "%20"])
    def test_an_unknown_code_is_404_with_a_new_search(self, client: Client, code: str) -> None:
        response = client.get(f"/collectivites/{code}/")
        assert response.status_code == 404
        assert 'role="search"' in response.content.decode()

    def test_its_budget(self, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        epci = EpciFactory.create()
        CommuneFactory.create_batch(5, epci=epci)
        commune = CommuneFactory.create(epci=epci)
        OperatorFactory.create_batch(3)
        NameFactory.create_batch(2, organization=commune)
        for code in (commune.code, epci.code):
            with django_assert_max_num_queries(6):
                client.get(reverse("eligibility:organization", args=[code]))
