"""Three-valued logic, held for any facts: what nobody knows never becomes a failure, nor a success."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onboarding.audits.declared import Declaration
from onboarding.audits.rules.finding import Finding, State
from onboarding.audits.rules.report import CRITERIA, DEPENDS, GROUPS, Case, _group, report
from tests.audits.golden import RECORDS, Row, rows

TABLE = rows()
STATES: tuple[State, ...] = ("pass", "fail", "unknown", "not_required")
CHAINS = ("declared", "http", "https", "other_http", "other_https", "unverified")
FOUND = st.fixed_dictionaries(
    {rule: st.sampled_from(STATES).map(lambda state: Finding("x", state, "r", "s")) for rule in CRITERIA}
)


def changed(row: Row, zone: dict[str, str], web: dict[str, str], located: bool) -> Row:  # noqa: FBT001 - drawn by hypothesis
    """Return a row of which less is known."""
    known: dict[str, Any] = {"zone": {**row.zone, **zone}}
    if isinstance(row.web, dict):
        known["web"] = {**row.web, **web}
    if not located:
        known["located_on"] = ""
    return replace(row, **known)


SILENCES = st.sampled_from(["timeout", "refused", "network", "malformed"])
DEAF = st.sampled_from(["none", "https://$/ dns_unknown", "http://$/ 403", "https://$/ 429"])


@settings(max_examples=1_000)
@given(
    st.sampled_from(TABLE),
    st.dictionaries(
        st.sampled_from([*RECORDS, "DS", "_mta-sts TXT", "_smtp._tls TXT", "a TXT", "b TXT"]), SILENCES, max_size=4
    ),
    st.dictionaries(st.sampled_from(CHAINS), DEAF, max_size=3).filter(lambda web: web.get("declared") != "none"),
    st.booleans(),
)
def test_to_know_less_never_makes_a_failure(row: Row, zone: dict[str, str], web: dict[str, str], located: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    before, after = report(row.case()), report(changed(row, zone, web, located).case())
    for rule, finding in after.findings.items():
        was = before.findings.get(rule)
        if finding.state == "fail":
            assert was is not None
            assert was.state == "fail", (rule, finding, was)
    for group, state in after.groups.items():
        assert state != "fail" or before.groups[group] == "fail"


@given(st.sampled_from(TABLE))
def test_what_stands_on_nothing_firm_does_not_pass(row: Row) -> None:
    found = report(row.case()).findings
    for rule, below in DEPENDS.items():
        if found[rule].state == "pass":
            assert {found[each].state for each in below} == {"pass"}
        if any(found[each].state == "fail" for each in below):
            assert found[rule].state in {"fail", "not_required"}


@given(FOUND, st.sampled_from(list(GROUPS)))
def test_a_group_fails_by_one_failure_and_passes_by_all(found: dict[str, Finding], group: str) -> None:
    members = [found[rule].state for rule in GROUPS[group]]
    state = _group(GROUPS[group], found)
    assert (state == "fail") == ("fail" in members)
    assert (state == "pass") == all(each in {"pass", "not_required"} for each in members)
    assert state in {"pass", "fail", "unknown"}


@given(FOUND, st.sampled_from(CRITERIA), st.sampled_from(list(GROUPS)))
def test_to_forget_a_criterion_never_helps_a_group_nor_fails_it(
    found: dict[str, Finding], forgotten: str, group: str
) -> None:
    before = _group(GROUPS[group], found)
    after = _group(GROUPS[group], {**found, forgotten: replace(found[forgotten], state="unknown")})
    assert not (before != "pass" and after == "pass")
    assert not (before != "fail" and after == "fail")


@given(FOUND)
def test_the_larger_groups_hold_the_smaller(found: dict[str, Finding]) -> None:
    states = {group: _group(members, found) for group, members in GROUPS.items()}
    for larger, smaller in (("1.aa", "1.a"), ("2.aa", "2.a"), ("aa", "a"), ("a", "1.a"), ("a", "2.a")):
        if states[larger] == "pass":
            assert states[smaller] == "pass"
        if states[smaller] == "fail":
            assert states[larger] == "fail"


@given(st.sampled_from(TABLE))
def test_points_count_the_halves_that_pass(row: Row) -> None:
    judged = report(row.case())
    assert judged.points == [judged.groups["1.a"], judged.groups["2.a"]].count("pass")


def test_nothing_declared_fails_and_nothing_is_asked() -> None:
    judged = report(Case(Declaration()))
    assert judged.points == 0
    assert {judged.findings[rule].reason for rule in ("1.1", "2.1")} == {"site_missing", "email_missing"}
    assert set(judged.groups.values()) == {"fail"}
    assert set(judged.findings) == set(CRITERIA)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_declaration_can_break_the_judgement(email: str, site: str) -> None:
    judged = report(Case(Declaration(email=email, site=site)))
    assert set(judged.findings) == set(CRITERIA)
    assert "pass" not in judged.groups.values()  # nothing was looked at
