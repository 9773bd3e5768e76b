import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from suite.accounts import states
from suite.accounts.oidc import ProConnectBackend
from suite.accounts.refusals import REFUSALS, SignInRefused
from suite.accounts.views import local_path, refuse
from tests.accounts.elevation import elevate
from tests.accounts.threads import together
from tests.factories.accounts import OperatorRoleFactory, UserFactory

pytestmark = pytest.mark.django_db

START, RETURN = "/connexion/proconnect/", "/connexion/retour/"
FOREIGN = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "http:evil.example",
    " /demandes/",
    "/demandes/\r\nX: y",
    "demandes/",
    "/" + "a" * 2001,
]


def leave(client: Client, query: str = "", **headers: str) -> dict[str, str]:
    """Leave for ProConnect; return what the browser takes there."""
    response = client.get(f"{START}{query}", headers=headers)
    assert response.status_code == 302
    assert response["Location"].startswith(f"{settings.OIDC_OP_AUTHORIZATION_ENDPOINT}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def come_back(client: Client, **query: str) -> Any:
    return client.get(RETURN, query)


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(UserFactory.create())
    return client


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


class TestLogin:
    def test_the_page_leads_to_proconnect_and_back_where_one_was_bound(self, client: Client) -> None:
        page = client.get(reverse("accounts:login"), {"next": "/demandes/?page=2"}).content.decode()
        assert f'href="{START}?next=%2Fdemandes%2F%3Fpage%3D2"' in page
        assert "ProConnect" in page

    def test_a_closed_page_sends_here(self, client: Client) -> None:
        response = client.get("/demandes/")
        assert response["Location"] == "/connexion/?next=/demandes/"

    def test_somebody_signed_in_goes_on(self, signed_in: Client) -> None:
        assert signed_in.get("/connexion/", {"next": "/demandes/?page=2"})["Location"] == "/demandes/?page=2"
        assert signed_in.get("/connexion/")["Location"] == "/demandes/"

    def test_an_operator_begins_at_the_desk(self, client: Client) -> None:
        client.force_login(OperatorRoleFactory.create().user)
        assert client.get("/connexion/")["Location"] == "/instruction/"

    @pytest.mark.parametrize("target", FOREIGN)
    def test_another_origin_is_never_next(self, signed_in: Client, target: str) -> None:
        assert local_path(target) == ""
        assert signed_in.get("/connexion/", {"next": target})["Location"] == "/demandes/"

    @pytest.mark.parametrize("target", ["/connexion/", "/connexion/retour/?code=1&state=2", "/deconnexion/"])
    def test_the_sign_in_itself_is_never_next(self, target: str) -> None:
        assert local_path(target) == ""

    def test_the_end_of_a_session_is_said(self, client: Client) -> None:
        assert "Votre session est terminée" in client.get("/connexion/", {"expiree": "1"}).content.decode()

    def test_writing_is_not_allowed(self, client: Client) -> None:
        assert client.post("/connexion/").status_code == 405


class TestAuthorize:
    def test_the_request_holds_what_proconnect_asks_and_nothing_else(self, client: Client) -> None:
        sent = leave(client)
        assert set(sent) == {
            "response_type",
            "scope",
            "client_id",
            "redirect_uri",
            "state",
            "nonce",
            "claims",
            "code_challenge",
            "code_challenge_method",
        }
        assert (len(sent["state"]), len(sent["nonce"]), sent["code_challenge_method"]) == (64, 64, "S256")
        assert sent["redirect_uri"] == f"{settings.PUBLIC_BASE_URL}{RETURN}"
        assert sent["claims"] == '{"id_token":{"acr":null,"amr":null}}'

    def test_the_host_header_does_not_choose_the_return_address(self, client: Client) -> None:
        response = client.get("/connexion/proconnect/", headers={"host": "localhost:9999"})
        assert response["Location"] == f"{settings.PUBLIC_BASE_URL}/connexion/proconnect/"

    def test_a_stronger_sign_in_demands_a_second_factor(self, client: Client) -> None:
        assert '"essential":true' in leave(client, "?renforcee=1")["claims"]

    def test_each_tab_has_its_own_entry(self, client: Client) -> None:
        first, second = leave(client, "?next=/demandes/"), leave(client, "?next=/groupe-pilote/")
        entries = client.session["oidc_states"]
        assert entries[first["state"]]["next"] == "/demandes/"
        assert entries[second["state"]]["next"] == "/groupe-pilote/"
        assert "oidc_login_next" not in client.session

    @pytest.mark.parametrize("target", FOREIGN)
    def test_another_origin_is_never_kept(self, client: Client, target: str) -> None:
        response = client.get(START, {"next": target})
        state = parse_qs(urlsplit(response["Location"]).query)["state"][0]
        assert client.session["oidc_states"][state]["next"] == ""

    def test_a_browser_keeps_fifty_entries_at_most(self, client: Client) -> None:
        for _ in range(55):
            leave(client)
        assert len(client.session["oidc_states"]) == 50


class TestCallback:
    @pytest.mark.parametrize("query", [{}, {"code": "c"}, {"code": "c", "state": "unknown"}, {"state": ""}], ids=str)
    def test_a_return_nobody_waits_for_is_refused(self, client: Client, query: dict[str, str]) -> None:
        response = come_back(client, **query)
        assert response.status_code == 400
        assert "n’est plus valable" in response.content.decode()
        assert not Session.objects.exists()
        assert not is_signed_in(client)

    @pytest.mark.parametrize(
        "query", [{"code": "c", "state": "unknown"}, {"error": "access_denied", "state": "unknown"}], ids=str
    )
    def test_a_foreign_page_cannot_end_a_session(self, signed_in: Client, query: dict[str, str]) -> None:
        assert come_back(signed_in, **query).status_code == 400
        assert is_signed_in(signed_in)

    def test_a_state_older_than_ten_minutes_is_refused(self, client: Client) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            state = leave(client)["state"]
            clock.shift(601)
            response = come_back(client, code="c", state=state)
        assert response.status_code == 400
        assert "trop de temps" in response.content.decode()

    def test_an_answer_of_another_provider_is_refused(self, client: Client) -> None:
        response = come_back(client, code="c", state=leave(client)["state"], iss="https://evil.example/api/v2")
        assert response.status_code == 502

    def test_a_state_serves_once(self, client: Client) -> None:
        state = leave(client)["state"]
        come_back(client, error="access_denied", state=state)
        assert "n’est plus valable" in come_back(client, error="access_denied", state=state).content.decode()

    @pytest.mark.parametrize(
        ("query", "status", "sentence"),
        [
            ({"error": "access_denied"}, 403, "La connexion a été interrompue"),
            ({"error": "access_denied", "error_description": "Y500015"}, 403, "réservé aux agents publics"),
            ({"error": "server_error"}, 502, "a rencontré une erreur"),
            ({"error": "temporarily_unavailable"}, 503, "ProConnect ne répond pas"),
            ({"error": "<b>unheard of</b>"}, 502, "a rencontré une erreur"),
            ({"error": ""}, 502, "a rencontré une erreur"),
            ({}, 400, "incomplète"),
            ({"code": ""}, 400, "incomplète"),
            ({"code": "c" * 5000}, 400, "incomplète"),
        ],
        ids=str,
    )
    def test_each_failure_is_explained(self, client: Client, query: dict[str, str], status: int, sentence: str) -> None:
        response = come_back(client, state=leave(client)["state"], **query)
        page = response.content.decode()
        assert response.status_code == status
        assert sentence in page
        assert response["X-Request-Id"] in page
        assert settings.CONTACT_EMAIL in page
        assert not is_signed_in(client)

    def test_nothing_the_provider_says_is_shown(self, client: Client) -> None:
        response = come_back(
            client, state=leave(client)["state"], error="server_error", error_description="Appelez le 08 99 00 00 00"
        )
        assert "08 99" not in response.content.decode()

    def test_a_refusal_leaves_whoever_was_signed_in(self, signed_in: Client) -> None:
        come_back(signed_in, state=leave(signed_in)["state"], error="access_denied")
        assert is_signed_in(signed_in)

    def test_the_reason_is_logged_and_nothing_secret(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        state = leave(client)["state"]
        come_back(client, state=state, code="secret-code" * 500)
        assert "sign-in refused: callback.code" in caplog.text
        assert "secret-code" not in caplog.text
        assert state not in caplog.text

    @pytest.mark.parametrize("path", ["/connexion/", "/admin/login/", "/", "/demandes/"])
    def test_a_code_in_another_address_signs_nobody_in(self, client: Client, path: str) -> None:
        state = leave(client)["state"]
        client.get(path, {"code": "c", "state": state})
        client.post(path, {"username": "a", "password": "b"}, query_params={"code": "c", "state": state})
        assert not is_signed_in(client)

    def test_the_backend_acts_for_our_callback_only(self) -> None:
        request = RequestFactory().get(RETURN, {"code": "c", "state": "s"})
        backend = ProConnectBackend()
        assert backend.authenticate(request, nonce="n", code_verifier="v") is None
        assert backend.authenticate(None, nonce="n") is None

    def test_the_method_is_get(self, client: Client) -> None:
        assert client.post(RETURN).status_code == 405


class TestLogout:
    def test_r43_the_local_session_ends_first_and_proconnect_is_told(self, signed_in: Client) -> None:
        session = signed_in.session
        session["oidc_id_token"] = "the.id.token"
        session.save()
        key = session.session_key
        response = signed_in.post("/deconnexion/")
        query = parse_qs(urlsplit(response["Location"]).query)
        assert response["Location"].startswith(f"{settings.OIDC_OP_LOGOUT_ENDPOINT}?")
        assert query["id_token_hint"] == ["the.id.token"]
        assert query["post_logout_redirect_uri"] == [f"{settings.PUBLIC_BASE_URL}/deconnexion/retour/"]
        assert len(query["state"][0]) == 64
        assert not Session.objects.filter(session_key=key).exists()
        cookie = response.cookies["suite_logout"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/deconnexion/retour/")

    def test_somebody_refused_can_leave_proconnect(self, client: Client) -> None:
        query = parse_qs(urlsplit(client.post("/deconnexion/")["Location"]).query)
        assert query["client_id"] == [settings.OIDC_RP_CLIENT_ID]

    def test_a_link_does_not_sign_out(self, signed_in: Client) -> None:
        assert signed_in.get("/deconnexion/").status_code == 405
        assert is_signed_in(signed_in)

    def test_another_site_does_not_sign_out(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(UserFactory.create())
        assert client.post("/deconnexion/").status_code == 403
        assert is_signed_in(client)


class TestLoggedOut:
    def test_the_return_says_so_and_serves_once(self, signed_in: Client) -> None:
        state = parse_qs(urlsplit(signed_in.post("/deconnexion/")["Location"]).query)["state"][0]
        response = signed_in.get("/deconnexion/retour/", {"state": state})
        assert (response.status_code, response["Location"]) == (302, "/")
        assert "Vous êtes déconnecté" in signed_in.get("/").content.decode()
        assert signed_in.get("/deconnexion/retour/", {"state": state}).status_code == 400

    @pytest.mark.parametrize("state", ["forged", "", None])
    def test_a_forged_return_changes_nothing(self, client: Client, state: str | None) -> None:
        client.post("/deconnexion/")
        client.force_login(UserFactory.create())
        query = {} if state is None else {"state": state}
        assert client.get("/deconnexion/retour/", query).status_code == 400
        assert is_signed_in(client)

    def test_a_return_nobody_asked_for_is_refused(self, signed_in: Client) -> None:
        assert signed_in.get("/deconnexion/retour/", {"state": "s"}).status_code == 400
        assert is_signed_in(signed_in)


class TestAdminLogin:
    def test_the_admin_asks_for_no_password(self, client: Client) -> None:
        assert client.get("/admin/")["Location"].startswith("/admin/login/")
        assert client.get("/admin/login/")["Location"] == "/connexion/?next=%2Fadmin%2F"
        assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 405

    def test_it_is_closed_to_those_who_are_not_of_the_team(self, signed_in: Client) -> None:
        assert signed_in.get("/admin/login/").status_code == 403

    def test_the_team_looks_and_changes_nothing(self, client: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        elevate(client)
        role = OperatorRoleFactory.create()
        for model in ("user", "identity", "membership", "operatorrole"):
            assert client.get(f"/admin/accounts/{model}/").status_code == 200
            assert client.get(f"/admin/accounts/{model}/add/").status_code == 403
        address = f"/admin/accounts/operatorrole/{role.pk}"
        assert client.get(f"{address}/change/").status_code == 200
        assert client.post(f"{address}/change/", {"role": "lead"}).status_code == 403
        assert client.post(f"{address}/delete/", {"post": "yes"}).status_code == 403

    def test_there_is_no_password_to_change(self, client: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        assert client.get("/admin/password_change/")["Location"] == "/admin/"


class TestRefuse:
    @pytest.mark.parametrize("code", REFUSALS)
    def test_every_refusal_says_what_to_do_and_whom_to_ask(self, rf: RequestFactory, code: str) -> None:
        request = rf.get(RETURN)
        response = refuse(request, SignInRefused(code))
        page = response.content.decode()
        refusal = REFUSALS[code]
        assert response.status_code == refusal.status
        assert 400 <= refusal.status < 600
        assert refusal.status != 500
        for text in (refusal.title, refusal.happened, refusal.remedy, settings.CONTACT_EMAIL):
            assert text in page
        assert "Erreur" in page


class TestSession:
    """What the middleware does; its view is every view."""

    @pytest.fixture
    def since(self, signed_in: Client) -> Callable[[float], Client]:
        def set_age(seconds: float) -> Client:
            session = signed_in.session
            session["signed_in_at"] = time.time() - seconds
            session.save()
            return signed_in

        return set_age

    def test_it_holds_for_twelve_hours(self, since: Callable[[float], Client]) -> None:
        assert since(12 * 3600 - 5).get("/demandes/").status_code == 200

    def test_it_ends_after_twelve_hours_of_steady_activity(self, since: Callable[[float], Client]) -> None:
        client = since(12 * 3600 + 1)
        assert client.get("/demandes/")["Location"] == "/connexion/?next=/demandes/&expiree=1"
        assert not is_signed_in(client)

    def test_a_public_page_stays_open(self, since: Callable[[float], Client]) -> None:
        assert since(12 * 3600 + 1).get("/mentions-legales/").status_code == 200

    def test_a_fragment_asks_the_whole_page_to_sign_in(self, since: Callable[[float], Client]) -> None:
        response = since(12 * 3600 + 1).get("/demandes/", headers={"HX-Request": "true"})
        assert response["HX-Refresh"] == "true"
        assert response.content == b""

    def test_closing_an_account_ends_its_sessions(self, client: Client) -> None:
        user = UserFactory.create()
        client.force_login(user)
        user.is_active = False
        user.save()
        assert client.get("/demandes/").status_code == 302

    def test_a_session_without_instant_counts_from_the_last_sign_in(self, client: Client) -> None:
        user = UserFactory.create()
        client.force_login(user)
        user.last_login = None
        user.save()
        assert client.get("/demandes/").status_code == 302


class TestStates:
    def test_a_session_lost_meanwhile_is_no_failure(self, client: Client) -> None:
        leave(client)
        Session.objects.all().delete()
        assert len(leave(client)["state"]) == 64

    def test_a_missing_session_has_no_entry(self, rf: RequestFactory, client: Client) -> None:
        request: HttpRequest = rf.get(RETURN)
        request.session = client.session
        assert states.take(request, "state") is None

    @pytest.mark.django_db(transaction=True)
    def test_an_entry_taken_by_several_at_once_is_given_to_one(self, rf: RequestFactory, client: Client) -> None:
        state, other = leave(client)["state"], leave(client)["state"]
        key = client.session.session_key

        def take() -> states.Entry | None:
            request: HttpRequest = rf.get(RETURN)
            request.session = SessionStore(key)
            return states.take(request, state)

        taken, failures = together(take, 6)
        assert failures == []
        assert len([entry for entry in taken if entry is not None]) == 1
        assert set(client.session["oidc_states"]) == {other}

    @pytest.mark.django_db(transaction=True)
    def test_tabs_that_leave_at_once_each_keep_their_entry(self, client: Client) -> None:
        leave(client)
        cookies = client.cookies

        def depart() -> str:
            tab = Client()
            tab.cookies = cookies
            return leave(tab)["state"]

        left, failures = together(depart, 4)
        assert failures == []
        assert set(left) < set(client.session["oidc_states"])
