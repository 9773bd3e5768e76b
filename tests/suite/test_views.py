"""The pages of no trade: what they promise is true of the site they are on, and a failure never hides another."""

import re

import pytest
from django.db import DatabaseError, connection
from django.test import Client, RequestFactory
from pytest_django import Settings

from suite import views
from tests.factories.accounts import UserFactory


@pytest.mark.django_db
class TestLegal:
    def test_a_demonstration_does_not_claim_to_be_the_state_s(self, client: Client) -> None:
        text = client.get("/mentions-legales/").text

        assert "Ce site est une démonstration" in text
        assert "est édité par l’Agence nationale" not in text

    def test_the_official_site_names_its_publisher(self, client: Client, settings: Settings) -> None:
        settings.OFFICIAL_SITE = True

        text = client.get("/mentions-legales/").text

        assert "est édité par l’Agence nationale de la cohésion des territoires" in text
        assert "démonstration" not in text


@pytest.mark.django_db
class TestAccessibility:
    def test_without_audit_the_site_says_non_conforme_and_how_to_report(self, client: Client) -> None:
        text = client.get("/accessibilite/").text

        assert "non conforme" in text
        assert "aucun audit" in text
        assert 'href="mailto:contact@suite.example"' in text


@pytest.mark.django_db
class TestPrivacy:
    def test_the_cookies_named_are_the_cookies_set(self, client: Client) -> None:
        client.force_login(UserFactory.create())
        text = client.get("/donnees-personnelles/").text

        # Those of sign-out and of the break-glass door are set by their own pages.
        assert "l’un tient votre session" in text
        assert "un autre protège" in text
        assert "accompagnent la déconnexion" in text
        assert set(client.cookies) <= {"suite_session", "suite_csrf"}

    def test_a_demonstration_asks_for_no_real_data(self, client: Client) -> None:
        assert "aucune donnée réelle" in client.get("/donnees-personnelles/").text


class TestHealthz:
    def test_it_answers_without_any_database(self, client: Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
class TestReadyz:
    def test_it_names_each_part_and_nobody(self, client: Client) -> None:
        answer = client.get("/readyz")
        assert set(answer.json()["checks"]) == {
            "broker", "database", "schedules", "outbox", "dead_letters", "providers"
        }  # fmt: skip
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
class TestErrors:
    def test_an_unknown_address_offers_a_search_and_a_reference(self, client: Client) -> None:
        client.force_login(UserFactory.create())

        response = client.get("/n-existe-pas/")

        assert response.status_code == 404
        assert "Page introuvable" in response.text
        assert re.search(r"référence [0-9a-f]{12}", response.text)
        assert response["X-Request-Id"] in response.text

    def test_a_failure_shows_a_page_even_when_the_database_is_what_failed(self) -> None:
        request = RequestFactory().get("/")
        request.user = UserFactory.create()

        def down(*args: object) -> object:
            raise DatabaseError("the database is down")

        with connection.execute_wrapper(down):
            response = views.server_error(request)

        assert response.status_code == 500
        assert "Une panne de notre côté" in response.text

    def test_a_form_without_its_token_is_explained_in_french(self) -> None:
        client = Client(enforce_csrf_checks=True)

        response = client.post("/mentions-legales/")

        assert response.status_code == 403
        assert "Ce formulaire a expiré" in response.text

    def test_a_refusal_says_why(self, client: Client) -> None:
        client.force_login(UserFactory.create())

        response = client.get("/groupe-pilote/")

        assert response.status_code == 403
        assert "réservée aux équipes des opérateurs" in response.text

    def test_a_host_that_is_not_ours_gets_400(self, client: Client) -> None:
        response = client.get("/mentions-legales/", headers={"host": "ailleurs.example"})

        assert response.status_code == 400
