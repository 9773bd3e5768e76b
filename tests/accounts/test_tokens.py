from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from suite.accounts import tokens
from suite.accounts.refusals import REFUSALS, SignInRefused
from tests.accounts.signer import (
    ACCESS_TOKEN,
    CLIENT,
    EXPECTED,
    ISSUER,
    KEY,
    NONCE,
    NOW,
    OTHER_KEY,
    SIRET,
    find_key,
    forge,
    id_claims,
    sign,
    user_claims,
)

PUBLIC_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def verify_id_token(token: object, nonce: str = NONCE) -> tokens.Authentication:
    return tokens.verify_id_token(token, find_key, EXPECTED, nonce=nonce, access_token=ACCESS_TOKEN, now=NOW)


def verify_userinfo(token: object, sub: str = "somebody") -> Any:
    return tokens.verify_userinfo(token, find_key, EXPECTED, sub=sub, now=NOW)


def verify_person(claims: dict[str, Any], operator_sirets: tuple[str, ...] = ()) -> tokens.Person:
    return tokens.verify_person(claims, ISSUER, operator_sirets=operator_sirets)


def reason_of(act: Callable[[], object]) -> str:
    with pytest.raises(SignInRefused) as caught:
        act()
    assert caught.value.code in REFUSALS
    return caught.value.reason


class TestIdToken:
    def test_a_right_token_proves_who_and_how(self) -> None:
        assert verify_id_token(sign(id_claims())) == tokens.Authentication("somebody", "eidas1", ("pwd",))

    @pytest.mark.parametrize(
        "changes",
        [
            {"iat": NOW + 29},  # two clocks differ
            {"exp": NOW - 29},
            {"iat": NOW - 600},
            {"nbf": NOW + 29},
            {"at_hash": None},  # some versions of the provider leave it out
            {"azp": CLIENT},
            {"aud": [CLIENT]},
            {"auth_time": NOW - 40_000},  # a session reused
            {"amr": None},
        ],
        ids=str,
    )
    def test_a_harmless_difference_is_accepted(self, changes: dict[str, Any]) -> None:
        assert verify_id_token(sign(id_claims(**changes))).sub == "somebody"

    def test_a_token_without_kid_is_accepted_when_the_key_is_known(self) -> None:
        assert verify_id_token(sign(id_claims(), kid=None)).sub == "somebody"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"nonce": "m" * 64}, "id_token.nonce"),
            ({"nonce": None}, "id_token.nonce"),
            ({"nonce": [NONCE]}, "id_token.nonce"),
            ({"aud": "somebody-else"}, "id_token.aud"),
            ({"aud": None}, "id_token.aud"),
            ({"aud": [CLIENT, "somebody-else"]}, "id_token.aud"),
            ({"aud": [CLIENT, CLIENT]}, "id_token.aud"),
            ({"azp": "somebody-else"}, "id_token.azp"),
            ({"iss": "https://auth.example/api/v2/"}, "id_token.iss"),
            ({"iss": None}, "id_token.iss"),
            ({"exp": NOW - 30}, "id_token.expired"),
            ({"exp": None}, "id_token.exp_absent"),
            ({"exp": "soon"}, "id_token.exp_type"),
            ({"exp": True}, "id_token.exp_type"),
            ({"exp": float("inf")}, "id_token.exp_type"),
            ({"iat": None}, "id_token.iat_absent"),
            ({"iat": NOW + 31}, "id_token.iat_in_the_future"),
            ({"iat": NOW - 30 * 86_400}, "id_token.iat_too_old"),
            ({"nbf": NOW + 31}, "id_token.nbf_in_the_future"),
            ({"at_hash": "wrong"}, "id_token.at_hash"),
            ({"acr": "eidas0"}, "id_token.acr"),
            ({"acr": None}, "id_token.acr"),
            ({"acr": ["eidas1"]}, "id_token.acr"),
            ({"amr": "pwd"}, "id_token.amr"),
            ({"amr": [1]}, "id_token.amr"),
            ({"sub": ""}, "id_token.sub_malformed"),
            ({"sub": "  "}, "id_token.sub_malformed"),
            ({"sub": None}, "id_token.sub_malformed"),
            ({"sub": "a\x00b"}, "id_token.sub_malformed"),
            ({"sub": "a" * 256}, "id_token.sub_malformed"),
            ({"sub": 12}, "id_token.sub_malformed"),
        ],
        ids=str,
    )
    def test_a_wrong_claim_is_refused_with_its_reason(self, changes: dict[str, Any], reason: str) -> None:
        assert reason_of(lambda: verify_id_token(sign(id_claims(**changes)))) == reason

    def test_an_empty_expected_nonce_matches_nothing(self) -> None:
        assert reason_of(lambda: verify_id_token(sign(id_claims(nonce="")), nonce="")) == "id_token.nonce"

    @pytest.mark.parametrize(
        "token",
        [
            sign(id_claims(), OTHER_KEY),
            sign(id_claims())[:-6] + "AAAAAA",
            sign(id_claims()).replace(".", ".e30.", 1),
            "not.a.token",
            "garbage",
            "é" * 40,
            "..",
        ],
        ids=["foreign key, same kid", "damaged", "four parts", "words", "one word", "not ascii", "dots"],
    )
    def test_a_token_nobody_of_ours_signed_is_refused(self, token: str) -> None:
        assert reason_of(lambda: verify_id_token(token)) == "id_token.signature"

    @pytest.mark.parametrize(
        "token",
        [
            jwt.encode(id_claims(), "", algorithm="none"),
            sign(id_claims(), "s" * 64, "HS256"),
            forge(id_claims(), PUBLIC_PEM),
            sign(id_claims(), "c" * 64, "HS256", kid=None),
            sign(id_claims(), KEY, "PS256"),
        ],
        ids=["none", "a secret", "the public key as a secret", "the client secret", "another RSA"],
    )
    def test_an_algorithm_we_did_not_register_is_refused(self, token: str) -> None:
        assert reason_of(lambda: verify_id_token(token)) == "id_token.alg"

    @pytest.mark.parametrize("token", [None, "", 12, {"a": 1}, "a" * 20_001])
    def test_what_is_no_token_is_refused(self, token: object) -> None:
        assert reason_of(lambda: verify_id_token(token)) == "id_token.absent"

    @given(st.text(max_size=300))
    def test_no_text_whatever_breaks_the_verification(self, text: str) -> None:
        assert reason_of(lambda: verify_id_token(text)).startswith("id_token.")


class TestUserinfo:
    def test_a_signed_answer_about_the_same_person_is_accepted(self) -> None:
        assert verify_userinfo(sign(user_claims()))["siret"] == SIRET

    @pytest.mark.parametrize("changes", [{"nonce": "stray"}, {"exp": None}, {"iat": None}], ids=str)
    def test_what_a_userinfo_may_hold_or_lack_is_accepted(self, changes: dict[str, Any]) -> None:
        assert verify_userinfo(sign(user_claims(**changes)))["sub"] == "somebody"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"sub": "somebody else"}, "userinfo.sub"),
            ({"sub": None}, "userinfo.sub_malformed"),
            ({"aud": "another-client"}, "userinfo.aud"),
            ({"aud": None}, "userinfo.aud"),
            ({"iss": "https://elsewhere.example"}, "userinfo.iss"),
            ({"exp": NOW - 31}, "userinfo.expired"),
        ],
        ids=str,
    )
    def test_a_wrong_claim_is_refused_with_its_reason(self, changes: dict[str, Any], reason: str) -> None:
        assert reason_of(lambda: verify_userinfo(sign(user_claims(**changes)))) == reason

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            ('{"sub": "somebody", "email": "maire@commune.example"}', "userinfo.signature"),
            (jwt.encode(user_claims(), "", algorithm="none"), "userinfo.alg"),
            (sign(user_claims(), OTHER_KEY), "userinfo.signature"),
        ],
        ids=["plain JSON", "unsigned", "foreign key"],
    )
    def test_an_unsigned_answer_is_refused(self, token: str, reason: str) -> None:
        assert reason_of(lambda: verify_userinfo(token)) == reason


class TestPerson:
    def test_the_claims_become_a_person(self) -> None:
        person = verify_person(user_claims())
        assert (person.sub, person.siret, person.siren) == ("somebody", SIRET, SIRET[:9])
        assert person.usual_name == "L’Hostis"

    @pytest.mark.parametrize(
        "siret",
        [None, "", "2156019640001", "21560196400013", [SIRET], 21560196400012, "２１" + "5" * 12],
        ids=str,
    )
    def test_a_siret_missing_or_wrong_is_refused(self, siret: object) -> None:
        assert reason_of(lambda: verify_person(user_claims(siret=siret))) == "siret_invalid"

    @pytest.mark.parametrize("email", [None, "", "nobody", ["a@b.fr"], 3, "a" * 250 + "@b.fr", "a@b.fr\x00"], ids=str)
    def test_an_email_missing_or_wrong_is_refused(self, email: object) -> None:
        assert reason_of(lambda: verify_person(user_claims(email=email))) == "email_invalid"

    @pytest.mark.parametrize("roles", [None, [], ["agent"], ["agent_public_territorial"]], ids=str)
    def test_who_is_not_a_public_agent_is_refused(self, roles: object) -> None:
        assert reason_of(lambda: verify_person(user_claims(roles=roles))) == "not_public"

    @pytest.mark.parametrize("roles", [[], ["something"]], ids=str)
    def test_the_staff_of_a_registered_operator_needs_no_role(self, roles: list[str]) -> None:
        assert verify_person(user_claims(roles=roles), operator_sirets=(SIRET,)).siret == SIRET

    @pytest.mark.parametrize("roles", ["agent_public", {"agent_public": 1}, [1]], ids=str)
    def test_malformed_roles_are_refused(self, roles: object) -> None:
        assert reason_of(lambda: verify_person(user_claims(roles=roles))) == "userinfo.roles"

    def test_a_name_is_cleaned_and_cut_to_what_is_stored(self) -> None:
        person = verify_person(user_claims(given_name=" Ca\x00mille\n", usual_name="x" * 500, organization_label=None))
        assert (person.given_name, len(person.usual_name), person.organization_label) == ("Camille", 100, "")
