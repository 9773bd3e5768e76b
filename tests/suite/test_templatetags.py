"""Numbers and dates as a French reader expects them."""

from datetime import UTC, date, datetime

import pytest
from django.template import Context, Template

from suite.templatetags.suite import day, gigabytes, thousands


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0"), (999, "999"), (3500, "3\u202f500"), (1234567, "1\u202f234\u202f567")]
)
def test_thousands_are_set_apart(value: int | None, text: str) -> None:
    assert thousands(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0\u00a0Go"),
        (10_000_000_000, "10\u00a0Go"),
        (1_500_000_000, "1,5\u00a0Go"),
        (2_000_000_000_000, "2\u202f000\u00a0Go"),
    ],
)
def test_bytes_are_told_in_decimal_gigabytes(value: int | None, text: str) -> None:
    assert gigabytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (date(2025, 9, 1), "1er\u00a0septembre 2025"),
        (date(2025, 11, 17), "17\u00a0novembre 2025"),
        # Half past eleven in the evening in UTC is the next day in Paris.
        (datetime(2025, 8, 31, 23, 30, tzinfo=UTC), "1er\u00a0septembre 2025"),
    ],
)
def test_a_day_is_written_in_full(value: date | None, text: str) -> None:
    assert day(value) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "demande"), (1, "demande"), (1.9, "demande"), (2, "demandes"), ([], "demande"), ([1, 2], "demandes")],
)
def test_the_french_plural_starts_at_two(value: object, expected: str) -> None:
    assert Template("demande{{ value|pluralize }}").render(Context({"value": value})) == expected


def test_an_irregular_plural_gives_both_endings() -> None:
    template = Template("journ{{ one|pluralize:'al,aux' }} journ{{ many|pluralize:'al,aux' }}")
    assert template.render(Context({"one": 1, "many": 3})) == "journal journaux"
