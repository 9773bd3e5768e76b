"""Real redirects between the product and the demonstration's provider, two processes apart."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test.utils import override_settings
from pytest_django.live_server_helper import LiveServer

from suite.accounts.models import Identity, Membership, User
from suite.demo.people import PEOPLE, ROCHEFORT, persona, sub_of
from suite.demo.staff import ensure_staff
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import CommuneRowFactory
from tests.live.proconnect import CLIENT_ID, CLIENT_SECRET, Browser, free_port, proconnect

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def provider(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proconnect(tmp_path_factory.mktemp("proconnect"), live_server.url) as address:
        yield address


def endpoints(issuer: str) -> dict[str, str]:
    return {
        "OIDC_OP_ISSUER": issuer,
        "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{issuer}/authorize",
        "OIDC_OP_TOKEN_ENDPOINT": f"{issuer}/token",
        "OIDC_OP_USER_ENDPOINT": f"{issuer}/userinfo",
        "OIDC_OP_JWKS_ENDPOINT": f"{issuer}/jwks",
        "OIDC_OP_LOGOUT_ENDPOINT": f"{issuer}/session/end",
        "OIDC_RP_CLIENT_ID": CLIENT_ID,
        "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET,
    }


@pytest.fixture
def product(live_server: LiveServer, provider: str) -> Iterator[str]:
    cache.clear()
    with override_settings(PUBLIC_BASE_URL=live_server.url, OIDC_TIMEOUT=5, **endpoints(f"{provider}/api/v2")):
        yield live_server.url


@pytest.fixture
def browser(product: str) -> Iterator[Browser]:
    with Browser(product) as someone:
        yield someone


@pytest.fixture
def rochefort(db: None) -> Organization:
    return CommuneRowFactory.create(code="56196", siren="215601964", name="Rochefort-en-Terre")


class TestSigningIn:
    def test_an_agent_lands_where_she_was_bound_and_may_act_for_her_commune(
        self, browser: Browser, rochefort: Organization
    ) -> None:
        browser.become("secretaire", "/demandes/%3Fpage=2")
        assert (browser.page.status_code, browser.page.headers["location"]) == (302, "/demandes/?page=2")
        assert browser.signed_in
        identity = Identity.objects.get()
        assert (identity.sub, identity.siret) == (persona("secretaire").sub, ROCHEFORT)
        assert identity.roles == ["agent_public", "agent_public_territorial"]
        assert Membership.objects.get().organization == rochefort

    def test_an_apostrophe_in_a_name_is_no_accident(self, browser: Browser) -> None:
        browser.become("collegue")
        assert User.objects.get().get_full_name() == "Maëlle L’Hostis-O'Brien"

    @pytest.mark.parametrize("one", [one for one in PEOPLE if one.operator], ids=lambda one: one.key)
    def test_an_operator_begins_at_the_desk_if_the_second_factor_is_enough(self, browser: Browser, one: Any) -> None:
        ensure_staff()
        browser.become(one.key)
        if one.key == "operateur-courriel":
            assert browser.page.status_code == 403
            assert "Un second facteur est nécessaire" in browser.page.text
            assert not browser.signed_in
        else:
            assert browser.path == "/instruction/"
            assert browser.signed_in

    @pytest.mark.parametrize(
        ("key", "title"),
        [
            ("prestataire", "Ce site est réservé aux agents publics"),
            ("niveau-faible", "Le niveau d’identification est insuffisant"),
            ("opsn-lecteur", "Ce site est réservé aux agents publics"),  # while the operator is not registered
        ],
    )
    def test_who_may_not_enter_learns_why(self, browser: Browser, key: str, title: str) -> None:
        browser.become(key)
        assert browser.page.status_code == 403
        assert title in browser.page.text
        assert browser.page.headers["x-request-id"] in browser.page.text
        assert not User.objects.exists()
        assert not browser.signed_in
        # Only the browser's own empty session is left: no token of any kind.
        assert all("oidc_id_token" not in session.get_decoded() for session in Session.objects.all())
        assert Event.objects.filter(stream="sign-in", kind="refused").count() == 1

    def test_the_staff_of_a_registered_operator_enters_without_a_public_role(self, browser: Browser) -> None:
        ensure_staff()
        assert browser.become("opsn-lecteur").path == "/instruction/"
        assert Operator.objects.get(national=False).departments == ["19", "23", "87"]

    def test_a_known_address_under_another_identity_is_refused(self, browser: Browser, product: str) -> None:
        browser.become("secretaire")
        with Browser(product) as other:
            other.become("nouvelle-identite")
            assert other.page.status_code == 403
            assert "déjà celle d’un autre compte" in other.page.text
            assert not other.signed_in
        assert Identity.objects.count() == 1

    def test_another_siret_suspends_and_the_first_restores(self, browser: Browser, rochefort: Organization) -> None:
        browser.become("secretaire").sign_out()
        browser.become("secretaire-felletin").sign_out()
        assert Membership.objects.get(organization=rochefort).state == "suspended"
        browser.become("secretaire")
        assert Membership.objects.get(organization=rochefort).state == "pending"
        assert User.objects.count() == 1

    def test_a_typed_person_is_an_agent_of_any_commune(self, browser: Browser, rochefort: Organization) -> None:
        browser.become_typed(given_name="Éloi", usual_name="D’Arvor", email="eloi@commune.example", siret="215601964")
        assert browser.signed_in
        identity = Identity.objects.get()
        assert (identity.sub, identity.siret) == (sub_of("eloi@commune.example"), ROCHEFORT)
        assert Membership.objects.get().organization == rochefort

    def test_a_typed_person_with_a_known_address_is_that_person(self, browser: Browser) -> None:
        browser.become_typed(
            given_name="C", usual_name="G", email=persona("secretaire").email.upper(), siret=persona("etat").siret
        )
        assert Identity.objects.get().sub == persona("secretaire").sub

    def test_a_typed_person_who_makes_no_sense_is_told_so(self, browser: Browser) -> None:
        browser.leave().press("", given_name="A", usual_name="", email="nobody", siret="123", acr="eidas1")
        assert browser.page.status_code == 422
        assert "Le SIRET doit avoir 14 chiffres" in browser.page.text
        assert 'value="nobody"' in browser.page.text
        assert 'role="alert"' in browser.page.text


class TestComingBackWrong:
    @pytest.mark.parametrize(
        ("button", "status", "title"),
        [("cancel", 403, "La connexion a été interrompue"), ("down", 502, "a rencontré une erreur")],
    )
    def test_cancelling_and_a_home_provider_that_is_down_are_explained(
        self, browser: Browser, button: str, status: int, title: str
    ) -> None:
        browser.leave().press(button).arrive()
        assert browser.page.status_code == status
        assert title in browser.page.text

    def test_a_return_under_another_state_is_refused(self, browser: Browser, product: str) -> None:
        browser.leave().press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        browser.open(f"/connexion/retour/?{urlencode({**browser.query, 'state': 'x' * 64})}")
        assert browser.page.status_code == 400
        assert not browser.signed_in

    def test_somebody_elses_return_is_refused(self, browser: Browser, product: str) -> None:
        browser.leave().press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        with Browser(product) as victim:
            victim.leave()
            assert victim.open(browser.target).page.status_code == 400
            assert not victim.signed_in

    def test_somebody_elses_code_under_ones_own_state_is_refused(self, browser: Browser, product: str) -> None:
        browser.leave().press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        with Browser(product) as victim:
            own = victim.open("/connexion/proconnect/").query["state"]
            victim.open(f"/connexion/retour/?{urlencode({**browser.query, 'state': own})}")
            assert victim.page.status_code == 400  # PKCE: the provider refuses the exchange
            assert "a déjà servi ou a expiré" in victim.page.text
            assert not victim.signed_in

    def test_the_same_return_twice_keeps_the_session(self, browser: Browser, product: str) -> None:
        browser.leave().press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        back = browser.target
        browser.open(back)
        browser.open(back)
        assert browser.page.status_code == 400
        assert "Continuer en tant que Camille Le Goff" in browser.page.text
        assert browser.signed_in

    def test_the_same_return_three_times_at_once_signs_in_once(self, browser: Browser, product: str) -> None:
        browser.leave().press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        cookies = dict(browser.client.cookies)

        def arrive(_: int) -> httpx.Response:
            with httpx.Client(cookies=cookies, trust_env=False, timeout=20) as one:
                return one.get(browser.target)

        with ThreadPoolExecutor(3) as pool:
            pages = sorted(pool.map(arrive, range(3)), key=lambda page: page.status_code)
        assert [page.status_code for page in pages] == [302, 400, 400]
        # Refused by us, by the lock on the entry: not by the provider, which might not notice.
        assert all("n’est plus valable" in page.text for page in pages[1:])
        assert Event.objects.filter(kind="account.signed_in").count() == 1

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first tab first", "second tab first"])
    def test_two_tabs_land_each_on_its_own_page_whichever_ends_first(
        self, browser: Browser, product: str, order: tuple[int, int]
    ) -> None:
        landings = ["/demandes/", "/groupe-pilote/"]
        tabs = [browser.open(f"/connexion/proconnect/?next={landing}").target for landing in landings]
        browser.open(tabs[order[0]]).press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        assert browser.arrive().path == landings[order[0]]
        browser.open(tabs[order[1]]).follow(until=f"{product}/connexion/retour/")
        assert browser.arrive().path == landings[order[1]]
        assert Event.objects.filter(kind="account.signed_in").count() == 1

    def test_the_session_is_another_at_every_sign_in(self, browser: Browser) -> None:
        keys = {browser.open("/connexion/proconnect/").client.cookies["suite_session"]}
        for _ in range(2):
            if "persona" in browser.leave().page.text:
                browser.press("persona", "secretaire")
            browser.follow(until=f"{browser.product}/connexion/retour/").arrive()
            assert browser.signed_in
            keys.add(browser.client.cookies["suite_session"])
        assert len(keys) == 3
        assert Session.objects.count() == 1

    def test_the_cookies_are_closed_to_scripts_and_to_other_sites(self, browser: Browser) -> None:
        browser.become("secretaire")
        cookie = browser.page.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


class TestSigningOut:
    def test_both_sessions_end_and_the_return_says_so(self, browser: Browser) -> None:
        browser.become("secretaire").sign_out()
        assert browser.page.status_code == 200
        assert browser.path == "/"
        assert "Vous êtes déconnecté" in browser.page.text
        assert not browser.signed_in
        # The provider asks again who one is: its session has ended too.
        assert "Qui êtes-vous" in browser.leave().page.text

    def test_until_then_the_provider_answers_silently(self, browser: Browser, product: str) -> None:
        browser.become("secretaire")
        browser.client.cookies.delete("suite_session")
        assert browser.leave().target.startswith(f"{product}/connexion/retour/")
        assert browser.arrive().signed_in

    def test_somebody_refused_can_change_account(self, browser: Browser) -> None:
        browser.become("prestataire")
        assert "Quitter ProConnect pour changer de compte" in browser.page.text
        browser.sign_out()
        assert "Vous êtes déconnecté" in browser.page.text
        browser.become("secretaire")
        assert browser.signed_in


class TestProvider:
    """The provider is as strict as ProConnect, so that what it accepts there is accepted here."""

    @pytest.fixture
    def request_params(self, browser: Browser) -> dict[str, str]:
        return browser.open("/connexion/proconnect/").query

    @pytest.mark.parametrize(
        "change",
        [
            {"surprise": "1"},
            {"state": "x" * 31},
            {"nonce": "x" * 31},
            {"redirect_uri": "{}?a=1"},
            {"redirect_uri": "http://127.0.0.1:1/connexion/retour/"},
            {"client_id": "somebody"},
        ],
        ids=str,
    )
    def test_a_request_it_cannot_trust_is_a_dead_end(
        self, provider: str, request_params: dict[str, str], change: dict[str, str]
    ) -> None:
        change = {name: value.replace("{}", request_params["redirect_uri"]) for name, value in change.items()}
        answer = httpx.get(f"{provider}/api/v2/authorize", params=request_params | change, trust_env=False)
        assert answer.status_code == 400
        assert "Y0" in answer.text

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"scope": "openid profile"}, "invalid_scope"),
            ({"claims": "{"}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"prompt": "none"}, "login_required"),
            ({"response_type": "token"}, "unsupported_response_type"),
        ],
        ids=str,
    )
    def test_a_request_it_cannot_serve_is_answered_with_the_issuer(
        self, provider: str, request_params: dict[str, str], change: dict[str, str], error: str
    ) -> None:
        answer = httpx.get(f"{provider}/api/v2/authorize", params=request_params | change, trust_env=False)
        said = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (said["error"], said["iss"]) == ([error], [f"{provider}/api/v2"])

    def test_a_level_that_is_demanded_and_not_met_is_denied(self, browser: Browser, product: str) -> None:
        browser.open("/connexion/proconnect/?renforcee=1").open(browser.target)
        browser.press("persona", "secretaire").follow(until=f"{product}/connexion/retour/")
        assert browser.query["error"] == "access_denied"

    def test_it_announces_what_it_does(self, provider: str) -> None:
        said = httpx.get(f"{provider}/api/v2/.well-known/openid-configuration", trust_env=False).json()
        assert said["issuer"] == f"{provider}/api/v2"
        assert all(value.startswith(said["issuer"]) for name, value in said.items() if name.endswith("_endpoint"))
        assert said["userinfo_signing_alg_values_supported"] == ["RS256"]
        assert said["claims_parameter_supported"] is True

    @pytest.mark.parametrize("path", ["/unused/identity/o/authorize", "/unused/identity/o/device", "/accounts/login/"])
    def test_allauths_own_pages_answer_nobody(self, provider: str, path: str) -> None:
        assert httpx.get(f"{provider}{path}", trust_env=False).status_code == 404

    def test_no_page_of_it_looks_like_the_states(self, provider: str) -> None:
        page = httpx.get(f"{provider}/", trust_env=False).text
        assert "Démonstration" in page
        assert "fr-logo" not in page


class Upstairs(BaseHTTPRequestHandler):
    """A provider with one fault: what it answers is set on the server."""

    def _answer(self) -> None:
        server = self.server
        assert isinstance(server, Faulty)
        server.seen.append((self.path, dict(self.headers)))
        # Closed with bytes unread, a connection is reset, and what the client had not read yet is lost to it: on a busy
        # machine a large answer was then cut short, which is another fault than the one under test.
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers, body = server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the names http.server calls

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Faulty(ThreadingHTTPServer):
    answer: tuple[int, dict[str, str], bytes] = (500, {}, b"")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Upstairs)
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    with Faulty() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def socket_that_never_answers() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


JSON = {"Content-Type": "application/json"}
TOKENS = json.dumps({"access_token": "a", "id_token": "b"}).encode()


class TestBackChannel:
    """The provider answers wrong where no browser looks."""

    @pytest.mark.parametrize("endpoint", ["TOKEN", "USER", "JWKS"])
    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            ((500, {}, b"oops"), 502),
            ((401, {}, b""), 502),
            ((200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"), 502),
            ((200, JSON, b'{"sub": "x", "email": "maire@commune.example"}'), 502),
            ((200, JSON, b"[" * 50_000), 502),
            ((200, JSON, b" " * 300_000), 502),
            ((200, {"Content-Type": "application/jwt"}, "é".encode()), 502),
            ((200, JSON, b"[]"), 502),
        ],
        ids=["500", "401", "HTML", "unsigned", "deep", "huge", "not ascii", "a list"],
    )
    def test_a_wrong_answer_is_refused_and_explained(
        self, browser: Browser, faulty: Faulty, endpoint: str, answer: tuple[int, dict[str, str], bytes], status: int
    ) -> None:
        faulty.answer = answer
        with override_settings(**{f"OIDC_OP_{endpoint}_ENDPOINT": faulty.url}):
            browser.become("secretaire")
        assert browser.page.status_code == status
        assert "Recommencer la connexion" in browser.page.text
        assert faulty.seen
        assert not browser.signed_in
        assert not User.objects.exists()

    @pytest.mark.parametrize("kind", ["application/json", "application/jwt2", "text/plain", ""])
    def test_a_userinfo_is_a_signed_answer_by_its_own_word(
        self, browser: Browser, faulty: Faulty, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty.answer = (200, {"Content-Type": kind}, b"a.b.c")
        with override_settings(OIDC_OP_USER_ENDPOINT=faulty.url):
            browser.become("secretaire")
        assert "sign-in refused: userinfo.content_type" in caplog.text

    @pytest.mark.parametrize("endpoint", ["TOKEN", "USER", "JWKS"])
    def test_a_redirection_is_never_followed(self, browser: Browser, faulty: Faulty, endpoint: str) -> None:
        with Faulty() as elsewhere:
            threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
            faulty.answer = (307, {"Location": f"{elsewhere.url}/steal"}, b"")
            with override_settings(**{f"OIDC_OP_{endpoint}_ENDPOINT": faulty.url}):
                browser.become("secretaire")
            assert browser.page.status_code == 502
            assert elsewhere.seen == []
            elsewhere.shutdown()

    def test_a_provider_that_is_gone_is_said_to_be(self, browser: Browser) -> None:
        with override_settings(OIDC_OP_TOKEN_ENDPOINT=f"http://127.0.0.1:{free_port()}/token"):
            browser.become("secretaire")
        assert browser.page.status_code == 503
        assert "ProConnect ne répond pas" in browser.page.text

    def test_a_provider_too_slow_is_not_waited_for(self, browser: Browser) -> None:
        with (
            socket_that_never_answers() as address,
            override_settings(OIDC_TIMEOUT=1, OIDC_OP_TOKEN_ENDPOINT=f"{address}/token"),
        ):
            browser.become("secretaire")
        assert browser.page.status_code == 503
        assert browser.page.elapsed.total_seconds() < 3

    def test_the_secret_travels_in_the_body_and_no_header(self, browser: Browser, faulty: Faulty) -> None:
        faulty.answer = (200, JSON, TOKENS)
        with override_settings(OIDC_OP_TOKEN_ENDPOINT=f"{faulty.url}/token"):
            browser.become("secretaire")
        [(path, headers)] = faulty.seen
        assert path == "/token"
        assert "Authorization" not in headers
        assert browser.page.status_code == 502
