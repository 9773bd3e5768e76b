"""`manage.py eligibility` on the real territory: what it prints, and its exit status."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from suite import prepare
from suite.directory.models import ImportRun


def ask(*words: str) -> tuple[int, dict[str, Any]]:
    """Run `eligibility --json` and return its exit status and the one object it printed."""
    out = io.StringIO()
    status = 0
    try:
        call_command("eligibility", *words, "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as stop:
        status = int(stop.code or 0)
    (line,) = out.getvalue().splitlines()
    answer: dict[str, Any] = json.loads(line)
    return status, answer


@pytest.mark.django_db
@pytest.mark.usefixtures("france")
class TestEligibility:
    @pytest.mark.parametrize(
        ("asked", "outcome", "population", "threshold"),
        [
            ("38061", "above_self_hosting", 3500, 3500),
            ("44155", "above_self_hosting", 3500, 3500),
            ("68156", "above_self_hosting", 3502, 3500),
            ("43112", "eligible_anct", 3499, 3500),
            ("56058", "eligible_anct", 3499, 3500),
            ("37054", "eligible_anct", 3499, 3500),
            ("35288", "above_self_hosting", 47439, 3500),
            ("Saint-Malo", "above_self_hosting", 47439, 3500),
            ("56196", "eligible_anct", 647, 3500),
            ("Rochefort-en-Terre", "eligible_anct", 647, 3500),
            ("85113", "above_self_hosting", 4883, 3500),
            ("L’Île-d’Yeu", "above_self_hosting", 4883, 3500),
            ("55039", "needs_review", 0, None),
            ("98711", "needs_review", 970, None),
            ("98411", "needs_review", None, None),
            ("75056", "above_self_hosting", 2103778, 3500),
            ("217500016", "above_self_hosting", 2103778, 3500),
            ("01014", "above_self_hosting", 3555, 3500),
            ("994579670", "eligible_anct", 13336, 15000),
            ("992367730", "not_covered_nature", 155347, None),
            ("CC Brionnais Sud Bourgogne", "eligible_anct", 14950, 15000),
            ("Campagne-de-Caux", "above_self_hosting", 15021, 15000),
            ("200046977", "not_covered_nature", None, None),
        ],
    )
    def test_the_known_cases(self, asked: str, outcome: str, population: int | None, threshold: int | None) -> None:
        status, answer = ask(asked)
        assert (status, answer["outcome"], answer["threshold"]) == (0, outcome, threshold)
        if asked != "200046977":
            assert answer["population"] == population
        assert answer["reason"]
        assert answer["source"]

    def test_the_object_has_the_keys_promised(self) -> None:
        _, answer = ask("56196")
        assert list(answer) == [
            "code", "name", "outcome", "reason", "population", "population_year", "threshold", "source",
        ]  # fmt: skip
        assert (answer["code"], answer["name"], answer["population_year"]) == ("56196", "Rochefort-en-Terre", 2023)

    def test_the_two_vintages_are_told_apart(self) -> None:
        assert ask("56196")[1]["population_year"] == 2023
        assert ask("994579670")[1]["population_year"] == 2022
        assert ask("97611")[1]["population_year"] == 2017

    @pytest.mark.parametrize(
        ("asked", "outcome", "code", "parent"),
        [
            ("Arbignieu", "redirect_parent", "01015", "01015"),
            ("01340", "redirect_parent", "01340", "01015"),
            ("75116", "redirect_parent", "75116", "75056"),
            ("01126", "closed_successor", "01126", "01033"),
            ("241200658", "closed_successor", "241200658", "994579670"),
            ("245701362", "closed_successor", "245701362", "992367730"),
        ],
    )
    def test_the_past_names_who_answers_for_it(self, asked: str, outcome: str, code: str, parent: str) -> None:
        status, answer = ask(asked)
        assert (status, answer["outcome"], answer["code"]) == (0, outcome, code)
        assert answer["parent"]["code"] == parent

    @pytest.mark.parametrize("asked", ["99999", "217500017", "21750001606668", "Nulle-Part", "%", "12"])
    def test_what_designates_nothing_is_exit_4(self, asked: str) -> None:
        status, answer = ask(asked)
        assert (status, answer["outcome"], answer["population"]) == (4, "unknown_code", None)

    def test_homonyms_are_choices_and_exit_3(self) -> None:
        status, answer = ask("Saint-Sauveur")
        assert status == 3
        assert len(answer["choices"]) == 11
        assert {"code", "name", "department", "population"} <= set(answer["choices"][0])

    def test_a_siret_is_resolved_by_its_siren_and_the_establishment_is_said(self) -> None:
        status, answer = ask("21750001606669")
        assert (status, answer["code"]) == (0, "75056")
        assert "établissement secondaire" in answer["note"]

    def test_without_json_a_person_can_read_it(self) -> None:
        out = io.StringIO()
        call_command("eligibility", "La", "Buisse", stdout=out)
        assert out.getvalue().startswith("La Buisse (38061)\n")
        assert "exactement la limite" in out.getvalue()
        with pytest.raises(SystemExit):
            call_command("eligibility", "Saint-Sauveur", stdout=out)
        assert "05156  Saint-Sauveur (Hautes-Alpes)" in out.getvalue()
        with pytest.raises(SystemExit):
            call_command("eligibility", "99999", stdout=out)
        assert "Aucune collectivité" in out.getvalue()

    def test_nothing_is_prepared_twice(self) -> None:
        said = io.StringIO()
        prepare.prepare(said)
        assert said.getvalue() == ""
        assert ImportRun.objects.count() == 1
