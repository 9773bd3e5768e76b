"""Zones as master files: what a commune brings, and what it leaves with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.provisioning.backends import zone_files
from onboarding.provisioning.backends.local import LocalDns
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused
from tests.provisioning.contracts.dns import OURS, THEIRS

ZONE = "commune.fr"
BROUGHT = """
$ORIGIN commune.fr.
$TTL 7200
@ IN SOA ns1.ancien.example. admin.ancien.example. (2026010101 3600 600 1209600 300)
@ IN NS ns1.ancien.example.
@ IN MX 10 mail.ancien.example.
@ IN TXT "v=spf1 include:ancien.example" " -all"
WWW 300 IN A 192.0.2.1
www 300 IN A 192.0.2.2
blog IN CNAME www
sous IN NS ns1.ailleurs.example.
@ IN DNSKEY 257 3 13 kXv2l/izw6qCvvc6E8sqtetwZGxTMzGjewRR7c3G6f5cDN2IaYX3DHoiSxS0g0l7oAkXD8WFVkidATSVVXifQQ==
"""


def test_what_a_commune_brings_is_read_set_by_set() -> None:
    assert zone_files.read(ZONE, BROUGHT) == (
        Record("blog.commune.fr", "CNAME", ("www.commune.fr.",), 7200),
        Record("commune.fr", "MX", ("10 mail.ancien.example.",), 7200),
        Record("commune.fr", "TXT", ("v=spf1 include:ancien.example -all",), 7200),
        Record("sous.commune.fr", "NS", ("ns1.ailleurs.example.",), 7200),
        Record("www.commune.fr", "A", ("192.0.2.1", "192.0.2.2"), 300),
    )


@pytest.mark.parametrize(
    "text",
    [
        "n'importe quoi",
        "@ IN MX dix mail.example.",
        "$INCLUDE /etc/passwd",
        "www.autre.fr. 60 IN A 192.0.2.1",
        "@ 60 IN A 192.0.2.999",
        '@ 60 IN TXT "\\255\\254"',
        "@ 60 IN CNAME a.example.\n@ 60 IN MX 10 b.example.",
        "$GENERATE 1-2 a$ A 192.0.2.$\n" + "x" * 1_000_001,
        "\x00",
    ],
)
def test_what_cannot_be_read_whole_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(Refused) as refused:
        zone_files.read(ZONE, text)
    assert refused.value.code == "bad_zone_file"
    assert "root:" not in refused.value.note


def test_an_import_says_what_it_would_do_and_touches_nothing_of_others() -> None:
    dns = LocalDns()
    dns.ensure_zone(ZONE, owner=OURS)
    ours = Record(ZONE, "MX", ("10 mx.suite.example.",))
    theirs = Record(f"www.{ZONE}", "A", ("192.0.2.1", "192.0.2.2"), 60)
    extra = Record(f"extra.{ZONE}", "A", ("192.0.2.9",))
    dns.ensure_records(ZONE, [ours], owner=OURS)
    dns.ensure_records(ZONE, [theirs, extra], owner=THEIRS)
    before = dns.records(ZONE)
    found = zone_files.compare(before, zone_files.read(ZONE, BROUGHT))
    assert dns.records(ZONE) == before
    assert [(each.name, each.type) for each in found.added] == [
        (f"blog.{ZONE}", "CNAME"),
        (ZONE, "TXT"),
        (f"sous.{ZONE}", "NS"),
    ]
    assert found.same == (theirs,)
    assert found.absent == (extra,)
    ((present, brought),) = found.different
    assert (present, brought.values) == (ours, ("10 mail.ancien.example.",))
    dns.ensure_records(ZONE, found.added, owner=OURS)
    assert set(dns.records(ZONE)) == {*before, *found.added}


def test_the_line_to_mend_is_named() -> None:
    with pytest.raises(Refused) as refused:
        zone_files.read(ZONE, "@ 60 IN A 192.0.2.1\nwww 60 IN A 192.0.2.999\n")
    assert "vers la ligne 3" in refused.value.note  # dnspython has read to the end of the line


@given(st.lists(st.text(max_size=600), min_size=1, max_size=4, unique=True))
def test_any_text_comes_back_from_a_file_as_it_was(values: list[str]) -> None:
    values = [value.encode("utf-8", "replace").decode() for value in values]
    record = Record(f"a.{ZONE}", "TXT", tuple(sorted(set(values))))
    text = zone_files.written(ZONE, "ns1.x. hostmaster.x. 1 2 3 4 5", ["ns1.x."], [record])
    assert zone_files.read(ZONE, text) == (record,)
