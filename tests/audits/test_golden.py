"""The golden table: each collectivité gets the verdicts it deserves, for the reason it deserves them."""

import json
from collections import defaultdict

import pytest

from onboarding.audits.declared import Declaration
from onboarding.audits.facts import Facts
from onboarding.audits.mail_facts import ServerFacts
from onboarding.audits.remedies import remedy
from onboarding.audits.rules.report import CRITERIA, GROUPS, Case, report
from onboarding.audits.web_facts import WebFacts
from tests.audits.golden import Row, rows

TABLE = rows()


@pytest.mark.parametrize("row", TABLE, ids=[row.domain for row in TABLE])
def test_a_collectivite_gets_the_verdicts_it_deserves(row: Row) -> None:
    judged = report(row.case())
    found = {rule: f"{finding.state} {finding.reason}" for rule, finding in judged.findings.items()}
    found |= dict(judged.groups)
    got = {rule: found[rule] if " " in wanted else found[rule].split()[0] for rule, wanted in row.expect.items()}
    assert got == row.expect, row.why


@pytest.mark.parametrize("row", TABLE, ids=[row.domain for row in TABLE])
def test_what_is_stored_replays_to_the_same_verdicts(row: Row) -> None:
    case = row.case()
    again = Case(
        Declaration(**json.loads(json.dumps(vars(case.declaration)))),
        Facts.from_json(json.loads(json.dumps(case.mail.as_json()))) if case.mail else None,
        WebFacts.from_json(json.loads(json.dumps(case.web.as_json()))) if case.web else None,
        ServerFacts.from_json(json.loads(json.dumps(case.servers.as_json()))) if case.servers else None,
    )
    assert again == case
    assert report(again) == report(case)


@pytest.mark.parametrize("row", TABLE, ids=[row.domain for row in TABLE])
def test_every_verdict_speaks_to_its_reader_and_every_failure_has_a_remedy(row: Row) -> None:
    for finding in report(row.case()).findings.values():
        assert finding.sentence.endswith("."), finding
        assert finding.sentence[0].isupper() or finding.sentence[0] == "«", finding
        if finding.state == "fail" and not finding.reason.startswith("depends_on:"):
            mending = remedy(finding, row.domain)
            assert mending is not None, finding
            assert "{" not in mending.record


def test_the_table_is_large_and_names_each_collectivite_once() -> None:
    assert len(TABLE) >= 150
    assert len({row.domain for row in TABLE}) == len(TABLE)
    assert all(row.why and row.expect for row in TABLE)


def test_the_table_holds_each_state_of_each_criterion_and_group() -> None:
    held: dict[str, set[str]] = defaultdict(set)
    for row in TABLE:
        for rule, wanted in row.expect.items():
            held[rule].add(wanted.split()[0])
    declared = {"1.1", "1.2", "1.8", "2.1", "2.2", "2.3"}
    for rule in (*CRITERIA, *GROUPS):
        assert {"pass", "fail"} <= held[rule], rule
        assert rule in declared or "unknown" in held[rule], rule
    assert "not_required" in held["2.3"]
    for rule in (f"B{at}" for at in range(1, 12) if at != 2):  # B2 needs a selector: test_rules.py
        assert len(held[rule]) >= 2, rule
