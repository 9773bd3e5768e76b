"""A second factor asked again, across two processes: the demonstration's provider answers."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test.utils import override_settings
from pytest_django.live_server_helper import LiveServer

from suite.accounts.models import User
from suite.demo.people import persona
from suite.demo.staff import ensure_staff
from suite.journal.models import Event
from tests.live.proconnect import Browser, proconnect
from tests.live.test_sign_in import endpoints

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/accounts/user/"
SECRETARY = persona("secretaire")


@pytest.fixture(scope="module")
def provider(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proconnect(tmp_path_factory.mktemp("proconnect"), live_server.url) as address:
        yield address


@pytest.fixture
def product(live_server: LiveServer, provider: str) -> Iterator[str]:
    cache.clear()
    with override_settings(PUBLIC_BASE_URL=live_server.url, OIDC_TIMEOUT=5, **endpoints(f"{provider}/api/v2")):
        yield live_server.url


@pytest.fixture
def browser(product: str) -> Iterator[Browser]:
    """Sign in the secretary, who for this test also looks after the site."""
    with Browser(product) as someone:
        someone.become(SECRETARY.key)
        User.objects.update(is_staff=True)
        yield someone


def leave_for_a_factor(browser: Browser) -> Browser:
    """Press the button of the page that asks for the second factor."""
    assert browser.open(PAGE).page.status_code == 403
    link = re.search(r'href="(/connexion/proconnect/[^"]+)"', browser.page.text)
    assert link is not None, browser.page.text
    return browser.open(unescape(link[1])).open(browser.target)


def answer(browser: Browser, email: str = SECRETARY.email, acr: str = "eidas2") -> Browser:
    """Answer the provider's page as somebody, and come back."""
    who = {"given_name": "Camille", "usual_name": "Le Goff", "email": email, "siret": SECRETARY.siret}
    browser.press("", public="on", acr=acr, **who)
    return browser.follow(until=f"{browser.product}/connexion/retour/").arrive()


def test_the_same_person_with_a_second_factor_goes_on_under_another_session(browser: Browser) -> None:
    before = browser.client.cookies["suite_session"]
    answer(leave_for_a_factor(browser))
    assert browser.page.headers["location"] == PAGE
    assert browser.open(PAGE).page.status_code == 200
    assert browser.client.cookies["suite_session"] != before
    assert Session.objects.count() == 1
    event = Event.objects.get(kind="account.stepped_up")
    assert event.payload == {"acr": "eidas2", "amr": ["pwd", "otp", "mfa"]}


def test_row_70_another_person_is_refused_and_the_session_ends(browser: Browser) -> None:
    answer(leave_for_a_factor(browser), email="quelqu-un@ailleurs.example")
    assert browser.page.status_code == 403
    assert "Une autre personne a répondu" in browser.page.text
    assert browser.page.headers["x-request-id"] in browser.page.text
    assert not browser.signed_in
    assert User.objects.count() == 1
    assert Event.objects.get(kind="account.step_up_refused").payload == {"reason": "step_up.other_sub"}


def test_row_71_a_level_that_is_not_reached_is_explained_and_the_session_kept(browser: Browser) -> None:
    answer(leave_for_a_factor(browser), acr="eidas1")
    assert browser.page.status_code == 403
    assert "Le second facteur n’a pas été donné" in browser.page.text
    assert browser.signed_in
    assert browser.open(PAGE).page.status_code == 403


def test_row_71_an_operator_with_a_code_by_mail_is_refused(product: str) -> None:
    ensure_staff()
    with Browser(product) as someone:
        someone.become("operateur-courriel")
        assert someone.page.status_code == 403
        assert "Un second facteur est nécessaire" in someone.page.text


def test_a_running_session_with_a_factor_answers_at_once(product: str) -> None:
    """Single sign-on: the provider's session already has the level, and nobody is asked anything."""
    ensure_staff()
    with Browser(product) as someone:
        someone.become("anct-responsable")
        User.objects.update(is_staff=True)
        assert someone.open(PAGE).page.status_code == 200  # the sign-in's own factor


def test_the_return_of_a_step_up_serves_once(browser: Browser, product: str) -> None:
    leave_for_a_factor(browser)
    who = {"given_name": "C", "usual_name": "L", "email": SECRETARY.email, "siret": SECRETARY.siret, "acr": "eidas2"}
    browser.press("", public="on", **who).follow(until=f"{product}/connexion/retour/")
    back = browser.target
    assert browser.open(back).page.status_code == 302
    assert browser.open(back).page.status_code == 400
    assert browser.signed_in


def test_somebody_elses_return_does_not_raise_ones_session(browser: Browser, product: str) -> None:
    leave_for_a_factor(browser)
    who: dict[str, Any] = {"given_name": "C", "usual_name": "L", "email": SECRETARY.email, "siret": SECRETARY.siret}
    browser.press("", public="on", acr="eidas2", **who).follow(until=f"{product}/connexion/retour/")
    with Browser(product) as victim:
        victim.become("collegue")
        assert victim.open(browser.target).page.status_code == 400
        assert victim.signed_in
    assert set(parse_qs(urlsplit(browser.target).query)) >= {"code", "state"}
