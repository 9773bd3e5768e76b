"""The homonyms of France, counted in the territory file that we ship, and the ladder that tells them apart."""

import re
from collections import Counter, defaultdict

import pytest

from onboarding.intake import availability, names, suggestions
from suite.directory.folding import fold
from suite.directory.models import Department, Name, Organization
from suite.directory.snapshot import Commune, Territory, shipped
from tests.factories.directory import CommuneFactory, EpciFactory


@pytest.fixture(scope="module")
def france() -> Territory:
    return shipped()[0]


def qualified(name: str) -> str:
    """Return the label with the qualifier kept: « Bors (Canton de…) » is not « Bors »."""
    return names.slug(name.replace("(", " ").replace(")", " "))


def bare(name: str) -> str:
    return fold(re.sub(r"\([^)]*\)", " ", name))


class TestFacts:
    def test_1482_names_are_shared_by_3774_communes_and_one_by_twelve(self, france: Territory) -> None:
        counts = Counter(qualified(commune.name) for commune in france.communes)
        shared = {label: count for label, count in counts.items() if count > 1}
        assert (len(france.communes), len(shared), sum(shared.values())) == (34_969, 1_482, 3_774)
        assert max(shared.items(), key=lambda pair: pair[1]) == ("sainte-colombe", 12)

    def test_58_more_names_collide_without_hyphens_and_share_a_skeleton(self, france: Territory) -> None:
        written = defaultdict(set)
        for commune in france.communes:
            label = names.slug(commune.name)
            written[label.replace("-", "")].add(label)
        collisions = [labels for labels in written.values() if len(labels) > 1]
        assert len(collisions) == 58
        assert {"la-celle", "lacelle"} in collisions
        assert all(len({names.skeleton(label) for label in labels}) == 1 for labels in collisions)

    def test_the_departement_tells_all_apart_but_three_pairs(self, france: Territory) -> None:
        pairs = Counter((names.slug(commune.name), commune.department) for commune in france.communes)
        same = {pair for pair, count in pairs.items() if count > 1}
        assert same == {("bors", "16"), ("castillon", "64"), ("chateau-chinon", "58")}

    def test_one_pair_shares_its_postcode_too(self, france: Territory) -> None:
        chinon = [one for one in france.communes if names.slug(one.name) == "chateau-chinon"]
        assert {one.postcodes for one in chinon} == {("58120",)}
        assert {one.code for one in chinon} == {"58062", "58063"}

    def test_21_communes_have_only_a_postcode_of_another_departement(self, france: Territory) -> None:
        def foreign(commune: Commune) -> bool:
            own = "20" if commune.department in {"2A", "2B"} else commune.department[:2]
            return bool(commune.postcodes) and not any(code.startswith(own) for code in commune.postcodes)

        assert sum(map(foreign, france.communes)) == 21

    def test_no_name_has_a_digit_so_that_a_number_never_makes_another_name(self, france: Territory) -> None:
        assert not [commune.name for commune in france.communes if re.search("[0-9]", commune.name)]

    def test_the_longest_label_has_45_characters_and_14_have_one_or_two(self, france: Territory) -> None:
        labels = {names.slug(commune.name) for commune in france.communes}
        assert max(map(len, labels)) == 45
        assert len([label for label in labels if len(label) < names.SHORTEST]) == 14

    def test_302_of_2576_delegated_and_associated_communes_bear_another_communes_name(self, france: Territory) -> None:
        bearers = defaultdict(set)
        for commune in france.communes:
            bearers[names.slug(commune.name)].add(commune.code)
        past = [one for one in france.past if one.kind in {"deleguee", "associee"}]
        assert len(past) == 2_576
        assert sum(bool(bearers[names.slug(one.name)] - {one.parent}) for one in past) == 302

    def test_no_commune_is_forbidden_its_own_name(self, france: Territory) -> None:
        blocked = [
            commune.name
            for commune in france.communes
            if (kept := names.reserved(names.slug(commune.name))) and kept.blocked
        ]
        assert blocked == []
        assert names.reserved("matignon") is not None  # a commune and a service of the State: two people look


@pytest.mark.slow
@pytest.mark.django_db
def test_every_commune_of_france_is_first_proposed_a_name_that_no_other_is(france: Territory) -> None:
    """The whole of France through the ladder, with what the directory would say of each one's relatives."""
    groups = defaultdict(list)
    for commune in france.communes:
        groups[bare(commune.name)].append(commune)
    past = defaultdict(set)
    for one in france.past:
        if one.name:
            past[bare(one.name)].add((names.slug(one.name), one.parent))
    proposed: dict[str, str] = {}
    for relatives in groups.values():
        for commune in relatives:
            others = [one for one in relatives if one.code != commune.code]
            older = {label for label, parent in past[bare(commune.name)] if parent != commune.code}
            label = names.slug(commune.name)
            ladder = names.labels_of(
                commune.name,
                department=commune.department,
                postcode=commune.postcodes[0] if commune.postcodes else "",
                insee=commune.code,
                shared=label in older | {names.slug(one.name) for one in others},
                short_shared=bool(others or older),
                used={one.department for one in others} | {code for one in others for code in one.postcodes},
            )
            assert ladder, commune
            assert ladder[-1].endswith(commune.code.lower())
            assert all(not names.label_problem(one) for one in ladder)
            assert proposed.setdefault(ladder[0], commune.code) == commune.code, ladder[0]
    assert len(proposed) == 34_969


def settle(france: Territory, *labels: str) -> dict[str, Organization]:
    """Put the communes of these labels in the directory, as the import does, and return them by INSEE code."""
    found = {}
    for row in (commune for commune in france.communes if names.slug(commune.name) in labels):
        Department.objects.get_or_create(code=row.department, defaults={"name": f"Département {row.department}"})
        organization = CommuneFactory.create(
            code=row.code, name=row.name, department_id=row.department, postcodes=list(row.postcodes)
        )
        Name.objects.filter(organization=organization).delete()
        Name.objects.create(
            organization=organization, kind="current", code=row.code, name=row.name, folded=fold(row.name)
        )
        found[row.code] = organization
    return found


@pytest.mark.django_db
class TestLadder:
    def test_chateau_chinon_ends_at_the_insee_code(self, france: Territory) -> None:
        communes = settle(france, "chateau-chinon")
        assert suggestions.labels(communes["58062"]) == ["chateau-chinon58062"]
        assert suggestions.labels(communes["58063"]) == ["chateau-chinon58063"]

    def test_bors_is_told_apart_by_its_postcode(self, france: Territory) -> None:
        communes = settle(france, "bors")
        assert suggestions.labels(communes["16052"])[0] == "bors16190"
        assert suggestions.labels(communes["16053"])[0] == "bors16360"

    def test_castillon_of_the_alpes_maritimes_needs_only_its_departement(self, france: Territory) -> None:
        communes = settle(france, "castillon")
        first = {code: suggestions.labels(commune)[0] for code, commune in communes.items()}
        assert first["06036"] == "castillon06"
        assert first["64181"] == "castillon64370"
        assert first["64182"] == "castillon64350"
        assert len(set(first.values())) == len(first)

    def test_the_twelve_sainte_colombe_have_twelve_names_and_none_is_bare(self, france: Territory) -> None:
        communes = settle(france, "sainte-colombe")
        first = {suggestions.labels(commune)[0] for commune in communes.values()}
        assert len(first) == 12
        assert all(re.fullmatch(r"sainte-colombe\d\d", label) for label in first)

    def test_a_postcode_of_elsewhere_does_not_change_the_departement(self, france: Territory) -> None:
        saint_pierre = settle(france, "saint-pierre")["04194"]
        assert saint_pierre.postcodes == ["06260"]
        assert suggestions.labels(saint_pierre)[0] == "saint-pierre04"

    def test_a_delegated_commune_makes_a_name_shared(self, france: Territory) -> None:
        alone = CommuneFactory.create(name="Tourlaville", code="50999", department__code="50")
        assert suggestions.labels(alone)[0] == "tourlaville"
        parent = CommuneFactory.create(name="Cherbourg-en-Cotentin", code="50129", department=alone.department)
        Name.objects.create(
            organization=parent, kind="deleguee", code="50602", name="Tourlaville", folded=fold("Tourlaville")
        )
        again = Organization.objects.get(pk=alone.pk)
        assert suggestions.labels(again)[0] == "tourlaville50"
        assert [one.what for one in suggestions.namesakes(again)] == ["commune déléguée"]

    def test_a_departement_or_a_region_makes_a_name_shared(self, db: None) -> None:
        commune = CommuneFactory.create(name="Mayenne", code="53147", department__code="53")
        Department.objects.filter(code="53").update(name="Mayenne", region="Pays de la Loire")
        assert suggestions.labels(Organization.objects.get(pk=commune.pk))[0] == "mayenne53"

    def test_the_short_form_is_not_anothers_name(self, db: None) -> None:
        celle, other = CommuneFactory.create(name="Celle"), CommuneFactory.create(name="La Celle")
        assert suggestions.labels(celle)[0] == "celle"
        assert suggestions.labels(other)[0] == "la-celle"
        assert "celle" not in suggestions.labels(other)

    def test_an_intercommunality_is_not_called_a_mairie(self, db: None) -> None:
        ladder = suggestions.labels(EpciFactory.create(name="CC de la Dombes"))
        assert ladder[0] == "cc-de-la-dombes"
        assert not [label for label in ladder if label.startswith(("mairie", "ville", "commune"))]


@pytest.mark.parametrize(
    ("label", "others"),
    [("saint-malo", ["st-malo"]), ("ste-colombe", ["sainte-colombe"]), ("evreux", []), ("saint", [])],
)
def test_saint_and_st_are_alternatives(label: str, others: list[str]) -> None:
    assert names.abbreviations(label) == others


def test_an_abbreviated_saint_still_tells_the_commune() -> None:
    assert availability.tells_the_commune("st-malo.fr", ["saint-malo"])
    assert not availability.tells_the_commune("malo.fr", ["saint-malo"])
