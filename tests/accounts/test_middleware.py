"""One host name, to which the others lead (matrix, row 56)."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.urls import reverse

pytestmark = pytest.mark.django_db
CANONICAL, OTHER = "suite.example", "www.suite.example"


@pytest.fixture(autouse=True)
def _two_hosts() -> Iterator[None]:
    with override_settings(PUBLIC_BASE_URL=f"https://{CANONICAL}", ALLOWED_HOSTS=[CANONICAL, OTHER]):
        yield


class TestCanonicalHost:
    def test_row_56_a_second_name_leads_to_the_first_with_what_was_asked(self, client: Client) -> None:
        response = client.get("/connexion/?next=/demandes/%3Fa%3D1", headers={"host": OTHER})
        assert response.status_code == 302
        assert response["Location"] == f"https://{CANONICAL}/connexion/?next=/demandes/%3Fa%3D1"
        assert not response.cookies

    def test_row_56_no_sign_in_leaves_from_a_second_name(self, client: Client) -> None:
        response = client.get("/connexion/proconnect/", headers={"host": OTHER})
        assert urlsplit(response["Location"]).netloc == CANONICAL
        assert not Session.objects.exists()

    @pytest.mark.parametrize("path", ["/", "/nulle-part/", "//evil.example/", "/%0d%0aSet-Cookie:a=b/"])
    def test_it_leads_nowhere_else(self, client: Client, path: str) -> None:
        response = client.get(path, headers={"host": OTHER})
        assert urlsplit(response["Location"]).netloc == CANONICAL
        assert "\n" not in response["Location"]

    def test_the_first_name_answers_however_it_is_written(self, client: Client) -> None:
        assert client.get("/connexion/", headers={"host": "Suite.Example"}).status_code == 200

    def test_another_port_is_another_name(self, client: Client) -> None:
        assert client.get("/connexion/", headers={"host": f"{CANONICAL}:8443"}).status_code == 302

    def test_a_form_sent_to_a_second_name_is_refused_with_the_address_to_use(self, client: Client) -> None:
        response = client.post("/deconnexion/", headers={"host": OTHER})
        assert response.status_code == 421
        assert f"https://{CANONICAL}/" in response.text

    def test_a_name_that_is_not_ours_is_refused(self, client: Client) -> None:
        assert client.get("/connexion/", headers={"host": "evil.example"}).status_code == 400

    def test_a_probe_asks_by_any_name(self, client: Client) -> None:
        assert client.get(reverse("healthz"), headers={"host": OTHER}).status_code == 200
