"""The acceptance set of the search, on the real territory."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from suite.directory.models import Organization
from suite.directory.search import Tier, search

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("france")]


def codes(query: str, limit: int = 10) -> list[str]:
    return [hit.organization.code for hit in search(query, limit)]


def test_y_is_the_village_y() -> None:
    assert codes("y") == ["80829"]


@pytest.mark.parametrize("query", ["St-Malo", "st malo", "SAINT MALO", "saint-malo", "Malo St", "  st   malo "])
def test_saint_malo_however_written(query: str) -> None:
    assert codes(query)[0] == "35288"


@pytest.mark.parametrize("query", ["oeuilly", "œuilly", "ŒUILLY", "Oeuilly"])
def test_ligatures_are_spelled_out(query: str) -> None:
    assert set(codes(query)) == {"02565", "51410"}


@pytest.mark.parametrize("query", ["L'Île-d'Yeu", "l’ile d’yeu", "ile d'yeu", "yeu ile"])
def test_apostrophes_and_articles_do_not_matter(query: str) -> None:
    assert codes(query)[0] == "85113"


def test_the_eleven_namesakes_come_first_the_most_populated_at_the_top() -> None:
    hits = search("saint sauveur", 20)
    assert [hit.name for hit in hits[:11]] == ["Saint-Sauveur"] * 11
    assert len({hit.organization.department_id for hit in hits[:11]}) == 11
    populations = [hit.organization.population or 0 for hit in hits[:11]]
    assert populations == sorted(populations, reverse=True)
    assert hits[11].name != "Saint-Sauveur" or hits[11].past is not None


def test_a_postcode_gives_its_46_communes_after_the_commune_of_that_insee_code() -> None:
    hits = search("51300", 100)
    assert hits[0].tier is Tier.IDENTIFIER
    assert hits[0].organization.code == "51300"
    with_postcode = [hit for hit in hits if "51300" in hit.organization.postcodes]
    assert len(with_postcode) == 46


def test_a_secondary_postcode_leads_to_paris() -> None:
    assert codes("75116")[0] == "75056"


def test_five_characters_are_both_an_insee_code_and_a_postcode() -> None:
    hits = search("01090", 20)
    assert [hits[0].organization.code, hits[0].name] == ["01090", "Châtenay"]
    assert len(hits) == 7
    assert all("01090" in hit.organization.postcodes for hit in hits[1:])
    assert codes("2a004") == ["2A004"]


def test_the_commune_of_today_comes_before_the_deleguee_of_the_same_code() -> None:
    assert search("01015")[0].past is None


def test_a_siren_and_a_siret_lead_to_their_collectivite() -> None:
    assert codes("217 500 016") == ["75056"]
    (hit,) = search("21750001606669")
    assert hit.organization.code == "75056"
    assert "établissement secondaire" in hit.match.note
    assert search("217500017") == []
    assert search("21750001606668") == []


def test_a_commune_deleguee_is_found_and_said_so() -> None:
    hit = search("arbignieu")[0]
    assert hit.past is not None
    assert (hit.name, hit.organization.name) == ("Arbignieu", "Arboys en Bugey")


@pytest.mark.parametrize("query", ["CC de la Dombes", "communauté de communes de la Dombes", "dombes", "cc dombes"])
def test_an_epci_with_or_without_its_nature(query: str) -> None:
    assert codes(query)[0] == "200069193"


def test_namesake_epci_are_both_found() -> None:
    name = Organization.objects.get(code="247000623").name
    assert {"247000623", "247400666"} <= set(codes(name))


def test_a_merged_epci_is_found_with_its_successor() -> None:
    hit = next(hit for hit in search("pays de salars") if hit.organization.code == "241200658")
    assert hit.organization.successor is not None
    assert hit.organization.successor.name == "CC Lévézou Communauté"


def test_an_exact_small_town_is_never_passed_by_a_larger_partial_match() -> None:
    assert search("le saint")[0].name == "Le Saint"
    assert search("mans")[0].organization.code == "72181"


@pytest.mark.parametrize(
    ("query", "code"),
    [("rochfort en tere", "56196"), ("marseile", "13055"), ("Strasbourd", "67482"), ("chatenay malabri", "92019")],
)
def test_typing_errors_are_forgiven(query: str, code: str) -> None:
    assert code in codes(query)[:3]


def test_words_come_in_any_order_and_unfinished() -> None:
    assert codes("terre roch")[0] == "56196"


def test_the_start_of_a_postcode_is_enough() -> None:
    assert all(any(code.startswith("562") for code in hit.organization.postcodes) for hit in search("562"))
    assert codes("13")[0] == "13055"
    assert search("7") == []


@pytest.mark.parametrize("query", ["%", "_", "%%%", "100%", "s_int", "\\", "a\\", "'", '"; DROP TABLE x; --'])
def test_signs_of_sql_are_plain_characters(query: str) -> None:
    for hit in search(query):
        assert hit.tier is not Tier.IDENTIFIER
    assert len(search("%")) == 0


@pytest.mark.parametrize(
    "query",
    ["saint", "st malo", "rochfort en tere", "75116", "01090", "217500016", "13", "cc du pays", "introuvableville"],
)
def test_a_search_costs_three_queries_at_most(
    query: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(3):
        for hit in search(query):
            _ = (hit.name, hit.organization.department, hit.organization.epci, hit.organization.successor)


def test_no_hit_is_shown_twice() -> None:
    found = [hit.organization.pk for hit in search("arboys", 50)]
    assert len(found) == len(set(found))


def test_names_are_sought_through_the_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT id FROM directory_name n WHERE n.folded = 'rochefort' OR n.folded LIKE 'rochefort%'"
            " OR n.folded LIKE '% rochefort%'"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan" not in plan
        cursor.execute("EXPLAIN SELECT id FROM directory_name n WHERE n.folded % 'rochfort en tere'")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "name_folded_trigram" in plan


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=130))
def test_no_text_breaks_the_search(query: str) -> None:
    assert len(search(query, 5)) <= 5
