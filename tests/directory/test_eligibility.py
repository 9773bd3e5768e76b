"""The rule alone: no database, one test per line of the table and per boundary."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.directory.eligibility import (
    ABOVE,
    ELIGIBLE,
    MAY_BE_APPROVED,
    MAY_REQUEST,
    RULES,
    Covering,
    Outcome,
    Subject,
    day,
    in_order,
    judge,
    of,
    rule_on,
    rules_from,
)

RULE = RULES[0]
COMMUNE = Subject(name="Essai", siren="210100012", population=1200, population_year=2023)
EPCI = Subject(name="CC d’Essai", kind="epci", nature="CC", zone="", siren="200069193", population=9000)
READY = Covering("1", "Adico", "l’Adico", "partenaire_avec_services", 3)
PARTNER = replace(READY, id="2", name="Mégalis", name_with_article="Mégalis", status="partenaire", departments=4)
INTENT = replace(READY, id="3", status="intention")
SILENT = replace(READY, id="4", status="")


@pytest.mark.parametrize(
    ("subject", "population", "outcome"),
    [
        (COMMUNE, 3499, Outcome.ELIGIBLE_ANCT),
        (COMMUNE, 3500, Outcome.ABOVE_SELF_HOSTING),
        (COMMUNE, 3501, Outcome.ABOVE_SELF_HOSTING),
        (COMMUNE, 1, Outcome.ELIGIBLE_ANCT),
        (COMMUNE, 0, Outcome.NEEDS_REVIEW),
        (COMMUNE, None, Outcome.POPULATION_UNKNOWN),
        (EPCI, 14_999, Outcome.ELIGIBLE_ANCT),
        (EPCI, 15_000, Outcome.ABOVE_SELF_HOSTING),
        (EPCI, 15_001, Outcome.ABOVE_SELF_HOSTING),
        (EPCI, None, Outcome.POPULATION_UNKNOWN),
    ],
)
def test_the_threshold_is_strict(subject: Subject, population: int | None, outcome: Outcome) -> None:
    verdict = judge(replace(subject, population=population), RULE)
    assert verdict.outcome == outcome
    assert verdict.rule_id == RULE.id


def test_the_reason_gives_the_figure_its_year_the_threshold_and_the_date_of_the_rule() -> None:
    verdict = judge(replace(COMMUNE, population=3500), RULE)
    for said in ("3\u202f500", "2023", "exactement la limite", "21\u00a0mars 2025", "strictement moins"):
        assert said in verdict.reason
    assert (verdict.population, verdict.population_year, verdict.threshold) == (3500, 2023, 3500)


@pytest.mark.parametrize("nature", ["CA", "CU", "METRO", "MET69"])
def test_only_communautes_de_communes_are_covered(nature: str) -> None:
    assert judge(replace(EPCI, nature=nature, population=100), RULE).outcome == Outcome.NOT_COVERED_NATURE


def test_other_bodies_are_not_covered() -> None:
    assert judge(replace(COMMUNE, kind="departement"), RULE).outcome == Outcome.NOT_COVERED_TYPE


@pytest.mark.parametrize("special", [{"zone": "com"}, {"siren": None}, {"population": 0}])
def test_special_cases_are_reviewed_by_somebody(special: dict[str, object]) -> None:
    assert judge(replace(COMMUNE, **special), RULE).outcome == Outcome.NEEDS_REVIEW  # type: ignore[arg-type] # fields of Subject
    # Even above the threshold: never silently refused.
    assert judge(replace(COMMUNE, **{"population": 9000, **special}), RULE).outcome == Outcome.NEEDS_REVIEW  # type: ignore[arg-type] # idem


def test_a_com_without_population_is_reviewed_before_its_population_is_asked() -> None:
    assert judge(replace(COMMUNE, zone="com", population=None), RULE).outcome == Outcome.NEEDS_REVIEW


@pytest.mark.parametrize(
    ("operators", "below", "above"),
    [
        ((), Outcome.ELIGIBLE_ANCT, Outcome.ABOVE_SELF_HOSTING),
        ((READY,), Outcome.ELIGIBLE_OPERATOR, Outcome.ABOVE_OPERATOR),
        ((PARTNER,), Outcome.ELIGIBLE_OPERATOR_SOON, Outcome.ABOVE_OPERATOR),
        ((INTENT,), Outcome.ELIGIBLE_OPERATOR_SOON, Outcome.ABOVE_OPERATOR),
        ((SILENT,), Outcome.ELIGIBLE_ANCT, Outcome.ABOVE_SELF_HOSTING),
        ((PARTNER, READY), Outcome.ELIGIBLE_OPERATOR, Outcome.ABOVE_OPERATOR),
    ],
)
def test_operators_decide_who_serves_not_who_is_eligible(
    operators: tuple[Covering, ...], below: Outcome, above: Outcome
) -> None:
    assert judge(replace(COMMUNE, operators=operators), RULE).outcome == below
    assert judge(replace(COMMUNE, population=5000, operators=operators), RULE).outcome == above


def test_the_best_operator_is_ones_own_then_the_most_local_then_the_readiest() -> None:
    local = replace(PARTNER, id="9", departments=1)
    ready_local = replace(READY, id="8", departments=1)
    mine = replace(INTENT, id="7", departments=40, member=True)
    assert [it.id for it in in_order([READY, local, ready_local, mine, SILENT])] == ["7", "8", "9", "1"]


@pytest.mark.parametrize(
    ("past", "outcome"),
    [
        ("deleguee", Outcome.REDIRECT_PARENT),
        ("associee", Outcome.REDIRECT_PARENT),
        ("arrondissement", Outcome.REDIRECT_PARENT),
        ("ancienne", Outcome.CLOSED_SUCCESSOR),
    ],
)
def test_the_past_is_sent_to_the_commune_of_today(past: str, outcome: Outcome) -> None:
    verdict = judge(replace(COMMUNE, past=past, parent="Arboys en Bugey", population=None), RULE)
    assert verdict.outcome == outcome
    assert "Arboys en Bugey" in verdict.reason


def test_a_merged_body_is_sent_to_its_successor_whatever_its_nature() -> None:
    merged = replace(EPCI, nature="CA", successor="CA Nouvelle", closed_on=dt.date(2026, 1, 1))
    verdict = judge(merged, RULE)
    assert verdict.outcome == Outcome.CLOSED_SUCCESSOR
    assert "le 1er\u00a0janvier 2026" in verdict.reason


def test_who_may_ask_and_who_may_be_approved() -> None:
    assert MAY_BE_APPROVED == ELIGIBLE
    special = MAY_REQUEST - ELIGIBLE
    assert special == {Outcome.NEEDS_REVIEW, Outcome.POPULATION_UNKNOWN}
    assert not MAY_REQUEST & ABOVE


def test_the_rule_of_the_day_applies() -> None:
    later = replace(RULE, id="later", effective_from=dt.date(2027, 1, 1), commune_below=5000)
    ended = replace(RULE, effective_to=dt.date(2026, 12, 31))
    assert rule_on(dt.date(2026, 6, 1), (ended, later)).id == RULE.id
    assert rule_on(dt.date(2027, 1, 1), (ended, later)).id == "later"
    assert rule_on(dt.date(2020, 1, 1), (ended, later)).id == RULE.id
    assert judge(replace(COMMUNE, population=4000), later).outcome == Outcome.ELIGIBLE_ANCT


def test_rules_are_read_from_a_setting_and_a_wrong_one_is_named() -> None:
    written = {
        "id": "essai",
        "effective_from": "2027-01-01",
        "effective_to": None,
        "commune_below": 5000,
        "epci": {"natures": ["CC", "CA"], "below": 20000},
        "basis": {"label": "Règle d’essai"},
    }
    (rule,) = rules_from([written])
    assert (rule.commune_below, rule.epci_below, rule.epci_natures) == (5000, 20000, frozenset({"CC", "CA"}))
    assert rules_from([]) == RULES
    with pytest.raises(ValueError, match="ELIGIBILITY_RULES"):
        rules_from([{"id": "sans le reste"}])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Arboys", "d’Arboys"),
        ("Étretat", "d’Étretat"),
        ("Le Mans", "du Mans"),
        ("Les Ulis", "des Ulis"),
        ("La Buisse", "de La Buisse"),
        ("Paris", "de Paris"),
        ("Yvetot", "d’Yvetot"),
        ("", "de "),
    ],
)
def test_names_are_put_in_a_sentence_as_one_speaks(name: str, said: str) -> None:
    assert of(name) == said


def test_dates_are_written_the_french_way() -> None:
    assert day(dt.date(2026, 8, 16)) == "16\u00a0août 2026"


@given(
    st.builds(
        Subject,
        name=st.text(max_size=30),
        kind=st.sampled_from(["commune", "epci", "region"]),
        nature=st.sampled_from(["COM", "CC", "CA", "MET69", ""]),
        zone=st.sampled_from(["metro", "drom", "com", ""]),
        siren=st.none() | st.just("210100012"),
        population=st.none() | st.integers(0, 20_000),
        population_year=st.none() | st.just(2023),
        past=st.sampled_from(["", "deleguee", "ancienne", "arrondissement"]),
        parent=st.text(max_size=10),
        successor=st.sampled_from(["", "Autre"]),
        closed_on=st.none() | st.dates(),
    )
)
def test_any_subject_gets_one_outcome_and_a_sentence(subject: Subject) -> None:
    verdict = judge(subject, RULE)
    assert verdict.reason.endswith(".")
    assert not verdict.eligible or (subject.population is not None and 0 < subject.population < 15_000)
