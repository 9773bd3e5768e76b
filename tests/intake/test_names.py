"""Names: what people type, what a name may be, what we propose."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.intake import names

pytestmark = pytest.mark.django_db
ZONE = "collectivite.fr"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Évreux.fr", "evreux.fr"),
        ("  https://www.Évreux.fr/accueil?x=1 ", "evreux.fr"),
        ("évreux.fr.", "evreux.fr"),
        ("L'Haÿ-les-Roses.fr", "l-hay-les-roses.fr"),
        ("L’Île d’Yeu.fr", "l-ile-d-yeu.fr"),
        ("Œuilly.fr", "oeuilly.fr"),
        ("a--b.fr", "a-b.fr"),
        ("Bors (Canton de Tude-et-Lavalette).fr", "bors.fr"),
        ("mairie@commune.fr", "commune.fr"),
        ("rochefort_en_terre.bzh", "rochefort-en-terre.bzh"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_what_is_typed_becomes_the_name_that_was_meant(typed: str, meant: str) -> None:
    assert names.normalise(typed) == meant


def test_a_bare_label_takes_the_extension_of_its_family() -> None:
    assert names.normalise("Évreux", default_extension="fr") == "evreux.fr"
    assert names.normalise("Évreux.bzh", default_extension="fr") == "evreux.bzh"


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing_more(typed: str) -> None:
    once = names.normalise(typed)
    assert names.normalise(once) == once


@given(st.text(max_size=300), st.sampled_from(["collectivite", "new", "existing"]))
def test_a_name_without_a_problem_is_safe_in_a_zone_file_and_in_an_address(typed: str, family: str) -> None:
    name = names.normalise(typed, default_extension="fr")
    if not names.problem(name, family, shared_zone=ZONE):
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name)
        assert all(1 <= len(label) <= 63 for label in name.split("."))
        assert len(name) <= 253


@given(st.from_regex(names.LABEL, fullmatch=True))
def test_a_label_of_the_pattern_is_refused_only_for_a_reason_we_can_say(label: str) -> None:
    said = names.label_problem(label)
    assert bool(said) == (label[2:4] == "--" or label.isdigit())


@pytest.mark.parametrize(("length", "accepted"), [(62, True), (63, True), (64, False)])
def test_a_label_ends_at_63_characters(length: int, accepted: bool) -> None:  # noqa: FBT001
    assert (names.label_problem("a" * length) == "") is accepted


@pytest.mark.parametrize(
    "name", ["xn--vreux-9ra.fr", "-evreux.fr", "evreux-.fr", "ev reux..fr", "еvreux.fr", "évreux😀.fr", "1234.fr"]
)
def test_a_name_that_would_mislead_or_break_is_refused(name: str) -> None:
    normal = names.normalise(name)
    if normal != "evreux.fr":  # hyphens at the ends are simply dropped
        assert names.problem(normal, "new", shared_zone=ZONE)


@pytest.mark.parametrize("extension", names.EXTENSIONS)
def test_every_sovereign_extension_is_accepted(extension: str) -> None:
    assert names.problem(f"evreux.{extension}", "new", shared_zone=ZONE) == ""


def test_there_are_sixteen_sovereign_extensions() -> None:
    assert len(set(names.EXTENSIONS)) == 16


@pytest.mark.parametrize("name", ["evreux.com", "mairie.evreux.fr", "evreux", "evreux.gouv.fr", f"evreux.{ZONE}"])
def test_a_new_name_is_one_label_under_a_sovereign_extension(name: str) -> None:
    assert names.problem(name, "new", shared_zone=ZONE)


@pytest.mark.parametrize("name", ["evreux.fr", f"a.b.{ZONE}", ZONE, f"evreux.x{ZONE}"])
def test_a_free_name_is_one_label_under_our_zone(name: str) -> None:
    assert names.problem(name, "collectivite", shared_zone=ZONE)


def test_an_existing_name_may_be_any_but_ours() -> None:
    assert names.problem("mairie-evreux.com", "existing", shared_zone=ZONE) == ""
    assert names.problem(f"evreux.{ZONE}", "existing", shared_zone=ZONE)


@pytest.mark.parametrize("label", ["www", "mail", "ns1", "ns12", "autodiscover", "gouv", "prefecture", "anct"])
def test_technical_names_and_those_of_the_state_are_kept(label: str) -> None:
    kept = names.reserved(label)
    assert kept
    assert kept.blocked
    assert names.problem(f"{label}.fr", "new", shared_zone=ZONE)


@pytest.mark.parametrize("label", ["ensemble-evreux", "evreux-2026"])
def test_names_of_lists_are_read_by_two_people(label: str) -> None:
    kept = names.reserved(label)
    assert kept
    assert not kept.blocked


def test_a_commune_alone_of_its_name_is_proposed_it_bare() -> None:
    ladder = names.labels_of("Évreux", department="27", postcode="27000", insee="27229", shared=False)
    assert ladder == [
        "evreux", "mairie-evreux", "ville-evreux", "commune-evreux", "evreux27", "evreux27000", "evreux27229",
    ]  # fmt: skip


def test_a_shared_name_takes_its_departement_and_is_never_bare() -> None:
    ladder = names.labels_of("Sainte-Colombe", department="2A", postcode="20100", insee="2A999", shared=True)
    assert ladder == ["sainte-colombe2a", "sainte-colombe20100", "sainte-colombe2a999"]


def test_an_article_may_be_dropped_but_comes_second() -> None:
    ladder = names.labels_of("L'Abergement-Clémenciat", department="01", postcode="01400", insee="01001", shared=False)
    assert ladder[:2] == ["l-abergement-clemenciat", "abergement-clemenciat"]


@pytest.mark.parametrize("name", ["Y", "Eu", "Us"])
def test_a_very_short_name_starts_at_mairie(name: str) -> None:
    ladder = names.labels_of(name, department="80", postcode="80190", insee="80829", shared=False)
    assert ladder[0] == f"mairie-{name.lower()}"


@given(
    st.text(min_size=1, max_size=60),
    st.sampled_from(["01", "2A", "971", ""]),
    st.sampled_from(["01000", ""]),
    st.booleans(),
)
def test_whatever_is_proposed_may_be_asked(
    name: str,
    department: str,
    postcode: str,
    shared: bool,  # noqa: FBT001
) -> None:
    ladder = names.labels_of(name, department=department, postcode=postcode, insee="01001", shared=shared)
    for label in ladder:
        assert names.problem(f"{label}.{ZONE}", "collectivite", shared_zone=ZONE) == ""


def test_look_alikes_share_a_skeleton() -> None:
    assert names.skeleton("bern0is.fr") == names.skeleton("bem-ois.fr")
    assert names.skeleton("la-celle.fr") == names.skeleton("lacelle.fr")
