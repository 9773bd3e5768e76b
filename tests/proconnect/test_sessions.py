"""Rows 48 to 57, 61, 63 and 72: sessions, tabs, hosts, leaving and landing."""

import json
import time
from base64 import urlsafe_b64decode
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test.utils import override_settings
from django.utils.http import urlencode

from suite.accounts.models import User
from tests.proconnect.case import RETURN, Case
from tests.proconnect.providers import PRODUCT
from tests.proconnect.rows import row
from tests.proconnect.test_exchange import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HOME = "/demandes/"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "https:evil.example",
    "https:///evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example/",
]
ALLOWED = {
    *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "claims", "prompt", "login_hint"),
    *("idp_hint", "siret_hint", "response_mode", "code_challenge", "code_challenge_method", "acr_values"),
}


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


@row("48", "405", "Logout by GET")
def test_row_48_logout_by_get(case: Case) -> None:
    browser = case.accepts()
    browser.open("/deconnexion/")
    case.expect(browser.page.status == 405, f"{browser.page.status}", "405")
    assert browser.user is not None


@row("48", "403", "Logout by POST without CSRF token")
def test_row_48_logout_without_csrf_token(case: Case) -> None:
    browser = case.accepts()
    browser.open("/deconnexion/", {})
    case.expect(browser.page.status == 403, f"{browser.page.status}", "403")
    assert browser.user is not None


@row("49", "yes", "Logout sends id_token_hint and state, local session already ended")
def test_row_49_logout(case: Case) -> None:
    browser = case.accepts()
    hint = browser.session.get("oidc_id_token")
    browser.open("/deconnexion/", {"csrfmiddlewaretoken": browser.form_token()})
    case.expect(
        browser.page.target.startswith(f"{case.provider.issuer}/session/end?"), "no logout at the provider", "yes"
    )
    assert browser.user is None
    assert Session.objects.count() == 0
    assert browser.answer["id_token_hint"] == hint
    assert len(browser.answer["state"]) >= 32
    # The provider's session ends too, and the return is recognised.
    browser.follow(until=PRODUCT)
    if not browser.page.target:
        browser.press("logout", "yes").follow(until=PRODUCT)
    assert browser.page.target.startswith(f"{PRODUCT}/deconnexion/retour/?")
    assert "Vous êtes déconnecté" in browser.follow().page.text
    assert not browser.leave().page.target, "the provider still knows who this is"


@row("50", "400, session untouched", "Forged state on the logout return", library=False)
@pytest.mark.parametrize("leaving", [False, True], ids=["nobody leaves", "under a logout of one’s own"])
def test_row_50_forged_state_on_the_logout_return(case: Case, *, leaving: bool) -> None:
    browser = case.accepts()
    if leaving:
        browser.open("/deconnexion/", {"csrfmiddlewaretoken": browser.form_token()})
        browser = case.accepts(browser=browser)
    before = browser.session
    browser.open("/deconnexion/retour/?state=forged")
    case.expect(browser.page.status == 400, f"{browser.page.status}", "400, session untouched")
    assert browser.session == before
    case.explained(browser)


@row("51", "never another origin", "Open redirect in `next` (9 payloads)")
@pytest.mark.parametrize("landing", ELSEWHERE)
def test_row_51_open_redirect(case: Case, landing: str) -> None:
    browser = case.browser().sign_in(landing=landing)
    where = browser.page.target
    case.expect(where.startswith(f"{PRODUCT}/"), f"landed on {where[:40]}", "own origin")
    assert browser.user is not None
    assert "evil" not in where


@row("52a", "gone", "`next` left behind after login")
def test_row_52a_next_left_behind(case: Case) -> None:
    browser = case.browser().sign_in(landing="/groupe-pilote/")
    assert browser.page.target == f"{PRODUCT}/groupe-pilote/"
    case.expect("/groupe-pilote/" not in json.dumps(browser.session), "left behind", "gone")


@row("52b", "each tab on its own page", "Two tabs, finished in both orders")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first tab first", "second tab first"])
def test_row_52b_two_tabs(case: Case, order: tuple[int, int]) -> None:
    landings = [HOME, "/groupe-pilote/"]
    browser = case.browser()
    tabs = [browser.open(f"/connexion/proconnect/?{urlencode({'next': one})}").page.target for one in landings]
    for place in order:
        browser.open(tabs[place]).follow(until=RETURN).choose().come_back()
        where = browser.page.target.removeprefix(PRODUCT)
        case.expect(where == landings[place], "the other tab’s page", "its own page")
    assert browser.user is not None


@row("53", "rotated", "Session fixation, anonymous cookie")
def test_row_53_anonymous_cookie(case: Case) -> None:
    browser = case.browser().leave().choose()
    planted = browser.session_key
    assert planted
    case.accepts_return(browser)
    case.expect(browser.session_key != planted, "kept", "rotated")
    assert not Session.objects.filter(session_key=planted).exists()


@row("54", "rotated", "Re-login of the same user")
def test_row_54_again_the_same_user(case: Case) -> None:
    browser = case.accepts()
    first = browser.session_key
    case.accepts(browser=browser)
    case.expect(browser.session_key != first, "kept", "rotated")
    assert not Session.objects.filter(session_key=first).exists()


@row("55", "yes", "Re-login as another user keeps an ID token for logout")
def test_row_55_again_as_another_user(case: Case) -> None:
    browser = case.accepts()
    first, held = browser.user, claims_of(browser.session["oidc_id_token"])
    browser.web.cookies.clear()
    case.accepts("collegue", browser)
    assert browser.user != first
    token = browser.session.get("oidc_id_token", "")
    case.expect(token and claims_of(token)["sub"] != held["sub"], "lost", "yes")


@row("56", "no", "Host header shapes redirect_uri (two allowed hosts)")
def test_row_56_two_allowed_hosts(case: Case) -> None:
    assert {"127.0.0.1", "localhost"} <= set(settings.ALLOWED_HOSTS)
    hosts = ("localhost", "127.0.0.1")
    # By another of our names, one is led to the canonical one before anything else.
    browsers = [case.browser(host).open("/connexion/proconnect/").follow(until=case.provider.base) for host in hosts]
    named = {browser.answer["redirect_uri"] for browser in browsers}
    case.expect(named == {RETURN}, "yes", "no")
    assert {browser.page.url.partition("/connexion")[0] for browser in browsers} == {PRODUCT}
    for browser in browsers:
        # The exchange names the same address, or the provider would refuse it.
        browser.open(browser.page.target).follow(until=RETURN).choose().come_back()
        assert browser.user is not None
        browser.open("/deconnexion/", {"csrfmiddlewaretoken": browser.form_token()})
        assert browser.answer["post_logout_redirect_uri"] == f"{PRODUCT}/deconnexion/retour/"
    assert case.browser("evil.example").open("/connexion/proconnect/").page.status == 400


@row("57", "one account, no 500", "Two concurrent first logins of one person")
@pytest.mark.django_db(transaction=True)
def test_row_57_two_first_logins_at_once(case: Case) -> None:
    browsers = [case.browser().leave().choose() for _ in range(2)]
    statuses = [page.status for page in at_once(browsers)]
    accounts = User.objects.count()
    case.expect((statuses, accounts) == ([302, 302], 1), f"{statuses}, {accounts} account(s)", "one account")
    assert {browser.user for browser in browsers} == {User.objects.get()}


@row("61", "never switches user", "Silent refresh after ProConnect’s user changed")
def test_row_61_the_providers_user_changed(case: Case) -> None:
    middleware = [*settings.MIDDLEWARE, *(["mozilla_django_oidc.middleware.SessionRefresh"] if case.vanilla else [])]
    with override_settings(MIDDLEWARE=middleware):
        browser = case.accepts()
        user = browser.user
        # In the same browser, ProConnect now knows somebody else.
        other = case.browser().leave().choose("collegue")
        browser.web.cookies.clear()
        browser.web.cookies.update(other.web.cookies)
        browser.change_session(oidc_id_token_expiration=0.0)
        browser.open(HOME).follow()
        case.expect(browser.user == user, "switched user", "never")
    assert browser.page.status == 200
    assert browser.page.url == f"{PRODUCT}{HOME}"


@row("63", "yes", "No extra authorize parameter; state and nonce of at least 32")
@pytest.mark.parametrize("path", ["/connexion/proconnect/", "/connexion/proconnect/?renforcee=1&surprise=1"])
def test_row_63_authorize_parameters(case: Case, path: str) -> None:
    browser = case.browser().open(path)
    sent = browser.answer
    right = set(sent) <= ALLOWED and len(sent["state"]) >= 32 and len(sent["nonce"]) >= 32
    case.expect(right, f"{sorted(set(sent) - ALLOWED)}", "yes")
    assert sent["code_challenge_method"] == "S256"
    assert sent["scope"] == settings.OIDC_RP_SCOPES
    # Every provider is strict about it: this one shows its page of people.
    assert browser.open(browser.page.target).follow(until=RETURN).page.status == 200


@row("72", "re-login asked", "Request at 12 h 00 min 01 s of steady activity")
def test_row_72_twelve_hours_of_work(case: Case) -> None:
    browser = case.accepts()
    now = time.time()
    for seconds in [*range(3600, 12 * 3600, 3600), 12 * 3600 - 5]:
        with time_machine.travel(now + seconds):
            assert browser.open(HOME).page.status == 200
    with time_machine.travel(now + 12 * 3600 + 1):
        browser.open(HOME)
        case.expect(browser.page.status == 302, "no absolute limit", "re-login asked")
        assert browser.page.target.startswith(f"{PRODUCT}/connexion/")
        assert browser.user is None
