"""The contract of the backends, written once. A later backend is one more value of each fixture's `params`."""

import dataclasses
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar
from onboarding.provisioning.backends.protocols import (
    Dns,
    Mail,
    Mailbox,
    Registrar,
)
from onboarding.provisioning.backends.world import changing, listing, log, opened
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.records import DMARC, mail_records, records_for
from tests.provisioning.contracts.dns import DnsContract
from tests.provisioning.contracts.registrar import RegistrarContract

OURS, THEIRS = "organization:ours", "organization:theirs"
DOMAIN = "essai.collectivite.fr"
GB = 1_000_000_000


@pytest.fixture(params=[LocalRegistrar])
def registrar(request: pytest.FixtureRequest) -> Registrar:
    made: Registrar = request.param()
    return made


@pytest.fixture(params=[LocalDns])
def dns(request: pytest.FixtureRequest) -> Dns:
    made: Dns = request.param()
    return made


@pytest.fixture(params=[LocalMail])
def mail(request: pytest.FixtureRequest) -> Mail:
    made: Mail = request.param()
    return made


class TestLocalRegistrar(RegistrarContract):
    """The contract, on the local registrar."""


class TestLocalDns(DnsContract):
    """The contract, on the local DNS."""


class TestMail:
    box = Mailbox(f"mairie@{DOMAIN}", "shared", "Mairie")

    def ready(self, mail: Mail) -> None:
        mail.ensure_domain(DOMAIN, owner=OURS)
        mail.ensure_dkim(DOMAIN)
        mail.ensure_quota(DOMAIN, 10 * GB)

    def test_has_a_domain_once_for_one_owner(self, mail: Mail) -> None:
        for _ in range(2):
            mail.ensure_domain(DOMAIN, owner=OURS)
        with pytest.raises(Refused) as refused:
            mail.ensure_domain(DOMAIN, owner=THEIRS)
        assert refused.value.code == "conflict"

    def test_keeps_its_signing_key(self, mail: Mail) -> None:
        self.ready(mail)
        first = mail.spec(DOMAIN)
        mail.ensure_dkim(DOMAIN)
        assert mail.spec(DOMAIN) == first
        assert first.dkim.startswith("v=DKIM1; ")
        assert first.mx

    def test_an_address_is_one_whatever_its_case(self, mail: Mail) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.box, owner=OURS)
        mail.ensure_mailbox(Mailbox(f"MAIRIE@{DOMAIN}", "shared", "Mairie"), owner=OURS)
        assert [box.address for box in mail.mailboxes(DOMAIN)] == [f"mairie@{DOMAIN}"]

    def test_existing_is_not_configured(self, mail: Mail) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.box, owner=OURS)
        for _ in range(2):
            mail.ensure_mailbox_settings(self.box)
        assert mail.mailboxes(DOMAIN) == (dataclasses.replace(self.box, used=0),)

    def test_an_address_that_serves_otherwise_is_a_conflict(self, mail: Mail) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.box, owner=OURS)
        with pytest.raises(Refused) as refused:
            mail.ensure_mailbox(Mailbox(self.box.address, "redirect", "", ("a@b.example",)), owner=OURS)
        assert refused.value.code == "conflict"

    def test_a_message_arrives_only_where_the_dns_sends_it(self, mail: Mail, dns: Dns) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.box, owner=OURS)
        with pytest.raises(Unavailable):
            mail.check_delivery(self.box.address)
        dns.ensure_zone(DOMAIN, owner=OURS)
        with pytest.raises(NotYet):
            mail.check_delivery(self.box.address)
        dns.ensure_records(DOMAIN, mail_records(DOMAIN, mail.spec(DOMAIN)), owner=OURS)
        mail.check_delivery(self.box.address)
        with pytest.raises(Refused) as refused:
            mail.check_delivery(f"personne@{DOMAIN}")
        assert refused.value.code == "unknown_mailbox"

    def test_refuses_a_domain_it_does_not_hold(self, mail: Mail) -> None:
        for call in (lambda: mail.spec("x.fr"), lambda: mail.ensure_dkim("x.fr"), lambda: mail.ensure_quota("x.fr", 1)):
            with pytest.raises(Refused) as refused:
                call()
            assert refused.value.code == "unknown_domain"


def _build(path: str, number: int) -> None:
    """Make everything, from a process of its own."""
    from django.test import override_settings  # noqa: PLC0415

    with override_settings(LOCAL_WORLD=path):
        LocalDns().ensure_zone(DOMAIN, owner=OURS)
        LocalMail().ensure_domain(DOMAIN, owner=OURS)
        LocalMail().ensure_dkim(DOMAIN)
        LocalMail().ensure_mailbox(Mailbox(f"boite{number}@{DOMAIN}", "shared", ""), owner=OURS)
        LocalDns().ensure_records(DOMAIN, records_for(DOMAIN, LocalMail().spec(DOMAIN)), owner=OURS)


class TestWorld:
    def test_processes_that_start_on_no_file_at_all_share_one(self, settings: Settings) -> None:
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=_build, args=(str(settings.LOCAL_WORLD), number)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)
        assert [worker.exitcode for worker in workers] == [0] * 4
        created = [(each["what"], each["key"]) for each in listing()["created"]]
        assert len(created) == len(set(created))
        assert len(listing()["mailboxes"]) == 4

    def test_a_file_of_an_earlier_version_is_brought_to_this_one(self, settings: Settings) -> None:
        with sqlite3.connect(settings.LOCAL_WORLD, isolation_level=None) as early:
            early.executescript(world._SCHEMA)  # noqa: SLF001 - the first version, as it was released
            early.execute("INSERT INTO names (domain, owner) VALUES ('ancien.fr', ?)", (OURS,))
        assert LocalRegistrar().expires_at("ancien.fr") > timezone.now()
        LocalDns().ensure_zone(DOMAIN, owner=OURS)
        LocalDns().ensure_signed(DOMAIN)

    def test_the_log_only_grows(self) -> None:
        with changing() as connection:
            log(connection, "zone", DOMAIN)
        for statement in ("DELETE FROM log", "UPDATE log SET key = 'x'"):
            with opened() as connection, pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)

    def test_a_change_that_fails_leaves_nothing(self) -> None:
        def fail() -> None:
            with changing() as connection:
                connection.execute("INSERT INTO zones (name, owner) VALUES ('a.fr', 'x')")
                raise Refused("no", "Non.")

        with pytest.raises(Refused):
            fail()
        assert listing()["zones"] == []

    def test_a_file_that_cannot_be_read_is_unavailable_not_a_crash(self, settings: Settings, tmp_path: Path) -> None:
        settings.LOCAL_WORLD = tmp_path / "broken.sqlite3"
        settings.LOCAL_WORLD.write_bytes(b"this is not a database" * 100)
        with pytest.raises(Unavailable):
            listing()


def test_the_records_of_a_zone_of_ours_refuse_whoever_usurps_it() -> None:
    LocalMail().ensure_domain(DOMAIN, owner=OURS)
    LocalMail().ensure_dkim(DOMAIN)
    spec = LocalMail().spec(DOMAIN)
    records = {(record.name, record.type): record.values for record in records_for(DOMAIN, spec)}
    assert records[DOMAIN, "TXT"] == (f"v=spf1 {spec.spf} -all",)
    assert records[f"_dmarc.{DOMAIN}", "TXT"] == (DMARC,)
    assert "p=reject" in DMARC
    assert (f"_dmarc.{DOMAIN}", "TXT") not in {(record.name, record.type) for record in mail_records(DOMAIN, spec)}
