"""From a text to a collectivité and its verdict, with made-up rows."""

import datetime as dt

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from suite.directory.eligibility import Outcome
from suite.directory.lookup import covering, find, verdict_of, verdict_of_match
from suite.directory.models import Name
from tests.factories.directory import CommuneFactory, EpciFactory, NameFactory, OperatorFactory, siret

pytestmark = pytest.mark.django_db


def test_a_commune_is_found_by_its_numbers_and_its_name() -> None:
    commune = CommuneFactory.create(name="Saint-Essai")
    assert commune.siren is not None
    spaced = f"{commune.siren[:3]} {commune.siren[3:6]}\u00a0{commune.siren[6:]}"
    for text in (commune.code, commune.siren, spaced, siret(commune.siren), "saint essai", "St-Essai", " SAINT-ESSAI "):
        assert [match.organization for match in find(text)] == [commune], text


def test_a_siret_of_another_establishment_is_accepted_and_said_so() -> None:
    commune = CommuneFactory.create()
    assert find(siret(commune.siren or ""))[0].note == ""
    assert "établissement secondaire" in find(siret(commune.siren or "", 66))[0].note


@pytest.mark.parametrize(
    "text", ["", "   ", "-", "99999", "123456789", "123", "2A", "\x00", "x" * 300, "Nulle-Part", "🏛"]
)
def test_what_designates_nothing_gives_nothing(text: str) -> None:
    CommuneFactory.create()
    assert find(text) == []


def test_homonyms_are_all_given_by_departement() -> None:
    CommuneFactory.create(name="Double", department__code="38")
    CommuneFactory.create(name="Double", department__code="01")
    assert [match.organization.department_id for match in find("double")] == ["01", "38"]


def test_the_name_written_exactly_wins_over_those_that_fold_alike() -> None:
    CommuneFactory.create(name="La Vergne")
    other = CommuneFactory.create(name="Vergné")
    assert [match.organization for match in find("Vergné")] == [other]
    assert len(find("vergne")) == 2


def test_a_commune_of_today_hides_the_past_and_the_epci_of_the_same_name() -> None:
    commune = CommuneFactory.create(name="Essai")
    NameFactory.create(name="Essai")
    epci = EpciFactory.create(name="CC d'Essai")
    assert [match.organization for match in find("essai")] == [commune]
    assert [match.organization for match in find("cc d’essai")] == [epci]


def test_a_code_of_the_past_leads_to_the_commune_of_today() -> None:
    parent = CommuneFactory.create(name="Neuve")
    NameFactory.create(organization=parent, code="01990", name="Vieille")
    NameFactory.create(organization=parent, kind=Name.Kind.FORMER, code="01991", name="")
    (match,) = find("01990")
    assert (match.code, match.name, match.organization) == ("01990", "Vieille", parent)
    assert verdict_of_match(match).outcome == Outcome.REDIRECT_PARENT
    assert verdict_of_match(find("01991")[0]).outcome == Outcome.CLOSED_SUCCESSOR


def test_the_code_shared_with_a_deleguee_is_that_of_the_commune() -> None:
    parent = CommuneFactory.create()
    NameFactory.create(organization=parent, code=parent.code, name="Vieille")
    assert find(parent.code)[0].past is None
    assert find("vieille")[0].past is not None


def test_a_closed_organization_names_its_successor() -> None:
    closed = EpciFactory.create(closed=True)
    verdict = verdict_of_match(find(closed.code)[0])
    assert verdict.outcome == Outcome.CLOSED_SUCCESSOR
    assert closed.successor is not None
    assert closed.successor.name in verdict.reason


def test_every_situation_has_its_verdict() -> None:
    assert verdict_of(CommuneFactory.create()).outcome == Outcome.ELIGIBLE_ANCT
    assert verdict_of(CommuneFactory.create(above=True)).outcome == Outcome.ABOVE_SELF_HOSTING
    assert verdict_of(CommuneFactory.create(com=True)).outcome == Outcome.NEEDS_REVIEW
    assert verdict_of(CommuneFactory.create(unknown_population=True)).outcome == Outcome.POPULATION_UNKNOWN
    assert verdict_of(EpciFactory.create()).outcome == Outcome.ELIGIBLE_ANCT
    assert verdict_of(EpciFactory.create(agglomeration=True)).outcome == Outcome.NOT_COVERED_NATURE


def test_a_commune_is_judged_on_its_own_population_not_its_epcis() -> None:
    assert verdict_of(CommuneFactory.create(population=5000, in_epci=True)).outcome == Outcome.ABOVE_SELF_HOSTING


def test_operators_cover_by_any_departement_and_the_national_one_never_does() -> None:
    OperatorFactory.create(national_one=True, status="partenaire", departments=["01"])
    OperatorFactory.create(hidden=True)
    wide = OperatorFactory.create(departments=["01", "38", "73"])
    local = OperatorFactory.create(departments=["38"])
    far = OperatorFactory.create(departments=["56"])
    epci = EpciFactory.create(departments=["01", "38"])
    assert covering(epci) == [local, wide]
    assert covering(CommuneFactory.create()) == [wide]
    assert far not in covering(epci)
    assert verdict_of(epci).outcome == Outcome.ELIGIBLE_OPERATOR


def test_the_operator_one_belongs_to_comes_first() -> None:
    OperatorFactory.create(departments=["01"])
    mine = OperatorFactory.create(departments=["01", "38"], intent=True)
    commune = CommuneFactory.create()
    mine.organizations.add(commune)
    assert covering(commune)[0] == mine
    assert verdict_of(commune).outcome == Outcome.ELIGIBLE_OPERATOR_SOON


def test_settings_may_replace_the_rule_from_a_date(settings: Settings) -> None:
    commune = CommuneFactory.create(population=4000)
    settings.ELIGIBILITY_RULES = [
        {
            "id": "essai",
            "effective_from": "2025-01-01",
            "commune_below": 5000,
            "epci": {"natures": ["CC"], "below": 15000},
            "basis": {"label": "Règle d’essai"},
        }
    ]
    verdict = verdict_of(commune, on=dt.date(2026, 1, 1))
    assert (verdict.outcome, verdict.rule_id, verdict.threshold) == (Outcome.ELIGIBLE_ANCT, "essai", 5000)


def test_a_verdict_costs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    commune = CommuneFactory.create()
    OperatorFactory.create_batch(3)
    with django_assert_num_queries(1):
        verdict_of(commune)
