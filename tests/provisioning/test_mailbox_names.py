"""Local parts: proposed from people's names, refused with a remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.provisioning import mailbox_names as mailboxes


@pytest.mark.parametrize(
    ("given_name", "family_name", "proposed"),
    [
        ("Hélène", "D'Œuilly", "helene.d-oeuilly"),
        ("Jean-François", "Le Goff", "jean-francois.le-goff"),
        ("Camille", "", "camille"),
        ("", "", ""),
        ("Čeněk", "Ñandú", "cenek.nandu"),
    ],
)
def test_a_person_is_proposed_prenom_point_nom(given_name: str, family_name: str, proposed: str) -> None:
    assert mailboxes.proposal(given_name, family_name) == proposed


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_proposed_is_always_a_valid_local_part(given_name: str, family_name: str) -> None:
    proposed = mailboxes.proposal(given_name, family_name)
    assert proposed == "" or mailboxes.LOCAL_PART.fullmatch(proposed)
    assert len(proposed) <= 64


def test_a_homonym_is_proposed_an_initial_then_a_number() -> None:
    assert mailboxes.proposals("Jean-Marc", "Petit")[:3] == ["jean-marc.petit", "jean.m.petit", "jean-marc.petit2"]


@pytest.mark.parametrize("name", sorted(mailboxes.TECHNICAL))
def test_technical_addresses_are_given_to_nobody(name: str) -> None:
    for kind in ("personal", "shared", "redirect"):
        assert mailboxes.problem(name, kind)


@pytest.mark.parametrize("name", ["mairie", "mairie.accueil", "accueil2", "etat-civil", "maire-adjoint"])
def test_the_address_of_a_service_is_never_a_persons(name: str) -> None:
    assert mailboxes.problem(name, "personal")
    assert mailboxes.problem(name, "shared") == ""


@pytest.mark.parametrize("name", ["mairiette.dupont", "rhodes", "camille.maire"])
def test_a_name_that_only_starts_like_a_service_is_a_persons(name: str) -> None:
    assert mailboxes.problem(name, "personal") == ""


@pytest.mark.parametrize("name", ["", "a_b", "a..b", ".a", "a.", "é", "a b", "a" * 65])
def test_a_malformed_local_part_is_refused_with_a_remedy(name: str) -> None:
    assert mailboxes.problem(name, "personal").endswith(".")


def test_an_address_typed_whole_is_cut_at_the_sign() -> None:
    assert mailboxes.normalise(" Camille.DUPONT@commune.fr ") == "camille.dupont"
