import pytest

from suite.accounts.siret import complete, is_valid


@pytest.mark.parametrize(
    "siret",
    [
        "13002526500013",  # a State service
        "35600000000048",  # the head office of La Poste, by the sum of Luhn
        "35600000049837",  # one of its post offices, by its own rule
    ],
)
def test_a_right_siret_is_valid(siret: str) -> None:
    assert is_valid(siret)


@pytest.mark.parametrize(
    "siret", ["13002526500014", "1300252650001", "130025265000130", "1300252650001a", "35600000049838", "", None, 1.5]
)
def test_anything_else_is_not(siret: object) -> None:
    assert not is_valid(siret)


def test_thirteen_digits_are_completed_by_their_key() -> None:
    assert is_valid(complete("2156019640001"))
