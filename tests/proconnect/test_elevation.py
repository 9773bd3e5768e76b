"""Rows 70, 71 and 73: the second factor asked again, and the accounts that have one of their own."""

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings

from suite.accounts import breakglass
from suite.accounts.administrator_models import AdministratorChange
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.proconnect.case import RETURN, Browser, Case
from tests.proconnect.rows import row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

STEP_UP = "/connexion/proconnect/?confirmation=1&next=/demandes/"
DOOR, FACTOR = "/secours/connexion/", "/secours/second-facteur/"


def step_up(browser: Browser, persona: str) -> Browser:
    """Leave for a second factor, up to the return."""
    return browser.open(STEP_UP).open(browser.page.target).follow(until=RETURN).choose(persona)


@row("70", "refuse elevation, end local session", "Step-up answered by another sub", library=False)
@pytest.mark.parametrize("known", [True, False], ids=["who has an account", "who has none"])
def test_row_70_answered_by_another_sub(case: Case, *, known: bool) -> None:
    if known:
        case.accepts("anct-instructeur")
    browser = case.accepts()
    key, case.settled = browser.session_key, False
    step_up(browser, "anct-instructeur").come_back()
    user = browser.user
    case.expect(user is None, "session kept" if user else "", f"refused {browser.page.status}, session ended")
    assert "sign-in refused: step_up.other_sub" in case.caplog.text
    case.explained(browser)
    assert browser.session_key != key
    assert browser.open("/demandes/").page.status == 302


@row("71", "refuse, session kept, explained", "Step-up: acr below the list, same person", library=False)
def test_row_71_step_up_below_the_list(case: Case) -> None:
    browser = case.accepts("anct-instructeur")
    case.provider.order(id_token={"set": {"acr": "eidas1"}})
    case.refuses_return("step_up.acr", step_up(browser, "anct-instructeur"))


@row("71", "refuse, session kept, explained", "Step-up: no second factor at the provider", library=False)
def test_row_71_step_up_denied_by_the_provider(case: Case) -> None:
    browser = case.accepts()
    case.refuses_return("callback.access_denied", step_up(browser, "secretaire"))


@row("71", "refuse the act, explained", "Step-up: amr only `mail`, on a mailbox act", library=False)
def test_row_71_code_by_mail_on_a_mailbox_act(case: Case) -> None:
    browser = case.accepts("anct-instructeur")
    right = MembershipFactory.create(user=browser.user, manager=True)
    case.provider.order(id_token={"set": {"acr": "eidas1-mfa", "amr": ["pwd", "mail", "mfa"]}})
    step_up(browser, "anct-instructeur").come_back()
    assert browser.page.status == 302, "a code by mail is a second factor, for other acts"
    form = {
        "csrfmiddlewaretoken": browser.form_token(),
        "person": str(right.user_id),
        "reason": "Mon ancienne adresse.",
    }
    asked = f"/mon-equipe/{right.organization_id}/gestionnaires/"
    browser.open(asked, {**form, "kind": "email", "email": "perso@ailleurs.example"})
    refused = browser.page.status == 403 and "Un code reçu par courriel ne suffit pas" in browser.page.text
    case.expect(refused, f"{browser.page.status}", "refused 403, another factor asked")
    assert not AdministratorChange.objects.exists()
    assert browser.open(asked, {**form, "kind": "give"}).page.status == 422


def present(browser: Browser, envelope: breakglass.Envelope) -> Browser:
    token = "a" * 32
    browser.product.cookies[settings.CSRF_COOKIE_NAME] = token
    form: dict[str, Any] = {"csrfmiddlewaretoken": token, "login": envelope.name, "password": envelope.password}
    browser.open(DOOR, form)
    if browser.page.target.endswith(FACTOR):
        code = format_hotp_value(hotp_value(envelope.totp_secret, int(time.time()) // 30))
        browser.product.cookies[settings.CSRF_COOKIE_NAME] = token
        browser.open(FACTOR, {"csrfmiddlewaretoken": token, "code": code})
    return browser


@row("73", "no access", "Break-glass account without a factor", library=False)
def test_row_73_without_a_factor(case: Case) -> None:
    envelope = breakglass.create("coffre-1")
    Authenticator.objects.all().delete()
    browser = present(case.browser(), envelope)
    case.expect(browser.user is None, "logged in", "no access")
    assert browser.page.status == 422
    assert browser.open("/admin/").page.status == 302


@row("73", "no access", "Break-glass account after factor removal", library=False)
def test_row_73_after_its_factor_was_removed(case: Case) -> None:
    browser = present(case.browser(), breakglass.create("coffre-1"))
    assert browser.open("/admin/").page.status == 200
    Authenticator.objects.filter(type=Authenticator.Type.TOTP).delete()
    browser.open("/admin/")
    case.expect(browser.page.status == 302, f"{browser.page.status}", "no access")
    assert browser.open("/demandes/").page.status == 302


@row("60", "impossible", "A staff password that is not a break-glass account’s", library=False)
def test_row_60_a_staff_password_at_the_break_glass_door(case: Case) -> None:
    staff = UserFactory.create(staff=True)
    staff.set_password("a-password-nobody-should-have")
    staff.save()
    browser = case.browser()
    token = "a" * 32
    for name in (str(staff.pk), staff.email):
        browser.product.cookies[settings.CSRF_COOKIE_NAME] = token
        form = {"csrfmiddlewaretoken": token, "login": name, "password": "a-password-nobody-should-have"}
        browser.open(DOOR, form)
        case.expect(browser.user is None, "logged in", "impossible")
        assert browser.page.status == 422
