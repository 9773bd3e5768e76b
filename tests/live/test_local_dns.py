"""The DNS of the local world over real sockets, asked by the product's own resolver and by strangers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from pytest_django import Settings

from onboarding.audits.resolver import Resolver, gather
from onboarding.audits.rules import inspect
from onboarding.provisioning.backends.local import NAME_SERVERS, PRODUCT, LocalDns, LocalMail
from onboarding.provisioning.backends.protocols import Delegation, Record
from onboarding.provisioning.records import expected_of, records_for
from tests.live import chain

ROOT = Path(__file__).resolve().parents[2]
# The product's settings, not the tests'; it needs no database.
ENVIRONMENT = {**os.environ, "DJANGO_SETTINGS_MODULE": "suite.settings", "DATABASE_URL": "postgres:///unused"}
PARENT = "collectivite.fr"
DOMAIN = f"essai.{PARENT}"


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "local_dns", "--port", "0"],
        cwd=ROOT,
        env={**ENVIRONMENT, "LOCAL_WORLD": str(settings.LOCAL_WORLD)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    settings.DNS_RESOLVER = f"127.0.0.1:{port}"
    yield process, port
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.fixture
def port(server: tuple[subprocess.Popen[str], int]) -> int:
    """Fill the world, and return where it is served."""
    zones = LocalDns()
    zones.ensure_zone(DOMAIN, owner="us")
    zones.ensure_delegated("collectivite.fr", DOMAIN, zones.delegation(DOMAIN), owner="us")
    LocalMail().ensure_domain(DOMAIN, owner="us")
    LocalMail().ensure_dkim(DOMAIN)
    zones.ensure_records(DOMAIN, records_for(DOMAIN, LocalMail().spec(DOMAIN)), owner="us")
    zones.ensure_records(
        DOMAIN,
        [
            Record(f"www.{DOMAIN}", "CNAME", (f"site.{DOMAIN}.",)),
            Record(f"site.{DOMAIN}", "A", ("192.0.2.7",)),
            Record(f"boucle.{DOMAIN}", "CNAME", (f"boucle.{DOMAIN}.",)),
            Record(f"grand.{DOMAIN}", "TXT", tuple(f"{number} " + "é" * 200 for number in range(20))),
            Record(f"a.b.{DOMAIN}", "A", ("192.0.2.8",)),
            Record(f"ailleurs.{DOMAIN}", "NS", ("ns.ailleurs.example.",)),
        ],
        owner="us",
    )
    return server[1]


def ask(port: int, name: str, kind: str, payload: int = 1232) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=payload)
    return dns.query.udp(query, "127.0.0.1", port=port, timeout=5)


class TestAnswers:
    def test_what_we_publish_passes_our_own_audit(self, port: int) -> None:
        spec = LocalMail().spec(DOMAIN)
        findings = inspect(gather(DOMAIN, selectors=[spec.dkim_selector]), expected_of(spec))
        assert {finding.id: finding.state for finding in findings} == dict.fromkeys(
            ["2.4", "2.5", "2.6", "2.7", "B1", "B2"], "pass"
        )

    def test_it_is_authoritative_and_says_what_zone_it_is(self, port: int) -> None:
        response = ask(port, DOMAIN.upper(), "NS")
        assert response.flags & dns.flags.AA
        assert sorted(str(rdata) for rdata in response.answer[0]) == sorted(NAME_SERVERS)
        assert ask(port, DOMAIN, "SOA").answer

    def test_a_name_that_is_not_there_is_nxdomain_with_the_soa(self, port: int) -> None:
        response = ask(port, f"rien.{PARENT}", "A")
        assert response.rcode() == dns.rcode.NXDOMAIN
        assert response.authority[0].rdtype == dns.rdatatype.SOA
        assert Resolver().lookup(f"rien.{PARENT}", "A").detail == "nxdomain"

    def test_the_star_speaks_for_names_that_are_not_there_and_for_no_other(self, port: int) -> None:
        for name in (f"rien.{DOMAIN}", f"x.rien.{DOMAIN}"):
            assert Resolver().lookup(name, "TXT").values == ("v=spf1 -all",)
            assert ask(port, name, "MX").answer[0][0].to_text() == "0 ."
            assert Resolver().lookup(name, "A").detail == "nodata"
        for name in (f"site.{DOMAIN}", f"b.{DOMAIN}", f"x.site.{DOMAIN}"):
            assert Resolver().lookup(name, "TXT").detail in {"nodata", "nxdomain"}
        assert not ask(port, f"x.ailleurs.{DOMAIN}", "TXT").answer

    @pytest.mark.parametrize("name", [f"site.{DOMAIN}", f"b.{DOMAIN}"])
    def test_a_name_without_that_type_is_nodata_with_the_soa(self, port: int, name: str) -> None:
        response = ask(port, name, "AAAA")
        assert response.rcode() == dns.rcode.NOERROR
        assert not response.answer
        assert response.authority[0].rdtype == dns.rdatatype.SOA
        assert Resolver().lookup(name, "AAAA").detail == "nodata"

    def test_aliases_are_followed_and_loops_end(self, port: int) -> None:
        assert [rrset.rdtype for rrset in ask(port, f"www.{DOMAIN}", "A").answer] == [
            dns.rdatatype.CNAME,
            dns.rdatatype.A,
        ]
        assert Resolver().lookup(f"www.{DOMAIN}", "A").values == ("192.0.2.7",)
        assert Resolver().lookup(f"boucle.{DOMAIN}", "A").outcome == "unknown"

    def test_below_a_delegation_it_says_whom_to_ask_and_that_is_no_absence(self, port: int) -> None:
        response = ask(port, f"x.ailleurs.{DOMAIN}", "A")
        assert not response.flags & dns.flags.AA
        assert response.authority[0].rdtype == dns.rdatatype.NS
        assert Resolver().lookup(f"x.ailleurs.{DOMAIN}", "A").outcome == "unknown"

    def test_what_our_records_name_is_found_so_that_our_own_domain_passes_every_rule(self, port: int) -> None:
        assert Resolver().lookup("mx1.mail.suite.example", "A").outcome == "answer"
        required = {"2.4", "2.5", "2.6", "2.7", "B1", "B2"}
        findings = inspect(gather(DOMAIN, selectors=[LocalMail().spec(DOMAIN).dkim_selector]))
        assert {one.id: one.state for one in findings if one.id in required} == dict.fromkeys(required, "pass")

    def test_a_zone_of_somebody_else_is_refused_which_is_unknown(self, port: int) -> None:
        assert ask(port, "google.com", "MX").rcode() == dns.rcode.REFUSED
        assert Resolver().lookup("google.com", "MX").outcome == "unknown"

    def test_what_does_not_fit_is_cut_then_given_whole_over_tcp(self, port: int) -> None:
        assert ask(port, f"grand.{DOMAIN}", "TXT").flags & dns.flags.TC
        assert len(Resolver().lookup(f"grand.{DOMAIN}", "TXT").values) == 20
        small = dns.message.make_query(DOMAIN, "TXT", use_edns=False)
        assert len(dns.query.udp(small, "127.0.0.1", port=port, timeout=5).to_wire()) <= 512

    def test_a_long_text_comes_back_whole(self, port: int) -> None:
        spec = LocalMail().spec(DOMAIN)
        assert Resolver().lookup(f"{spec.dkim_selector}._domainkey.{DOMAIN}", "TXT").values == (spec.dkim,)

    def test_nothing_is_transferred(self, port: int) -> None:
        query = dns.message.make_query(DOMAIN, "AXFR")
        assert dns.query.tcp(query, "127.0.0.1", port=port, timeout=5).rcode() == dns.rcode.REFUSED

    def test_the_parent_answers_for_the_ds_of_its_child(self, port: int) -> None:
        response = ask(port, DOMAIN, "DS")
        assert response.authority[0].name.to_text() == "collectivite.fr."
        assert LocalDns().records("collectivite.fr")[0].name == DOMAIN
        assert PRODUCT == "suite"


class TestSigned:
    """Each answer holds from the DS that the registry would have, down to a commune's own zone."""

    def test_every_kind_of_answer_validates(self, port: int) -> None:
        zones, said = LocalDns(), chain.asking(port)
        for zone in (PARENT, DOMAIN):
            zones.ensure_signed(zone)
        zones.ensure_delegated(PARENT, DOMAIN, zones.delegation(DOMAIN), owner="us")
        parent = chain.keys_of(said, PARENT, zones.delegation(PARENT).ds)
        signers = chain.answered(said, DOMAIN, "DS", parent)
        keys = chain.keys_of(said, DOMAIN, tuple(str(each) for each in signers))
        for name, kind in [(DOMAIN, "MX"), (DOMAIN, "SOA"), (f"rien.{DOMAIN}", "TXT"), (f"grand.{DOMAIN}", "TXT")]:
            assert chain.answered(said, name, kind, keys)
        for name, kind in [(DOMAIN, "AAAA"), (f"site.{DOMAIN}", "MX"), (f"b.{DOMAIN}", "A")]:
            assert chain.denied(said, name, kind, keys).rcode() == dns.rcode.NOERROR
        for name in (f"rien.{PARENT}", f"a.b.c.{PARENT}"):
            assert chain.denied(said, name, "A", parent).rcode() == dns.rcode.NXDOMAIN
        followed = said(f"www.{DOMAIN}", "A").answer
        for name, kind in [(f"www.{DOMAIN}", "CNAME"), (f"site.{DOMAIN}", "A")]:
            dns.dnssec.validate(*chain.sets(followed, dns.name.from_text(name), kind), keys)

    def test_a_delegation_without_ds_is_proved_to_have_none(self, port: int) -> None:
        zones, said = LocalDns(), chain.asking(port)
        zones.ensure_signed(PARENT)
        zones.ensure_delegated(PARENT, f"autre.{PARENT}", Delegation(("ns.autre.example.",)), owner="us")
        parent = chain.keys_of(said, PARENT, zones.delegation(PARENT).ds)
        referred = said(f"www.autre.{PARENT}", "A")
        cut = dns.name.from_text(f"autre.{PARENT}")
        proof, signatures = chain.sets(referred.authority, cut, "NSEC")
        dns.dnssec.validate(proof, signatures, parent)
        assert " DS" not in proof[0].to_text()

    def test_who_does_not_ask_for_signatures_gets_none(self, port: int) -> None:
        LocalDns().ensure_signed(DOMAIN)
        kinds = {each.rdtype for each in ask(port, DOMAIN, "MX").answer}
        assert kinds == {dns.rdatatype.MX}


class TestSurvives:
    def test_every_malformed_packet(self, port: int) -> None:
        good = dns.message.make_query(DOMAIN, "MX").to_wire()
        packets = [b"", b"\0", good[:11], good[:-3], good + b"\xff" * 40, b"\xff" * 600, os.urandom(300)]
        packets += [good[:2] + bytes([0x28]) + good[3:], good[:4] + b"\0\0" + good[6:], good[:5] + b"\x02" + good[6:]]
        packets += [good[:12] + b"\xc0\x0c" + good[-4:], good[:2] + b"\x81" + good[3:]]
        packets += [
            good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :] for position in range(len(good))
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for packet in packets:
                udp.sendto(packet, ("127.0.0.1", port))
        for packet in packets:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as tcp:
                tcp.sendall(len(packet).to_bytes(2) + packet)
        assert ask(port, DOMAIN, "MX").answer

    def test_slow_tcp_clients(self, port: int) -> None:
        with contextlib.ExitStack() as idle:
            for _ in range(80):
                idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            assert ask(port, DOMAIN, "MX").answer
        time.sleep(0.2)
        query = dns.message.make_query(DOMAIN, "MX")
        assert dns.query.tcp(query, "127.0.0.1", port=port, timeout=5).answer

    def test_a_world_that_appears_later(self, server: tuple[subprocess.Popen[str], int]) -> None:
        assert ask(server[1], DOMAIN, "MX").rcode() == dns.rcode.REFUSED

    def test_sigterm_stops_it_at_once_even_with_a_client(self, server: tuple[subprocess.Popen[str], int]) -> None:
        process, port = server
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=3) == 0


def test_a_port_already_taken_is_said(server: tuple[subprocess.Popen[str], int]) -> None:
    second = subprocess.run(
        [sys.executable, "manage.py", "local_dns", "--port", str(server[1])],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode == 1
    assert str(server[1]) in second.stderr


def test_a_server_that_is_not_there_is_unknown(settings: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings.DNS_RESOLVER = f"127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        found = Resolver().lookup(DOMAIN, "MX")
    assert (found.outcome, found.detail) == ("unknown", "timeout")
    assert time.monotonic() - started < 10
