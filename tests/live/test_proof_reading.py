"""A domain's own servers over real sockets: some disagree, some are silent, some answer to anything."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from django.utils import timezone
from pytest_django import Settings

from onboarding.audits.facts import Lookup
from onboarding.intake import availability, granting, proof_reading, proofs, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.proof_models import OwnershipProof
from onboarding.provisioning import backends
from suite.accounts.models import User
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, OperatorFactory
from tests.factories.intake import DossierFactory

DOMAIN = "rochefort-exemple.fr"
HOST = f"_suite-territoriale.{DOMAIN}"
VALUE = "st-verification=0123456789abcdef0123456789abcdef01234567"


class NameServer:
    """One server on loopback: `texts` are the TXT of the record, `behaviour` what else it does."""

    def __init__(self, texts: list[str] | None = None, behaviour: str = "") -> None:
        self.texts, self.behaviour, self.asked = texts or [], behaviour, list[str]()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, udp = self.request
                if response := owner.reply(data):
                    udp.sendto(response, self.client_address)

        self.server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reply(self, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        name, kind = query.question[0].name.to_text(omit_final_dot=True).lower(), query.question[0].rdtype
        self.asked.append(name)
        if self.behaviour == "silent":
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if self.behaviour == "lame":
            response.flags &= ~dns.flags.AA
        if self.behaviour == "refuses":
            response.set_rcode(dns.rcode.REFUSED)
            return response.to_wire()
        if kind.name == "TXT" and self.texts and (name == HOST or self.behaviour == "wildcard"):
            response.answer.append(
                dns.rrset.from_text_list(query.question[0].name, 60, "IN", "TXT", [f'"{text}"' for text in self.texts])
            )
        elif name != HOST:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


class Resolver:
    """The public DNS, as a recursive server would tell it: which servers the domain has."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    def lookup(self, name: str, kind: str) -> Any:
        if kind == "NS" and name == DOMAIN and self.hosts:
            return Lookup(name, kind, "answer", tuple(f"{host}." for host in self.hosts))
        if kind in {"A", "AAAA"} and name == "interne.example":
            return Lookup(name, kind, "answer", ("127.0.0.1",) if kind == "A" else ("::1",))
        return Lookup(name, kind, "none", detail="nodata")


@pytest.fixture
def world(settings: Settings) -> Iterator[Callable[..., Resolver]]:
    """Return a maker of domains: one name server for each argument."""
    made: list[NameServer] = []

    def build(*servers: NameServer) -> Resolver:
        made.extend(servers)
        hosts = [f"ns{index}.example" for index in range(len(servers))]
        settings.NAME_SERVER_ADDRESSES = {host: server.place for host, server in zip(hosts, servers, strict=True)}
        return Resolver(*hosts)

    yield build
    for server in made:
        server.server.shutdown()
        server.server.server_close()


def outcome(resolver: Resolver) -> str:
    return proof_reading.read(DOMAIN, HOST, VALUE, resolver)[0]


def seen() -> NameServer:
    return NameServer(["v=spf1 -all", VALUE])


class TestReading:
    def test_all_servers_must_show_the_record(self, world: Callable[..., Resolver]) -> None:
        assert outcome(world(seen(), seen(), seen())) == "seen"

    def test_one_that_lags_makes_a_disagreement(self, world: Callable[..., Resolver]) -> None:
        assert outcome(world(seen(), NameServer())) == "disagree"

    def test_none_or_another_text_is_missing(self, world: Callable[..., Resolver]) -> None:
        assert outcome(world(NameServer(), NameServer(["st-verification=autre"]))) == "missing"

    @pytest.mark.parametrize("behaviour", ["silent", "refuses", "lame"])
    def test_a_server_that_does_not_say_is_unknown_and_never_missing(
        self, world: Callable[..., Resolver], behaviour: str
    ) -> None:
        assert outcome(world(seen(), NameServer([VALUE], behaviour))) == "unknown"
        assert outcome(world(NameServer([], behaviour))) == "unknown"

    def test_a_domain_that_answers_to_anything_proves_nothing(self, world: Callable[..., Resolver]) -> None:
        server = NameServer([VALUE], "wildcard")
        assert outcome(world(server, seen())) == "wildcard"
        assert server.asked[0] != HOST  # the name nobody can have published comes first
        assert server.asked[0].endswith(DOMAIN)

    def test_a_wildcard_of_something_else_hides_nothing(self, world: Callable[..., Resolver]) -> None:
        assert outcome(world(NameServer(["v=spf1 -all"], "wildcard"))) == "missing"

    def test_a_domain_without_servers_is_unknown(self, world: Callable[..., Resolver]) -> None:
        assert outcome(Resolver()) == "unknown"

    def test_a_server_inside_our_own_network_is_not_asked(self, settings: Settings) -> None:
        settings.NAME_SERVER_ADDRESSES = {}
        result, readings = proof_reading.read(DOMAIN, HOST, VALUE, Resolver("interne.example"))
        assert (result, readings[0]["detail"]) == ("unknown", "no_address")

    def test_the_name_asked_first_is_never_the_same(self, world: Callable[..., Resolver]) -> None:
        server = seen()
        resolver = world(server)
        outcome(resolver)
        outcome(resolver)
        assert len({name for name in server.asked if name != HOST}) == 2


@pytest.fixture
def dossier(transactional_db: None) -> Dossier:
    """Return a commune's dossier about a domain it has, instructed by somebody of the national operator."""
    commune = CommuneFactory.create(name="Rochefort-en-Terre", department__code="56")
    anct = OperatorFactory.create(national_one=True, email="anct@anct.example")
    DeclaredContactFactory.create(organization=commune)
    made = DossierFactory.create(
        organization=commune, author=MembershipFactory.create(organization=commune).user, in_review=True,
        operator=anct, assignee=OperatorRoleFactory.create(operator=anct, role="instructor").user,
        family="existing", dns_manager="commune", mail_in_use=False,
    )  # fmt: skip
    made.names.update(typed=DOMAIN, fqdn=DOMAIN)
    return Dossier.objects.get(pk=made.pk)


@pytest.fixture
def agent(dossier: Dossier) -> User:
    return dossier.author


@pytest.fixture
def instructor(dossier: Dossier) -> User:
    assert dossier.assignee
    return dossier.assignee


@pytest.fixture
def publish(
    world: Callable[..., Resolver], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., NameServer]:
    """Return a way to give the domain one server that shows these texts."""

    def place(*texts: str, behaviour: str = "") -> NameServer:
        server = NameServer(list(texts), behaviour)
        resolver = world(server)
        settings.BACKENDS = {**settings.BACKENDS, "resolver": f"{__name__}.Current"}
        monkeypatch.setattr(Current, "now", resolver, raising=False)
        backends._built.cache_clear()  # noqa: SLF001 - built once per process otherwise
        return server

    return place


class Current:
    """The resolver that the settings name: the one of the moment."""

    now: Resolver

    def lookup(self, name: str, kind: str) -> Any:
        return self.now.lookup(name, kind)


def later(proof: OwnershipProof, by: timedelta) -> None:
    """Let time pass for one proof."""
    row = OwnershipProof.objects.get(pk=proof.pk)
    moved = {
        field: value - by
        for field in ("due_at", "first_seen_at", "last_seen_at", "checked_at", "expires_at")
        if (value := getattr(row, field))
    }
    OwnershipProof.objects.filter(pk=proof.pk).update(**moved)


@pytest.mark.django_db(transaction=True)
class TestProof:
    def test_a_domain_is_proved_by_two_readings_ten_minutes_apart(
        self, dossier: Dossier, agent: User, instructor: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        assert len(proof.token) * 4 >= 128
        publish(proof.value)
        proofs.run(proof.pk)
        proof.refresh_from_db()
        assert proof.first_seen_at
        assert proof.state == "pending"
        assert proof.due_at == proof.first_seen_at + timedelta(minutes=10)
        assert proof.inventory is not None
        later(proof, timedelta(minutes=9))
        OwnershipProof.objects.update(due_at=timezone.now())
        proofs.run(proof.pk)
        assert OwnershipProof.objects.get().state == "pending"
        later(proof, timedelta(minutes=2))
        proofs.run(proof.pk)
        assert OwnershipProof.objects.get().state == "proved"
        assert set(Event.objects.values_list("kind", flat=True)) == {"proof_started", "domain_proved"}
        assert Notice.objects.get(kind="domain_proved").recipient == dossier.requester_email
        # What was proved needs no word of the operator.
        done = workflow.approve(dossier, by=instructor, version=1)
        assert done.deployment
        assert done.deployment.domain == DOMAIN

    def test_two_readings_that_disagree_start_again(
        self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        publish(proof.value)
        proofs.run(proof.pk)
        later(proof, timedelta(minutes=11))
        publish()
        proofs.run(proof.pk)
        proof.refresh_from_db()
        assert (proof.outcome, proof.first_seen_at, proof.state) == ("missing", None, "pending")

    def test_a_silence_between_two_readings_breaks_nothing(
        self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        publish(proof.value)
        proofs.run(proof.pk)
        later(proof, timedelta(minutes=11))
        publish(behaviour="refuses")
        proofs.run(proof.pk)
        proof.refresh_from_db()
        assert proof.outcome == "unknown"
        assert proof.first_seen_at
        later(proof, timedelta(minutes=6))
        publish(proof.value)
        proofs.run(proof.pk)
        assert OwnershipProof.objects.get().state == "proved"

    def test_a_proof_whose_record_went_away_no_longer_lets_approve(
        self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        publish(proof.value)
        proofs.run(proof.pk)
        later(proof, timedelta(minutes=11))
        proofs.run(proof.pk)
        assert granting.problems(dossier, 0, "") == []
        later(proof, timedelta(hours=13))
        publish()
        proofs.run(proof.pk)
        assert [problem.field for problem in granting.problems(dossier, 0, "")] == ["check"]
        assert Event.objects.filter(kind="proof_lost").count() == 1
        assert availability.check_name(DOMAIN, "existing", dossier).code == "unknown"

    def test_a_proof_not_read_for_a_day_is_not_enough(
        self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        publish(proof.value)
        proofs.run(proof.pk)
        later(proof, timedelta(minutes=11))
        proofs.run(proof.pk)
        later(proof, timedelta(hours=25))
        assert [problem.field for problem in granting.problems(dossier, 0, "")] == ["check"]
        assert granting.refresh(dossier)
        proofs.run(proof.pk)
        assert granting.problems(dossier, 0, "") == []

    def test_two_workers_read_once(self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]) -> None:
        proof = proofs.start(dossier, by=agent)
        server = publish(proof.value)
        proofs.run(proof.pk)
        proofs.run(proof.pk)
        assert server.asked.count(HOST) == 1

    def test_a_token_dies_after_thirty_days(
        self, dossier: Dossier, agent: User, publish: Callable[..., NameServer]
    ) -> None:
        proof = proofs.start(dossier, by=agent)
        server = publish(proof.value)
        later(proof, timedelta(days=30))
        proofs.run(proof.pk)
        assert OwnershipProof.objects.get().state == "void"
        assert server.asked == []
        assert proofs.start(dossier, by=agent).token != proof.token
