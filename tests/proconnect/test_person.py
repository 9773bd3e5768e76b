"""Rows 31 to 37, 40 to 45, 62, 64, 74 and 75: what the userinfo says, and whose account it opens."""

from typing import Any

import pytest
from django.test.utils import override_settings

from suite.accounts.models import Identity, Membership, OperatorRole, User
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import CommuneRowFactory, OperatorRoleFactory
from tests.proconnect.case import Case
from tests.proconnect.rows import ACCEPT, REFUSE, row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ELSEWHERE = "https://elsewhere.example/api/v2"
OTHER_SIRET = "21230790400012"


def refused(case: Case, reason: str, **orders: Any) -> None:
    case.provider.order(userinfo=orders)
    case.refuses(reason)


def no_takeover(case: Case, reason: str, **orders: Any) -> None:
    """Present a userinfo that is about somebody who has an account here."""
    victim, sub = case.known()
    changes = {"sub": sub, "email": victim.email, **orders.pop("set", {})}
    case.provider.order(userinfo={"set": changes, **orders})
    try:
        case.refuses(reason)
    finally:
        if case.got.startswith("logged in") and case.browsers[-1].user == victim:
            case.got = "logged in as somebody else"


@row("31", REFUSE, "Userinfo of another sub")
def test_row_31_userinfo_of_somebody_else(case: Case) -> None:
    no_takeover(case, "userinfo.sub")


@row("32", REFUSE, "Userinfo without sub")
def test_row_32_userinfo_without_sub(case: Case) -> None:
    refused(case, "userinfo.sub_malformed", drop=["sub"])


@row("33", REFUSE, "Userinfo with wrong audience")
def test_row_33_wrong_audience(case: Case) -> None:
    refused(case, "userinfo.aud", set={"aud": "another-client"})


@row("33", REFUSE, "Userinfo with wrong issuer")
def test_row_33_wrong_issuer(case: Case) -> None:
    refused(case, "userinfo.iss", set={"iss": ELSEWHERE})


@row("34", REFUSE, "Userinfo replaced by a JWT made for another client")
def test_row_34_made_for_another_client(case: Case) -> None:
    no_takeover(case, "userinfo.aud", set={"aud": "another-client"})


@row("35", REFUSE, "Userinfo downgraded to unsigned JSON")
def test_row_35_unsigned(case: Case) -> None:
    no_takeover(case, "userinfo.content_type", json=True)


@row("36", REFUSE, "Userinfo alg none")
def test_row_36_alg_none(case: Case) -> None:
    refused(case, "userinfo.alg", sign="none")


@row("36", REFUSE, "Userinfo with a bad signature")
def test_row_36_bad_signature(case: Case) -> None:
    refused(case, "userinfo.signature", sign="damaged")


@row("37", REFUSE, "Userinfo expired")
def test_row_37_expired(case: Case) -> None:
    refused(case, "userinfo.expired", now={"exp": -60, "iat": -300})


@row("40", REFUSE, "SIRET missing")
def test_row_40_siret_missing(case: Case) -> None:
    refused(case, "siret_invalid", drop=["siret"])


@row("40", REFUSE, "SIRET invalid")
@pytest.mark.parametrize("siret", ["21560196400013", "2156019640001", "2156019640001X", ""])
def test_row_40_siret_invalid(case: Case, siret: str) -> None:
    refused(case, "siret_invalid", set={"siret": siret})


@row("40", REFUSE, "SIRET a list")
def test_row_40_siret_a_list(case: Case) -> None:
    refused(case, "siret_invalid", set={"siret": ["21560196400012"]})


@row("41", "login, re-link, old rights dropped", "SIRET changed since last login")
def test_row_41_siret_changed(case: Case) -> None:
    old: Organization = CommuneRowFactory.create(code="56196", siren="215601964", name="Rochefort-en-Terre")
    new: Organization = CommuneRowFactory.create(code="23079", siren="212307904", name="Felletin")
    case.accepts()
    case.provider.order(userinfo={"set": {"siret": OTHER_SIRET}})
    user = case.accepts().user
    rights = dict(Membership.objects.filter(user=user).values_list("organization", "state"))
    case.expect(
        rights.get(old.pk) == "suspended" and rights.get(new.pk) == "pending", "ignored", "logged in, re-linked"
    )
    assert Identity.objects.get(user=user).siret == OTHER_SIRET
    assert User.objects.count() == 1


@row("42", "same account", "E-mail changed, same sub")
def test_row_42_email_changed(case: Case) -> None:
    first = case.accepts().user
    case.provider.order(userinfo={"set": {"email": "nouvelle@commune.example"}})
    second = case.accepts().user
    case.expect(first == second and User.objects.count() == 1, "second account", "same account")
    assert User.objects.get().email == "nouvelle@commune.example"


@row("43", "refuse and alert", "E-mail of another account, unknown sub")
def test_row_43_known_email_under_an_unknown_sub(case: Case) -> None:
    victim, _ = case.known()
    case.provider.order(userinfo={"set": {"email": victim.email.upper()}})
    try:
        case.refuses("email_clash")
    finally:
        if case.browsers[-1].user == victim:
            case.got = "logged in as somebody else"
    assert Notice.objects.filter(kind="email_clash").count() == 1


@row("43", "own account, clash flagged", "E-mail of another account, known sub")
def test_row_43_known_email_under_a_known_sub(case: Case) -> None:
    other, _ = case.known()
    own = case.accepts().user
    case.provider.order(userinfo={"set": {"email": other.email}})
    browser = case.browser().sign_in()
    case.observe(browser, own)
    assert own is not None
    assert case.got == "logged in", case.got
    assert Event.objects.filter(kind="account.email_clash").count() == 1
    case.got = "own account, clash flagged"


@row("44", REFUSE, "E-mail missing")
def test_row_44_email_missing(case: Case) -> None:
    refused(case, "email_invalid", drop=["email"])


@row("44", REFUSE, "E-mail a list")
def test_row_44_email_a_list(case: Case) -> None:
    refused(case, "email_invalid", set={"email": ["a@commune.example"]})


@row("45", "refuse, explained", "Empty roles")
def test_row_45_no_role(case: Case) -> None:
    refused(case, "not_public", set={"roles": []})


@row("62", REFUSE, "Inactive local user")
def test_row_62_inactive(case: Case) -> None:
    user = case.accepts().user
    User.objects.update(is_active=False)
    try:
        case.refuses("inactive")
    finally:
        # The backend knows nobody whose account is closed: the first session has ended too.
        ended = case.browsers[0].open("/demandes/").page.status == 302
    assert ended
    assert User.objects.get() == user


@row("64", ACCEPT, "Userinfo carrying a stray nonce")
def test_row_64_stray_nonce(case: Case) -> None:
    case.provider.order(userinfo={"set": {"nonce": "stray"}})
    case.accepts()


@row("74", "no identity matched silently", "Issuer changed in settings")
def test_row_74_issuer_changed(case: Case) -> None:
    case.accepts()
    moved = {"set": {"iss": ELSEWHERE}}
    case.provider.order(id_token=moved, userinfo=moved)
    with override_settings(OIDC_OP_ISSUER=ELSEWHERE):
        browser = case.browser().leave().choose()
        case.refuses_return("email_clash", browser, iss=ELSEWHERE)
    assert Identity.objects.count() == 1


@row("75", "login, event, privileged roles suspended", "Known sub arrives with another `idp_id` or `uid`")
@pytest.mark.parametrize("claim", ["idp_id", "uid"])
def test_row_75_known_sub_from_another_provider(case: Case, claim: str) -> None:
    user = case.accepts("anct-instructeur").user
    OperatorRoleFactory.create(user=user)
    case.provider.order(userinfo={"set": {claim: "another"}})
    again = case.accepts("anct-instructeur").user
    suspended = not OperatorRole.objects.filter(user=user, active=True).exists()
    case.expect(again == user and suspended, "ignored", "logged in, roles suspended")
    [event] = Event.objects.filter(kind="account.provider_changed")
    assert event.payload == {"changed": [claim], "operator_roles_suspended": 1}
