"""Rows 3 to 8, 13, 38, 39, 46, 47 and 66 to 69: the return, and the calls nobody sees."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import override_settings

from suite.accounts.models import User
from tests.proconnect.case import RETURN, Browser, Case, Page
from tests.proconnect.rows import ACCEPT, REFUSE, row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HTML = {"status": 200, "type": "text/html", "body": "<html>maintenance</html>"}


def at_once(browsers: list[Browser]) -> list[Page]:
    """Let them all come back at the same instant, each in its thread and its connection."""

    ready = Barrier(len(browsers))

    def come_back(browser: Browser) -> Page:
        try:
            connection.ensure_connection()
            browser.product.get("/healthz")  # its middleware is loaded once, at its first page
            ready.wait(timeout=10)
            return browser.come_back().page
        finally:
            connection.close()

    with ThreadPoolExecutor(len(browsers)) as pool:
        return list(pool.map(come_back, browsers))


@row("3", REFUSE, "Callback with another state")
def test_row_03_another_state(case: Case) -> None:
    browser = case.browser().leave().choose()
    case.refuses_return("unknown_state", browser, state="s" * 64)


@row("4", REFUSE, "Callback without state")
def test_row_04_no_state(case: Case) -> None:
    browser = case.browser().leave().choose()
    case.refuses_return("unknown_state", browser, state=None)


@row("5", REFUSE, "Someone else’s code and state opened in the victim’s browser")
def test_row_05_somebody_elses_code_and_state(case: Case) -> None:
    attacker = case.browser().leave().choose("collegue")
    victim = case.browser().open("/connexion/proconnect/")
    victim.page = attacker.page
    case.refuses_return("unknown_state", victim)


@row("6", REFUSE, "Someone else’s code under the victim’s own state (PKCE)")
def test_row_06_somebody_elses_code_under_ones_own_state(case: Case) -> None:
    attacker = case.browser().leave().choose("collegue")
    victim = case.browser().open("/connexion/proconnect/")
    own, victim.page = victim.answer["state"], attacker.page
    case.refuses_return("token.invalid_grant", victim, state=own)


@row("6", REFUSE, "The same with PKCE off (nonce)")
def test_row_06_without_pkce_the_nonce_is_enough(case: Case) -> None:
    with override_settings(OIDC_USE_PKCE=False):
        attacker = case.browser().leave().choose("collegue")
        victim = case.browser().open("/connexion/proconnect/")
        own, victim.page = victim.answer["state"], attacker.page
        case.refuses_return("id_token.nonce", victim, state=own)


@row("7", REFUSE, "Same callback replayed: refused, session kept")
def test_row_07_replayed(case: Case) -> None:
    browser = case.browser().leave().choose()
    back = Page("", 302, {"location": browser.page.target}, "")
    case.accepts_return(browser)
    browser.page = back
    case.refuses_return("unknown_state", browser)


@row("8", "one login", "Same callback three times at once")
@pytest.mark.django_db(transaction=True)
def test_row_08_three_times_at_once(case: Case) -> None:
    browser = case.browser().leave().choose()
    tabs = [case.browser() for _ in range(3)]
    for tab in tabs:
        tab.product.cookies.update(browser.product.cookies)
        tab.page = browser.page
    pages = sorted(at_once(tabs), key=lambda page: page.status)
    statuses = [page.status for page in pages]
    logged_in = [tab for tab in tabs if tab.page.status == 302 and tab.user is not None]
    case.expect(len(logged_in) == 1 and 500 not in statuses, f"{len(logged_in)} login(s), {statuses}", "one login")
    if not case.vanilla:
        # Refused by the lock on the entry, not by the provider, which might not notice.
        assert statuses == [302, 400, 400]
        assert all("n’est plus valable" in page.text for page in pages[1:])


@row("13", REFUSE, "Wrong `iss` on the callback (mix-up)")
def test_row_13_wrong_issuer_on_the_return(case: Case) -> None:
    browser = case.browser().leave().choose()
    assert browser.answer["iss"] == case.provider.issuer
    case.refuses_return("callback.iss", browser, iss="https://elsewhere.example/api/v2")


@row("38", REFUSE, "Userinfo answers 401")
def test_row_38_userinfo_401(case: Case) -> None:
    case.provider.order(http={"userinfo": {"status": 401}})
    case.refuses("userinfo.status_401")


@row("38", REFUSE, "Userinfo answers 500")
def test_row_38_userinfo_500(case: Case) -> None:
    case.provider.order(http={"userinfo": {"status": 500}})
    case.refuses("userinfo.status_500")


@row("38", REFUSE, "Userinfo answers HTML")
def test_row_38_userinfo_html(case: Case) -> None:
    case.provider.order(http={"userinfo": HTML})
    case.refuses("userinfo.content_type")


@row("39", REFUSE, "Token answers 500")
def test_row_39_token_500(case: Case) -> None:
    case.provider.order(http={"token": {"status": 500}})
    case.refuses("token.status_500")


@row("39", REFUSE, "Token answers HTML")
def test_row_39_token_html(case: Case) -> None:
    case.provider.order(http={"token": HTML})
    case.refuses("token.not_json")


@row("39", REFUSE, "JWKS answers 500, cold cache")
def test_row_39_jwks_500(case: Case) -> None:
    case.provider.order(http={"jwks": {"status": 500}})
    case.refuses("keys.status_500")


@row("39", "refuse within the timeout", "Token too slow (8 s)")
def test_row_39_token_too_slow(case: Case) -> None:
    case.provider.order(http={"token": {"delay": 8}})
    case.refuses("token.ReadTimeout")


@row("39", "refuse within the timeout", "Token a byte at a time")
def test_row_39_token_a_byte_at_a_time(case: Case) -> None:
    case.provider.order(http={"token": {"status": 200, "type": "application/json", "body": " " * 80, "drip": 0.1}})
    with case.ours(OIDC_TIMEOUT=1):
        case.refuses("token.too_slow")


@row("38", REFUSE, "Userinfo answers 500 where somebody is signed in: session kept")
def test_row_38_where_somebody_is_signed_in(case: Case) -> None:
    browser = case.accepts("collegue")
    browser.web.cookies.clear()
    case.provider.order(http={"userinfo": {"status": 500}})
    case.refuses_return("userinfo.status_500", browser.leave().choose())


@row("46", "specific page", "User aborts at ProConnect")
def test_row_46_aborted(case: Case) -> None:
    browser = case.browser().leave().press("cancel", "1").follow(until=RETURN).come_back()
    case.observe(browser)
    case.expect("La connexion a été interrompue" in browser.page.text, f"generic page ({browser.page.status})")
    assert browser.page.status == 403
    assert "sign-in refused: callback.access_denied" in case.caplog.text
    case.explained(browser)


@row("47", "ignored, still logged in", "Callback with `error=` and no known state")
@pytest.mark.parametrize(
    "query", [{"error": "access_denied"}, {"error": "login_required", "state": "planted"}], ids=str
)
def test_row_47_error_nobody_waits_for(case: Case, query: dict[str, str]) -> None:
    browser = case.accepts()
    user, before = browser.user, browser.session
    browser.open(f"{RETURN}?{urlencode(query)}")
    case.expect(browser.user == user and browser.session == before, "logged out", "still logged in")
    assert browser.page.status == 400
    case.explained(browser)


@row("66", ACCEPT, "Callback without `iss`")
def test_row_66_no_issuer_on_the_return(case: Case) -> None:
    case.accepts_return(case.browser().leave().choose(), iss=None)


@row("67", REFUSE, "State older than 10 min")
def test_row_67_state_too_old(case: Case) -> None:
    browser = case.browser().leave().choose()
    [(state, entry)] = browser.session["oidc_states"].items()
    browser.change_session(oidc_states={state: {**entry, "added_on": entry["added_on"] - 601}})
    case.refuses_return("expired_state", browser)


@row("68", "refuse, secret sent nowhere else", "Token, JWKS or userinfo endpoint answers 307")
@pytest.mark.parametrize("endpoint", ["token", "jwks", "userinfo"])
def test_row_68_redirected(case: Case, endpoint: str) -> None:
    case.provider.order(http={endpoint: {"status": 307, "location": "/control/elsewhere"}})
    try:
        case.refuses(f"{'keys' if endpoint == 'jwks' else endpoint}.redirected")
    finally:
        elsewhere = case.provider.seen("elsewhere")
        if elsewhere:
            carried = "the secret sent" if any(asked["secret"] for asked in elsewhere) else "followed"
            case.got += f", {carried} elsewhere"
    assert not elsewhere, case.got


@row("69", "at most one refetch a minute", "Unknown kid repeated 100 times")
def test_row_69_unknown_kid_a_hundred_times(case: Case) -> None:
    case.accepts("collegue")
    known = len(case.provider.seen("jwks"))
    case.provider.order(id_token={"header": {"kid": "unknown"}})
    started = time.monotonic()
    for _ in range(4):  # browsers: one alone would meet the limit on departures
        browser = case.browser()
        for _ in range(25):  # the provider's session is open after the first: it answers silently
            browser.leave().choose().come_back()
            assert browser.user is None
    minutes = (time.monotonic() - started) // 60
    assert len(case.provider.seen("token")) == 101
    asked = len(case.provider.seen("jwks")) - known
    case.expect(asked <= 1 + minutes, f"{asked} refetches for 100 tries", "one refetch a minute at most")


@row("76", "no Authorization header; Secure, HttpOnly, SameSite=Lax", "Headers received by `/token`; cookie flags")
def test_row_76_headers_and_cookie(case: Case) -> None:
    changes: dict[str, Any] = {"SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True}
    with override_settings(**changes):
        browser = case.accepts()
    cookie = browser.product.cookies["suite_session"]
    [asked] = case.provider.seen("token")
    case.expect("authorization" not in asked["headers"], "an Authorization header was sent")
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert asked["headers"]["content-type"].startswith("application/x-www-form-urlencoded")
    assert User.objects.count() == 1
