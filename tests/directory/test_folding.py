import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.directory.folding import fold, fold_epci, nature_named
from suite.directory.identifiers import is_insee, is_siren, is_siret, luhn


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("L'Île-d'Yeu", "ile d yeu"),
        ("L’Île-d’Yeu", "ile d yeu"),
        ("Œuilly", "oeuilly"),
        ("ŒUILLY", "oeuilly"),
        ("Plouër-sur-Rance", "plouer sur rance"),
        ("St-Malo", "saint malo"),
        ("Ste Foy", "sainte foy"),
        ("Villers-St-Paul", "villers saint paul"),
        ("Sts-Geosmes", "saints geosmes"),
        ("Strasbourg", "strasbourg"),
        ("Le Mans", "mans"),
        ("Les Sables-d'Olonne", "sables d olonne"),
        ("La", "la"),
        ("Y", "y"),
        ("  ", ""),
        ("Château-Chinon (Ville)", "chateau chinon ville"),
    ],
)
def test_a_name_is_compared_without_its_accents_and_signs(name: str, folded: str) -> None:
    assert fold(name) == folded


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("CC de la Dombes", "dombes"),
        ("CC Douarnenez Communauté", "douarnenez communaute"),
        ("CA du Pays de Laon", "pays de laon"),
        ("CU d'Arras", "arras"),
        ("communauté de communes de l’Île d’Oléron", "ile d oleron"),
        ("Métropole de Lyon", "metropole de lyon"),
        ("CC", "cc"),
    ],
)
def test_an_epci_is_compared_without_its_nature(name: str, folded: str) -> None:
    assert fold_epci(name) == folded


def test_the_nature_typed_is_recognized_only_when_a_name_follows() -> None:
    assert nature_named("CC de la Dombes") == "CC"
    assert nature_named("communauté d’agglomération de Laon") == "CA"
    assert nature_named("communaute urbaine d arras") == "CU"
    assert nature_named("cc") == ""
    assert nature_named("Canéjan") == ""
    assert nature_named("cc de la") == ""


@given(st.text(max_size=200))
def test_folding_any_text_gives_plain_words_and_folding_again_changes_no_letter(text: str) -> None:
    folded = fold(text)
    assert folded == "" or all(word.isascii() and word.isalnum() for word in folded.split(" "))
    fold_epci(text)
    nature_named(text)


@given(st.text(max_size=20))
def test_checking_any_text_as_a_number_never_fails(text: str) -> None:
    assert not (is_siren(text) and is_siret(text))
    is_insee(text)


@given(st.from_regex(r"[0-9]{8}", fullmatch=True))
def test_one_digit_wrong_breaks_a_siren(stem: str) -> None:
    siren = next(stem + last for last in "0123456789" if luhn(stem + last))
    assert is_siren(siren)
    assert not is_siren(stem + str((int(siren[-1]) + 1) % 10))


def test_digits_of_other_scripts_are_no_numbers() -> None:
    assert not is_siren("٢١٧٥٠٠٠١٦")
    assert not is_insee("٠١٠٠٤")
    assert is_insee("2A004")
    assert not is_insee("2C004")
