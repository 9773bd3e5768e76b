"""What arrives by the network, byte by byte: read as dnspython reads it, or refused."""

import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.audits import wire

LABEL = st.from_regex(r"\A[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?\Z")
NAMES = st.lists(LABEL, min_size=1, max_size=6).map(".".join)
RECORDS = st.one_of(
    st.tuples(st.just("A"), st.ip_addresses(v=4).map(str)),
    st.tuples(st.just("AAAA"), st.ip_addresses(v=6).map(str)),
    st.tuples(st.just("MX"), st.builds("{} {}.".format, st.integers(0, 65535), NAMES)),
    st.tuples(st.just("NS"), NAMES.map("{}.".format)),
    st.tuples(st.just("CAA"), st.from_regex(r"\A[0-9] (issue|iodef) \"[a-z:@.]{0,30}\"\Z")),
    st.tuples(st.just("DS"), st.just("12345 13 2 " + "ab" * 32)),
)


def answer(name: str, kind: str, *values: str) -> tuple[bytes, bytes, bytes]:
    """Return a whole reply, the question section it answers, and the name in lower case on the wire."""
    query = dns.message.make_query(name + ".", kind)
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(name + ".", 300, "IN", kind, *values))
    plain = wire.name_to_wire(name)
    asked = wire.question(plain, wire.TYPES[kind], 0)
    return reply.to_wire(), asked, plain


@given(NAMES, RECORDS)
def test_a_record_reads_as_dnspython_reads_it(name: str, record: tuple[str, str]) -> None:
    kind, value = record
    reply = wire.decode(*answer(name, kind, value))
    expected = dns.rdata.from_text("IN", kind, value).to_text()
    assert [reply.text(each) for each in reply.answers] == [expected if kind == "CAA" else expected.lower()]


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=5))
def test_a_text_reads_as_its_strings_joined(strings: list[bytes]) -> None:
    data = b"".join(bytes((len(each),)) + each for each in strings)
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, data, 0, len(data))
    query = dns.message.make_query("essai.fr.", "TXT")
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_rdata("essai.fr.", 300, rdata))
    plain = wire.name_to_wire("essai.fr")
    read = wire.decode(reply.to_wire(), wire.question(plain, wire.TXT, 0), plain)
    assert read.text(read.answers[0]) == b"".join(strings).decode("utf-8", "backslashreplace")


@given(NAMES)
def test_a_name_goes_to_the_wire_and_back(name: str) -> None:
    written = wire.name_to_wire(name.upper() + ".")
    assert written == dns.name.from_text(name + ".").to_wire()
    assert wire.name_to_text(written) == name
    assert wire.read_name(written, 0) == (written, len(written))


@given(NAMES)
def test_the_case_of_a_question_changes_and_nothing_else(name: str) -> None:
    plain = wire.name_to_wire(name)
    asked = wire.question(plain, wire.TYPES["MX"], wire.letters(plain))
    assert asked.lower() == (plain + b"\x00\x0f\x00\x01").lower()
    assert len(asked) == len(plain) + 4


def test_the_case_of_a_question_is_drawn_at_random() -> None:
    plain = wire.name_to_wire("abcdefghijklmnop.example")
    assert len({wire.question(plain, 1, wire.letters(plain)) for _ in range(50)}) > 45


@given(st.binary(max_size=600))
def test_no_bytes_can_break_the_reading(noise: bytes) -> None:
    plain = wire.name_to_wire("essai.fr")
    asked = wire.question(plain, wire.TXT, 0)
    try:
        reply = wire.decode(b"\x00\x00\x80\x00" + noise[:8].ljust(8, b"\x01") + asked + noise[8:], asked, plain)
        for record in reply.answers:
            if record.kind in wire.TYPES.values():
                reply.text(record)
    except wire.Malformed:
        pass


@given(st.binary(max_size=120), st.integers(0, 120))
def test_no_bytes_can_break_the_reading_of_a_name(noise: bytes, at: int) -> None:
    try:
        name, _ = wire.read_name(noise, at)
    except wire.Malformed:
        return
    assert len(name) <= wire.NAME_MAX


@pytest.mark.parametrize("data", [b"", b"\x05abc", b"\x02ab\x09cd"])
def test_a_text_whose_lengths_lie_is_refused(data: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire._strings(data)  # noqa: SLF001 - the reader itself


def test_records_without_end_are_left_unread() -> None:
    values = [f"192.0.{at // 250}.{at % 250}" for at in range(300)]
    reply = wire.decode(*answer("essai.fr", "A", *values))
    assert len(reply.answers) == wire.RECORDS_MAX
