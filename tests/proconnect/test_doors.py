"""Rows 58 to 60 and 71: no other way in, and no way around the second factor."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.conf import settings
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from suite.accounts.models import User
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.proconnect.case import RETURN, Browser, Case
from tests.proconnect.rows import row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Names that django-allauth gives to pages where somebody could give himself a password (`proconnect.md` 3).
PASSWORDS = (
    "account_signup",
    "account_change_password",
    "account_set_password",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_email",
    "account_email_verification_sent",
    "account_request_login_code",
    "account_confirm_login_code",
    "account_signup_by_passkey",
    "mfa_signup_webauthn",
    "mfa_login_webauthn",
    "socialaccount_login",
    "socialaccount_signup",
    "socialaccount_connections",
    "password_reset",
    "admin_password_reset",
)


def addresses(patterns: list[Any] | None = None, prefix: str = "/") -> Iterator[str]:
    """Give every address of the site that takes no argument."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and not set(path) & set("<(^\\"):
            yield path


def post_everywhere(case: Case, browser: Browser, query: str, data: dict[str, str]) -> None:
    """Post a password form to every address but the callback, which takes no POST."""
    token = "a" * 32
    tried = [path for path in addresses() if path != "/connexion/retour/"]
    assert {"/admin/login/", "/connexion/"} <= set(tried)
    for path in tried:
        browser.product.cookies[settings.CSRF_COOKIE_NAME] = token
        browser.open(f"{path}?{query}" if query else path, {"csrfmiddlewaretoken": token, **data})
        case.expect(browser.user is None, f"logged in at {path}", "no effect")
        assert browser.page.status != 500, path


@row("58", "no effect", "`code` and `state` on the password or admin login URL")
def test_row_58_code_and_state_on_another_address(case: Case) -> None:
    # Of a person who may look at the admin: its own form lets nobody else in.
    User.objects.filter(pk=case.known("collegue")[0].pk).update(is_staff=True)
    case.provider.forget()
    # A code asked for without PKCE, and a token without nonce: nothing binds it to a browser.
    case.provider.order(id_token={"drop": ["nonce"]})
    attacker = case.browser()
    params = {
        "response_type": "code",
        "client_id": settings.OIDC_RP_CLIENT_ID,
        "redirect_uri": RETURN,
        "scope": settings.OIDC_RP_SCOPES,
        "state": "s" * 64,
        "nonce": "n" * 64,
        "claims": settings.OIDC_AUTH_REQUEST_EXTRA_PARAMS["claims"],
    }
    attacker.open(f"{case.provider.issuer}/authorize?{urlencode(params)}").follow(until=RETURN).choose("collegue")
    code = attacker.answer["code"]
    form = {"username": str(uuid4()), "login": "nobody@commune.example", "password": "wrong"}
    post_everywhere(case, case.browser(), urlencode({"code": code, "state": "s" * 64}), form)
    # Not even tried.
    assert case.provider.seen("token") == []


@row("59", "impossible", "ProConnect user obtains a local password", library=False)
def test_row_59_no_local_password(case: Case) -> None:
    browser = case.accepts()
    found = []
    for name in PASSWORDS:
        try:
            found.append(reverse(name))
        except NoReverseMatch:
            continue
    case.expect(not found, f"pages exist: {found}", "impossible")
    token = browser.form_token()
    for path in addresses():
        if "password" in path:
            passwords = dict.fromkeys(
                ("password", "password1", "password2", "new_password1", "new_password2"), "Abc-12345!"
            )
            browser.open(path, {"csrfmiddlewaretoken": token, **passwords})
    user = browser.user
    assert user is not None
    assert not user.has_usable_password()


@row("60", "impossible", "Admin login with a password skips the second factor")
def test_row_60_admin_login_with_a_password(case: Case) -> None:
    staff = UserFactory.create(staff=True)
    staff.set_password("a-password-nobody-should-have")
    staff.save()
    form = {"username": str(staff.pk), "login": staff.email, "password": "a-password-nobody-should-have"}
    browser = case.browser()
    post_everywhere(case, browser, "", form)
    browser.open("/admin/")
    case.expect(browser.page.status == 302, f"{browser.page.status}", "impossible")
    page = browser.follow().page
    assert page.status == 200
    assert 'type="password"' not in page.text or "/admin/" not in page.url


@row("71", "refuse, explained", "Step-up: acr below the list; amr only `mail`", library=False)
@pytest.mark.parametrize(
    "claims", [{"acr": "eidas1", "amr": ["pwd"]}, {"amr": ["pwd", "mail", "mfa"]}], ids=["acr", "amr"]
)
def test_row_71_second_factor_of_an_operator(case: Case, claims: dict[str, Any]) -> None:
    user = case.accepts("anct-instructeur").user
    OperatorRoleFactory.create(user=user)
    case.provider.order(id_token={"set": claims})
    browser = case.browser().open("/connexion/proconnect/?renforcee=1")
    browser.open(browser.page.target).follow(until=RETURN).choose("anct-instructeur")
    case.refuses_return("second_factor", browser)
