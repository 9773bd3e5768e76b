"""Rows 1, 2 and 9 to 30: an ID token with one thing wrong, and a few that look wrong and are not."""

from typing import Any

import pytest

from tests.proconnect.case import Case
from tests.proconnect.rows import ACCEPT, REFUSE, row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

OTHER = "another-client"


def refused(case: Case, reason: str, **orders: Any) -> None:
    case.provider.order(id_token=orders)
    case.refuses(reason)


def accepted(case: Case, **orders: Any) -> None:
    case.provider.order(id_token=orders)
    case.accepts()


@row("1", REFUSE, "ID token with another nonce")
def test_row_01_id_token_with_another_nonce(case: Case) -> None:
    refused(case, "id_token.nonce", set={"nonce": "n" * 64})


@row("2", REFUSE, "ID token without nonce")
def test_row_02_id_token_without_nonce(case: Case) -> None:
    refused(case, "id_token.nonce", drop=["nonce"])


@row("9", REFUSE, "Audience of another client")
def test_row_09_audience_of_another_client(case: Case) -> None:
    refused(case, "id_token.aud", set={"aud": OTHER})


@row("9", REFUSE, "The same where somebody is signed in: session kept")
def test_row_09_where_somebody_is_signed_in(case: Case) -> None:
    browser = case.accepts("collegue")
    browser.web.cookies.clear()
    case.provider.order(id_token={"set": {"aud": OTHER}})
    case.refuses_return("id_token.aud", browser.leave().choose())


@row("10", REFUSE, "Several audiences, no azp")
def test_row_10_several_audiences_without_azp(case: Case) -> None:
    refused(case, "id_token.aud", set={"aud": ["suite-territoriale", OTHER]}, drop=["azp"])


@row("11", REFUSE, "azp naming another client")
def test_row_11_azp_naming_another_client(case: Case) -> None:
    refused(case, "id_token.azp", set={"azp": OTHER})


@row("12", REFUSE, "Wrong issuer in the ID token")
def test_row_12_wrong_issuer(case: Case) -> None:
    refused(case, "id_token.iss", set={"iss": "https://elsewhere.example/api/v2"})


@row("14", REFUSE, "Expired ID token")
def test_row_14_expired(case: Case) -> None:
    refused(case, "id_token.expired", now={"exp": -60, "iat": -300})


@row("15", REFUSE, "ID token without exp")
def test_row_15_without_exp(case: Case) -> None:
    refused(case, "id_token.exp_absent", drop=["exp"])


@row("16", ACCEPT, "iat 30 s ahead (clock skew)")
def test_row_16_clock_thirty_seconds_ahead(case: Case) -> None:
    accepted(case, now={"iat": 30})


@row("17", REFUSE, "nbf in the future")
def test_row_17_not_valid_yet(case: Case) -> None:
    refused(case, "id_token.nbf_in_the_future", now={"nbf": 300})


@row("18", REFUSE, "iat 30 days old")
def test_row_18_issued_a_month_ago(case: Case) -> None:
    refused(case, "id_token.iat_too_old", now={"iat": -30 * 86_400})


@row("19", REFUSE, "ID token with alg none")
def test_row_19_alg_none(case: Case) -> None:
    refused(case, "id_token.alg", sign="none")


@row("20", REFUSE, "Damaged signature")
def test_row_20_damaged_signature(case: Case) -> None:
    refused(case, "id_token.signature", sign="damaged")


@row("20", REFUSE, "Foreign key under the same kid")
def test_row_20_foreign_key_under_the_same_kid(case: Case) -> None:
    refused(case, "id_token.signature", sign="foreign")


@row("21", REFUSE, "HS256 keyed with the public key")
def test_row_21_hs256_keyed_with_the_public_key(case: Case) -> None:
    refused(case, "id_token.alg", sign="hs256-public")


@row("22", REFUSE, "HS256 keyed with the client secret, no kid")
def test_row_22_hs256_keyed_with_the_secret(case: Case) -> None:
    refused(case, "id_token.alg", sign="hs256-secret", header={"kid": None})


@row("23", REFUSE, "Unknown kid")
def test_row_23_unknown_kid(case: Case) -> None:
    refused(case, "keys.none", header={"kid": "unknown"})


@row("24", ACCEPT, "No kid and a single suitable key")
def test_row_24_no_kid_and_one_key(case: Case) -> None:
    accepted(case, header={"kid": None})


@row("25", REFUSE, "JWKS entry without kid, token with kid")
def test_row_25_published_key_without_kid(case: Case) -> None:
    case.provider.order(jwks={"drop_kid": True})
    case.refuses("keys.none")


@row("26", ACCEPT, "Key rotation before the ID token")
def test_row_26_rotation_before_the_id_token(case: Case) -> None:
    case.accepts("collegue")  # its keys are now remembered
    case.provider.order(jwks={"rotate": True})
    case.accepts()


@row("26", ACCEPT, "Key rotation between ID token and userinfo")
def test_row_26_rotation_before_the_userinfo(case: Case) -> None:
    case.accepts("collegue")
    case.provider.order(jwks={"add": True}, userinfo={"sign": "second"})
    case.accepts()


@row("27", REFUSE, "Wrong at_hash")
def test_row_27_wrong_at_hash(case: Case) -> None:
    refused(case, "id_token.at_hash", set={"at_hash": "A" * 22})


@row("28", REFUSE, "acr below the floor")
def test_row_28_acr_below_the_floor(case: Case) -> None:
    refused(case, "id_token.acr", set={"acr": "eidas0"})


@row("28", REFUSE, "acr missing")
def test_row_28_acr_missing(case: Case) -> None:
    refused(case, "id_token.acr", drop=["acr"])


@row("29", REFUSE, "Empty sub in the ID token")
def test_row_29_empty_sub(case: Case) -> None:
    refused(case, "id_token.sub_malformed", set={"sub": ""})


@row("30", REFUSE, "ID token garbage")
def test_row_30_garbage(case: Case) -> None:
    refused(case, "id_token.signature", raw="garbage")


@row("30", REFUSE, "ID token absent")
def test_row_30_absent(case: Case) -> None:
    refused(case, "id_token.absent", absent=True)


@row("65", ACCEPT, "Old auth_time at ordinary sign-in")
def test_row_65_old_auth_time(case: Case) -> None:
    accepted(case, now={"auth_time": -30 * 86_400})
