"""A single failure turns nobody red; two that agree do, and what stood stands until then."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.audits.confirmation import SECOND_AFTER, STALE_AFTER, Settled, kept, kind, settle
from onboarding.audits.declared import Declaration
from onboarding.audits.rules.finding import Finding, State
from onboarding.audits.rules.report import report
from tests.audits.golden import rows

START = datetime(2026, 11, 24, 3, tzinfo=UTC)
TABLE = {row.domain: row for row in rows()}


def seen(state: State, reason: str = "ok", rule: str = "1.3") -> dict[str, Finding]:
    return {rule: Finding(rule, state, reason, "…")}


def follow(*steps: tuple[timedelta, Mapping[str, Finding]]) -> Settled:
    """Settle a series of attempts, each at its time after START."""
    settled = Settled({}, {}, ())
    for after, found in steps:
        settled = settle(found, START + after, verdicts=settled.verdicts, pending=settled.pending)
    return settled


NOW, SOON, LATER = timedelta(0), SECOND_AFTER - timedelta(seconds=1), SECOND_AFTER
TIMEOUT, RESET, GONE = seen("fail", "timeout"), seen("fail", "reset"), seen("fail", "dns_nxdomain")


def test_a_success_stands_at_once() -> None:
    assert follow((NOW, seen("pass"))).verdicts == {"1.3": ("pass", "ok")}


@pytest.mark.parametrize("found", [TIMEOUT, GONE, seen("fail", "status_404"), seen("fail", "certificate_expired")])
def test_a_first_failure_is_to_confirm_even_a_definite_one(found: dict[str, Finding]) -> None:
    settled = follow((NOW, found))
    assert settled.verdicts == {"1.3": ("unknown", "to_confirm")}
    assert settled.pending["1.3"]["reason"] == found["1.3"].reason
    assert settled.due


def test_a_second_attempt_too_soon_confirms_nothing() -> None:
    assert follow((NOW, TIMEOUT), (SOON, TIMEOUT)).verdicts == {"1.3": ("unknown", "to_confirm")}


def test_a_second_attempt_later_confirms() -> None:
    settled = follow((NOW, TIMEOUT), (LATER, TIMEOUT))
    assert settled.verdicts == {"1.3": ("fail", "timeout")}
    assert not settled.pending
    assert not settled.due


def test_attempts_too_soon_do_not_put_the_second_off() -> None:
    assert follow((NOW, TIMEOUT), (SOON, TIMEOUT), (LATER, TIMEOUT)).verdicts == {"1.3": ("fail", "timeout")}


def test_two_failures_of_one_class_agree() -> None:
    assert follow((NOW, TIMEOUT), (LATER, RESET)).verdicts == {"1.3": ("fail", "reset")}


def test_two_failures_of_two_classes_do_not() -> None:
    settled = follow((NOW, TIMEOUT), (LATER, GONE))
    assert settled.verdicts == {"1.3": ("unknown", "to_confirm")}
    assert settled.pending["1.3"]["since"] == (START + LATER).isoformat()
    assert follow((NOW, TIMEOUT), (LATER, GONE), (2 * LATER, GONE)).verdicts == {"1.3": ("fail", "dns_nxdomain")}


def test_a_success_in_between_forgets_the_failure() -> None:
    settled = follow((NOW, TIMEOUT), (LATER, seen("pass")), (2 * LATER, TIMEOUT))
    assert settled.verdicts == {"1.3": ("pass", "ok")}
    assert settled.pending["1.3"]["since"] == (START + 2 * LATER).isoformat()


def test_what_passed_stands_while_a_failure_waits() -> None:
    settled = follow((NOW, seen("pass")), (LATER, TIMEOUT))
    assert settled.verdicts == {"1.3": ("pass", "ok")}
    assert settled.turns == ()
    settled = follow((NOW, seen("pass")), (LATER, TIMEOUT), (2 * LATER, TIMEOUT))
    assert [(turn.criterion, turn.before, turn.after, turn.reason) for turn in settled.turns] == [
        ("1.3", "pass", "fail", "timeout")
    ]


def test_what_passed_goes_stale_in_seven_days() -> None:
    deaf = seen("unknown", "blocked")
    start = (NOW, seen("pass"))
    first = (timedelta(days=1), deaf)
    assert follow(start, first, (first[0] + STALE_AFTER - SOON, deaf)).verdicts == {"1.3": ("pass", "ok")}
    settled = follow(start, first, (first[0] + STALE_AFTER, deaf))
    assert settled.verdicts == {"1.3": ("unknown", "stale")}
    assert settled.turns[0].after == "unknown"
    assert not settled.due


def test_doubts_of_several_kinds_add_up_to_stale() -> None:
    doubts = [(timedelta(days=at), GONE if at % 2 else TIMEOUT) for at in range(1, 9)]
    assert follow((NOW, seen("pass")), *doubts).verdicts == {"1.3": ("unknown", "stale")}


def test_a_failure_stands_while_nobody_knows_and_mends_at_once() -> None:
    broken = [(NOW, TIMEOUT), (LATER, TIMEOUT)]
    assert follow(*broken, (2 * LATER, seen("unknown", "blocked"))).verdicts == {"1.3": ("fail", "timeout")}
    settled = follow(*broken, (2 * LATER, seen("pass")))
    assert settled.verdicts == {"1.3": ("pass", "ok")}
    assert settled.turns[0].before == "fail"


def test_an_unknown_never_confirms_a_failure() -> None:
    settled = follow((NOW, TIMEOUT), (LATER, seen("unknown", "blocked")), (2 * LATER, seen("unknown", "blocked")))
    assert settled.verdicts["1.3"][0] == "unknown"


def test_what_is_read_in_the_declaration_needs_no_second_attempt() -> None:
    assert follow((NOW, seen("fail", "site_missing", "1.1"))).verdicts == {"1.1": ("fail", "site_missing")}


def test_what_falls_with_a_declared_failure_falls_at_once() -> None:
    judged = report(TABLE["vaux-sur-lizon.fr"].case())
    settled = settle(judged.findings, START)
    assert settled.verdicts["1.3"] == ("fail", "depends_on:1.1")
    assert settled.groups["1.a"] == "fail"
    assert settled.groups["2.a"] == "pass"
    assert not settled.due


def test_what_falls_with_a_tested_failure_waits_and_falls_with_it() -> None:
    judged = report(TABLE["sans-mx.fr"].case())
    first = settle(judged.findings, START)
    assert {rule: first.verdicts[rule][0] for rule in ("2.4", "2.5", "2.8")} == dict.fromkeys(
        ("2.4", "2.5", "2.8"), "unknown"
    )
    assert first.groups["2.a"] == "unknown"
    second = settle(judged.findings, START + LATER, verdicts=first.verdicts, pending=first.pending)
    assert second.verdicts["2.5"] == ("fail", "depends_on:2.4")
    assert second.groups["2.a"] == "fail"


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_two_attempts_that_agree_give_the_report_itself(row: object) -> None:
    judged = report(row.case())  # type: ignore[attr-defined]  # a Row
    first = settle(judged.findings, START)
    assert "fail" not in {first.verdicts[rule][0] for rule in first.pending}
    second = settle(judged.findings, START + LATER, verdicts=first.verdicts, pending=first.pending)
    assert {rule: state for rule, (state, _) in second.verdicts.items()} == {
        rule: finding.state for rule, finding in judged.findings.items()
    }
    assert second.groups == judged.groups
    third = settle(judged.findings, START + 2 * LATER, verdicts=second.verdicts, pending=second.pending)
    assert third.turns == ()


@given(
    st.lists(st.tuples(st.sampled_from([TIMEOUT, GONE, seen("pass"), seen("unknown", "blocked")]), st.integers(1, 3)))
)
def test_whatever_happens_a_failure_stands_only_on_two_that_agree(steps: list[tuple[dict[str, Finding], int]]) -> None:
    settled, at, history = Settled({}, {}, ()), START, list[str]()
    for found, quarters in steps:
        at += quarters * SECOND_AFTER
        history.append(found["1.3"].reason if found["1.3"].state == "fail" else found["1.3"].state)
        settled = settle(found, at, verdicts=settled.verdicts, pending=settled.pending)
        state, reason = settled.verdicts["1.3"]
        if state == "fail":
            assert any((reason, reason) == pair for pair in pairwise(history))
        if history[-1] == "pass":
            assert (state, settled.pending) == ("pass", {})


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("status_500", "status_503", True),
        ("status_404", "status_500", False),
        ("timeout", "refused", True),
        ("no_mx", "null_mx", False),
        ("dns_nxdomain", "dns_nodata", False),
    ],
)
def test_reasons_have_classes(one: str, other: str, alike: bool) -> None:  # noqa: FBT001 - a parameter
    assert (kind(one) == kind(other)) is alike


def test_a_verdict_belongs_to_the_declaration_it_was_given_on() -> None:
    stood = dict.fromkeys(("1.3", "B7", "2.3", "2.4", "B1", "B10"), ("pass", "ok"))
    before = Declaration(email="mairie@a.fr", site="https://a.fr/")
    assert kept(before, before, stood) == stood
    assert set(kept(before, Declaration(email="mairie@a.fr", site="https://b.fr/"), stood)) == {"2.4", "B1"}
    assert set(kept(before, Declaration(email="mairie@b.fr", site="https://a.fr/"), stood)) == {"1.3", "B7"}
    borrowed = Declaration(email="mairie@a.fr", site="https://a.fr/", mail_owner="CC")
    assert "2.4" not in kept(before, borrowed, stood)
