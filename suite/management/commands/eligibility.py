"""Answer one question from the command line: may this collectivité join, and why?"""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from suite.directory import eligibility, lookup
from suite.directory.lookup import Match
from suite.directory.snapshot import SnapshotError
from suite.prepare import prepare

AMBIGUOUS = 3
UNKNOWN = 4


class Command(BaseCommand):
    help = "Say whether a commune or an EPCI may join: by INSEE code, SIREN, SIRET or exact name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("collectivite", nargs="+", help="INSEE, SIREN, SIRET, or name")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *, collectivite: list[str], as_json: bool, **_: Any) -> None:
        try:
            prepare(self.stderr)  # type: ignore[arg-type] # Django's wrapper writes like a text file
        except SnapshotError as error:
            raise CommandError(str(error)) from error
        text = " ".join(collectivite)
        matches = lookup.find(text)
        if len(matches) > 1:
            self._ambiguous(text, matches, as_json=as_json)
        elif matches:
            self._answer(matches[0], as_json=as_json)
        else:
            self._unknown(text, as_json=as_json)

    def _answer(self, match: Match, *, as_json: bool) -> None:
        verdict = lookup.verdict_of_match(match)
        parent = match.organization if match.past else match.organization.successor
        if as_json:
            answer = _line(match.code, match.name, verdict)
            if parent is not None:
                answer["parent"] = {"code": parent.code, "name": parent.name}
            if match.note:
                answer["note"] = match.note
            self._print(answer)
            return
        self.stdout.write(f"{match.name} ({match.code})")
        self.stdout.write(verdict.reason)
        for line in (match.note, f"Source : {verdict.source}"):
            if line:
                self.stdout.write(line)

    def _ambiguous(self, text: str, matches: list[Match], *, as_json: bool) -> None:
        if as_json:
            self._print({"choices": [_choice(match) for match in matches]})
        else:
            self.stdout.write(f"« {text} » désigne {len(matches)} collectivités ; relancez avec le code de la vôtre :")
            for choice in map(_choice, matches):
                self.stdout.write(f"  {choice['code']}  {choice['name']} ({choice['department']})")
        sys.exit(AMBIGUOUS)

    def _unknown(self, text: str, *, as_json: bool) -> None:
        if as_json:
            self._print(_line(text, None, eligibility.UNKNOWN))
        else:
            self.stdout.write(eligibility.UNKNOWN.reason)
        sys.exit(UNKNOWN)

    def _print(self, value: object) -> None:
        self.stdout.write(json.dumps(value, ensure_ascii=False))


def _line(code: str, name: str | None, verdict: eligibility.Verdict) -> dict[str, object]:
    return {
        "code": code,
        "name": name,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "population": verdict.population,
        "population_year": verdict.population_year,
        "threshold": verdict.threshold,
        "source": verdict.source or None,
    }


def _choice(match: Match) -> dict[str, object]:
    organization = match.organization
    return {
        "code": match.code,
        "name": match.name,
        "kind": match.past.kind if match.past else organization.kind,
        "department": organization.department.name if organization.department else None,
        "population": None if match.past else organization.population,
    }
