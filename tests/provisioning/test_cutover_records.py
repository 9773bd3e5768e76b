"""What changes in the DNS of a domain in use: senders stay, policies stay, one record of each."""

import pytest

from onboarding.provisioning import cutover_records
from onboarding.provisioning.backends.protocols import MailSpec

SPEC = MailSpec(
    mx=((10, "MX1.suite.example."), (20, "mx2.suite.example.")),
    spf="include:_spf.suite.example",
    dkim_selector="suite",
    dkim="v=DKIM1; k=rsa; p=AAAA",
    aliases=(("autoconfig", "autoconfig.suite.example."),),
)


def before(**facts: object) -> dict[str, object]:
    return {"mx": ["10 mx.ancien.example."], "txt": [], "dmarc": [], "aliases": {}, **facts}


@pytest.mark.parametrize(
    ("present", "merged"),
    [
        ([], "v=spf1 include:_spf.suite.example ~all"),
        (["v=spf1 include:ancien.example -all"], "v=spf1 include:_spf.suite.example include:ancien.example -all"),
        (["v=spf1 -all"], "v=spf1 include:_spf.suite.example -all"),
        (
            ["v=spf1 mx a:site.fr ip4:192.0.2.1 ?all"],
            "v=spf1 include:_spf.suite.example mx a:site.fr ip4:192.0.2.1 ?all",
        ),
        (["v=spf1 redirect=ancien.example"], "v=spf1 include:_spf.suite.example redirect=ancien.example"),
        (["v=spf1 mx include:_SPF.suite.example ~all"], "v=spf1 mx include:_SPF.suite.example ~all"),
        (["v=spf1 mx -all", "v=spf1 a mx ~all"], "v=spf1 include:_spf.suite.example mx a ~all"),
        (["v=spf1 all"], "v=spf1 include:_spf.suite.example all"),
    ],
)
def test_every_sender_stays_and_the_end_is_the_commune_s(present: list[str], merged: str) -> None:
    assert cutover_records.merged_spf(present, SPEC.spf) == merged


def test_merging_twice_changes_nothing_more() -> None:
    once = cutover_records.merged_spf(["v=spf1 mx -all", "v=spf1 a ~all"], SPEC.spf)
    assert cutover_records.merged_spf([once], SPEC.spf) == once


def test_a_present_dmarc_policy_is_kept_as_it_is() -> None:
    policy = "v=DMARC1; p=quarantine; rua=mailto:dmarc@exemple.fr"
    ahead, _ = cutover_records.changes("exemple.fr", SPEC, before(dmarc=[policy]))
    dmarc = ahead[-1]
    assert (dmarc.kind, dmarc.before, dmarc.after) == ("keep", (policy,), (policy,))


def test_without_a_policy_one_begins_by_observing() -> None:
    ahead, _ = cutover_records.changes("exemple.fr", SPEC, before())
    assert (ahead[-1].kind, ahead[-1].after) == ("add", ("v=DMARC1; p=none",))


def test_nothing_that_moves_mail_is_asked_before_the_day() -> None:
    ahead, that_day = cutover_records.changes("exemple.fr", SPEC, before())
    assert {change.type for change in ahead} == {"TXT"}
    assert [(change.type, change.kind) for change in that_day] == [("MX", "replace"), ("CNAME", "add")]
    assert that_day[0].after == ("10 mx1.suite.example.", "20 mx2.suite.example.")


def test_an_spf_record_that_already_asks_ten_look_ups_is_warned_of() -> None:
    ahead, _ = cutover_records.changes("exemple.fr", SPEC, before(txt=["v=spf1 mx ~all"], lookups=10))
    assert "dix recherches" in ahead[1].warning


def test_our_servers_are_known_whatever_their_case_and_order_and_alone() -> None:
    ours = ["20 MX2.suite.example.", "10 mx1.suite.example."]
    assert cutover_records.is_ours(ours, SPEC)
    assert not cutover_records.is_ours([*ours, "30 mx.ancien.example."], SPEC)
    assert not cutover_records.is_ours([], SPEC)
