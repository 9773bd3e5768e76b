"""Addresses that only this site can make, and that say which notice they belong to."""

from datetime import timedelta
from uuid import uuid4

import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from suite.notices import addresses
from suite.notices.inbound_models import Inbound
from suite.notices.models import Notice


def notice(**facts: object) -> Notice:
    return Notice(pk=uuid4(), answers_until=timezone.localdate() + timedelta(days=90), **facts)


class TestRoundTrip:
    def test_each_address_reads_back_as_its_notice(self) -> None:
        one = notice()
        back = addresses.read(addresses.bounce_address(one))
        answer = addresses.read(addresses.answer_address(one))
        assert back == (Inbound.Kind.BOUNCE, one.pk, None)
        assert answer == (Inbound.Kind.ANSWER, one.pk, one.answers_until)

    def test_a_local_part_fits_in_sixty_four_characters(self) -> None:
        for address in (addresses.bounce_address(notice()), addresses.answer_address(notice())):
            assert len(address.partition("@")[0]) <= 64

    def test_a_bounce_address_answers_nothing_and_the_other_way_round(self) -> None:
        one = notice()
        swapped = addresses.bounce_address(one).replace("retour+", "reponse+")
        assert addresses.read(swapped) is None
        assert addresses.read(addresses.answer_address(one).replace("reponse+", "retour+")) is None

    def test_an_expiry_cannot_be_pushed_back(self) -> None:
        one, later = notice(), notice()
        later.pk, later.answers_until = one.pk, timezone.localdate() + timedelta(days=900)
        expiry = len("reponse+") + 26
        mixed = addresses.answer_address(one)
        mixed = mixed[:expiry] + addresses.answer_address(later)[expiry : expiry + 4] + mixed[expiry + 4 :]
        assert addresses.read(mixed) is None

    def test_the_last_day_still_serves(self) -> None:
        address = addresses.answer_address(notice())
        with time_machine.travel(timezone.now() + timedelta(days=89, hours=12), tick=False):
            known = addresses.read(address)
        assert known is not None
        with time_machine.travel(timezone.now() + timedelta(days=91), tick=False):
            assert known.expired

    def test_a_change_of_keys_keeps_the_old_ones_for_a_time(self, settings: Settings) -> None:
        address = addresses.bounce_address(notice())
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 8
        assert addresses.read(address) is not None
        settings.SECRET_KEY_FALLBACKS = []
        assert addresses.read(address) is None

    def test_a_site_where_nothing_comes_back_has_none(self, settings: Settings) -> None:
        one = notice()
        known = addresses.bounce_address(one)
        settings.INBOUND_MAIL_DOMAIN = ""
        assert addresses.bounce_address(one) == addresses.answer_address(one) == ""
        assert addresses.read(known) is None


@given(st.text(max_size=100))
def test_no_text_is_an_address_by_chance(text: str) -> None:
    for prefix in ("retour+", "reponse+", ""):
        assert addresses.read(f"{prefix}{text}@retours.suite.example") is None
