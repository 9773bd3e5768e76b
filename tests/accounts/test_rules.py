from uuid import uuid4

import pytest

from suite.accounts.rules import Decision, Effect, Held, evaluate

HERE, ELSEWHERE = "21560196400012", "21230790400013"
COMMUNE = uuid4()


def effects(decisions: list[Decision]) -> list[Effect]:
    return [decision.effect for decision in decisions]


def test_the_siret_of_a_commune_gives_a_right() -> None:
    decisions = evaluate(HERE, COMMUNE, [])
    assert effects(decisions) == [Effect.GIVE]
    assert HERE in decisions[0].reason


def test_the_siret_of_nothing_gives_nothing() -> None:
    assert evaluate(HERE, None, []) == []


@pytest.mark.parametrize("state", ["pending", "active"])
def test_another_siret_suspends_what_the_first_gave(state: str) -> None:
    decisions = evaluate(ELSEWHERE, None, [Held(COMMUNE, "rule", state, HERE)])
    assert effects(decisions) == [Effect.SUSPEND]


@pytest.mark.parametrize("state", ["pending", "active"])
def test_the_same_siret_changes_nothing(state: str) -> None:
    assert evaluate(HERE, COMMUNE, [Held(COMMUNE, "rule", state, HERE)]) == []


def test_another_establishment_of_the_commune_changes_nothing() -> None:
    assert evaluate("21560196400020", COMMUNE, [Held(COMMUNE, "rule", "active", HERE)]) == []


def test_the_first_siret_resumes_what_it_gave() -> None:
    decisions = evaluate(HERE, COMMUNE, [Held(COMMUNE, "rule", "suspended", HERE, "active")])
    assert effects(decisions) == [Effect.RESUME]


def test_what_a_person_suspended_is_not_resumed() -> None:
    assert evaluate(HERE, COMMUNE, [Held(COMMUNE, "rule", "suspended", HERE)]) == []


@pytest.mark.parametrize("siret", [HERE, ELSEWHERE])
@pytest.mark.parametrize("state", ["active", "suspended", "pending", "ended"])
def test_what_a_person_gave_is_left_alone(siret: str, state: str) -> None:
    assert evaluate(siret, COMMUNE if siret == HERE else None, [Held(COMMUNE, "person", state, "")]) == []


def test_what_was_ended_is_not_given_again() -> None:
    assert evaluate(HERE, COMMUNE, [Held(COMMUNE, "rule", "ended", HERE)]) == []
