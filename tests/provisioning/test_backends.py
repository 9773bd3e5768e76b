"""The contract of the backends, written once. A later backend is one more value of each fixture's `params`."""

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
    Mailbox,
    Registrar,
)
from onboarding.provisioning.backends.world import changing, listing, log, opened
from onboarding.provisioning.errors import Refused, Unavailable
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


class TestLocalRegistrar(RegistrarContract):
    """The contract, on the local registrar."""


class TestLocalDns(DnsContract):
    """The contract, on the local DNS."""


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
            early.executescript(f"{world.SCHEMAS[0]}; PRAGMA user_version = 1")
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
