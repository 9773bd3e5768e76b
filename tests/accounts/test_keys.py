from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache

from suite.accounts import keys
from suite.accounts.refusals import SignInRefused
from tests.accounts.signer import OTHER_KEY, jwk


class Provider:
    """Counts how many times its keys are asked for."""

    def __init__(self, *published: Any) -> None:
        self.published = list(published)
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return {"keys": list(self.published)}

    def find(self, kid: str | None) -> Any:
        return keys.find(kid, address="https://auth.example/jwks", fetch=self)


@pytest.fixture(autouse=True)
def _cold_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_two_sign_ins_ask_for_the_keys_once() -> None:
    provider = Provider(jwk())
    assert provider.find("one").key_id == provider.find("one").key_id == "one"
    assert provider.asked == 1


def test_a_rotation_is_seen_at_once() -> None:
    provider = Provider(jwk())
    provider.find("one")
    provider.published = [jwk(OTHER_KEY, kid="two")]
    assert provider.find("two").key_id == "two"
    assert provider.asked == 2


def test_an_unknown_kid_repeated_asks_once_a_minute() -> None:
    provider = Provider(jwk())
    provider.find("one")
    with time_machine.travel("2026-11-23 12:00:00Z") as clock:
        cache.clear()
        provider.find("one")
        provider.asked = 0
        for _ in range(100):
            with pytest.raises(SignInRefused, match=r"keys\.none"):
                provider.find("forged")
        assert provider.asked == 1
        clock.shift(timedelta(seconds=61))
        with pytest.raises(SignInRefused):
            provider.find("forged")
        assert provider.asked == 2


def test_a_token_without_kid_finds_the_only_key() -> None:
    assert Provider(jwk(), jwk(OTHER_KEY, kid="enc", use="enc")).find(None).key_id == "one"


@pytest.mark.parametrize(
    ("published", "kid", "reason"),
    [
        ([jwk(), jwk(OTHER_KEY, kid="two")], None, "keys.several"),
        ([jwk(), jwk(OTHER_KEY)], "one", "keys.several"),
        ([jwk(kid=None)], "one", "keys.none"),
        ([jwk(alg="ES256")], "one", "keys.none"),
        ([jwk(use="enc")], "one", "keys.none"),
        ([{"kty": "oct", "kid": "one", "k": "AAAA"}], "one", "keys.none"),
        ([{"kty": "RSA", "kid": "one"}], "one", "keys.malformed"),
        ([None, "one", 3], "one", "keys.none"),
        ([], None, "keys.none"),
    ],
    ids=["two fit", "a twin", "no kid", "alg", "use", "a secret", "no number", "not keys", "none"],
)
def test_anything_but_one_fitting_key_is_refused(published: list[Any], kid: str | None, reason: str) -> None:
    with pytest.raises(SignInRefused, match=reason):
        Provider(*published).find(kid)
