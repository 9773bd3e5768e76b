"""Tries are counted once each, together, and forgotten with their window."""

import pytest
from django.db import transaction
from django.utils import timezone

from suite.accounts.limits import allow
from suite.accounts.models import Tally
from tests.accounts.threads import together


@pytest.mark.django_db
def test_the_first_tries_of_a_window_are_allowed_and_the_next_is_not() -> None:
    assert [allow("essai", "ana", limit=2, seconds=60) for _ in range(4)] == [True, True, False, False]


@pytest.mark.django_db
def test_a_person_s_tries_are_not_another_s_nor_another_act_s() -> None:
    assert not [allow("essai", "ana", limit=1, seconds=60) for _ in range(2)][1]

    assert allow("essai", "bob", limit=1, seconds=60)
    assert allow("autre", "ana", limit=1, seconds=60)


@pytest.mark.django_db
def test_a_new_window_opens_when_the_first_is_over() -> None:
    allow("essai", "ana", limit=1, seconds=60)
    Tally.objects.update(ends_at=timezone.now())

    assert allow("essai", "ana", limit=1, seconds=60)
    assert not allow("essai", "ana", limit=1, seconds=60)


@pytest.mark.django_db
def test_the_table_names_nobody() -> None:
    allow("essai", "ana@commune.example", limit=1, seconds=60)

    assert "ana" not in Tally.objects.get().digest


@pytest.mark.django_db(transaction=True)
def test_two_tries_at_once_are_both_counted() -> None:
    answers, failures = together(lambda: allow("essai", "ana", limit=3, seconds=60), 8)

    assert not failures
    assert sorted(map(str, answers)) == ["False"] * 5 + ["True"] * 3


@pytest.mark.django_db
def test_a_try_of_a_transaction_undone_is_not_counted() -> None:
    with transaction.atomic():
        allow("essai", "ana", limit=1, seconds=60)
        transaction.set_rollback(True)

    assert allow("essai", "ana", limit=1, seconds=60)
