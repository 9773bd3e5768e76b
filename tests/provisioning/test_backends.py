"""The contract of the backends, written once. A later backend is one more value of each fixture's `params`."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar, LocalStorage
from onboarding.provisioning.backends.protocols import (
    Delegation,
    Dns,
    Mailbox,
    Record,
    Registrar,
    Secret,
    Storage,
)
from onboarding.provisioning.backends.world import changing, listing, log, opened
from onboarding.provisioning.errors import Refused, Unavailable
from onboarding.provisioning.records import DMARC, mail_records, records_for

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


@pytest.fixture(params=[LocalStorage])
def storage(request: pytest.FixtureRequest) -> Storage:
    made: Storage = request.param()
    return made


class TestRegistrar:
    def test_holds_a_name_once_for_one_owner(self, registrar: Registrar) -> None:
        for _ in range(2):
            registrar.ensure_registered("nouveau.fr", owner=OURS)
        assert registrar.delegation("nouveau.fr") is None
        with pytest.raises(Refused) as refused:
            registrar.ensure_registered("nouveau.fr", owner=THEIRS)
        assert refused.value.code == "taken"

    def test_points_the_name_at_our_servers(self, registrar: Registrar) -> None:
        delegation = Delegation(("ns1.suite.example.", "ns2.suite.example."), ("1 13 2 AB",))
        registrar.ensure_registered("nouveau.fr", owner=OURS)
        for _ in range(2):
            registrar.ensure_delegated("nouveau.fr", delegation)
        assert registrar.delegation("nouveau.fr") == delegation

    def test_knows_nothing_of_a_name_it_does_not_hold(self, registrar: Registrar) -> None:
        with pytest.raises(Refused) as refused:
            registrar.ensure_delegated("inconnu.fr", Delegation(("ns1.suite.example.",)))
        assert refused.value.code == "unknown_name"


class TestDns:
    def test_has_a_zone_once_for_one_owner(self, dns: Dns) -> None:
        for _ in range(2):
            dns.ensure_zone(DOMAIN, owner=OURS)
        assert dns.delegation(DOMAIN).name_servers
        assert dns.records(DOMAIN) == ()
        with pytest.raises(Refused) as refused:
            dns.ensure_zone(DOMAIN, owner=THEIRS)
        assert refused.value.code == "conflict"

    def test_publishes_corrects_and_leaves_the_rest(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        kept = Record(f"www.{DOMAIN}", "CNAME", ("site.example.",))
        dns.ensure_records(DOMAIN, [kept, Record(DOMAIN, "MX", ("10 old.example.",))], owner=OURS)
        right = Record(DOMAIN, "MX", ("10 new.example.", "20 spare.example."), ttl=300)
        for _ in range(2):
            dns.ensure_records(DOMAIN, [right], owner=OURS)
        assert set(dns.records(DOMAIN)) == {kept, right}

    def test_never_touches_a_record_of_somebody_else(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        theirs = Record(DOMAIN, "TXT", ("v=spf1 -all",))
        dns.ensure_records(DOMAIN, [theirs], owner=THEIRS)
        with pytest.raises(Refused) as refused:
            dns.ensure_records(DOMAIN, [Record(DOMAIN, "TXT", ("v=spf1 mx -all",))], owner=OURS)
        assert refused.value.code == "conflict"
        assert dns.records(DOMAIN) == (theirs,)

    def test_publishes_all_or_nothing(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "TXT", ("theirs",))], owner=THEIRS)
        with pytest.raises(Refused):
            dns.ensure_records(
                DOMAIN, [Record(DOMAIN, "MX", ("10 m.example.",)), Record(DOMAIN, "TXT", ("x",))], owner=OURS
            )
        assert [record.type for record in dns.records(DOMAIN)] == ["TXT"]

    def test_delegates_from_a_parent_of_ours(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        for _ in range(2):
            dns.ensure_delegated("collectivite.fr", DOMAIN, dns.delegation(DOMAIN), owner=OURS)
        assert Record(DOMAIN, "NS", dns.delegation(DOMAIN).name_servers) in dns.records("collectivite.fr")

    @pytest.mark.parametrize("ask", ["delegation", "records"])
    def test_refuses_a_zone_it_does_not_hold(self, dns: Dns, ask: str) -> None:
        with pytest.raises(Refused) as refused:
            getattr(dns, ask)("inconnu.fr")
        assert refused.value.code == "unknown_zone"


class TestStorage:
    def test_has_a_space_once_for_one_owner(self, storage: Storage) -> None:
        for _ in range(2):
            storage.ensure_space("org-1", owner=OURS)
        with pytest.raises(Refused) as refused:
            storage.ensure_space("org-1", owner=THEIRS)
        assert refused.value.code == "conflict"

    def test_keeps_one_key_and_follows_the_quota(self, storage: Storage) -> None:
        storage.ensure_space("org-1", owner=OURS)
        storage.ensure_quota("org-1", 5)
        storage.ensure_key("org-1")
        first = storage.space("org-1")
        storage.ensure_key("org-1")
        storage.ensure_quota("org-1", 7)
        assert storage.space("org-1").access_key == first.access_key
        assert (first.quota, storage.space("org-1").quota) == (5, 7)

    def test_the_check_leaves_nothing(self, storage: Storage) -> None:
        storage.ensure_space("org-1", owner=OURS)
        storage.ensure_quota("org-1", GB)
        storage.check_storage("org-1")
        assert storage.space("org-1").used == 0

    def test_refuses_a_space_it_does_not_hold(self, storage: Storage) -> None:
        with pytest.raises(Refused) as refused:
            storage.space("org-2")
        assert refused.value.code == "unknown_space"


class TestLocalStorage:
    def key(self, space: str, quota: int = 10) -> tuple[LocalStorage, Secret]:
        store = LocalStorage()
        store.ensure_space(space, owner=OURS)
        store.ensure_quota(space, quota)
        store.ensure_key(space)
        return store, store.reissue_key(space)

    def test_the_quota_holds_to_the_byte(self) -> None:
        store, key = self.key("org-1")
        store.put(key.access_key, key.secret, "org-1", "a", b"12345")
        store.put(key.access_key, key.secret, "org-1", "b", b"12345")
        with pytest.raises(Refused) as refused:
            store.put(key.access_key, key.secret, "org-1", "c", b"1")
        assert refused.value.code == "quota"
        store.put(key.access_key, key.secret, "org-1", "a", b"54321")
        assert store.space("org-1").used == 10

    def test_a_key_opens_its_own_space_only_and_dies_when_reissued(self) -> None:
        store, key = self.key("org-1")
        _, other = self.key("org-2")
        fresh = store.reissue_key("org-1")
        for access, secret in [
            (other.access_key, other.secret),
            (key.access_key, key.secret),
            (fresh.access_key, "faux"),
        ]:
            with pytest.raises(Refused) as refused:
                store.put(access, secret, "org-1", "a", b"1")
            assert refused.value.code == "denied"
        store.put(fresh.access_key, fresh.secret, "org-1", "a", b"1")

    def test_no_secret_is_in_the_file(self) -> None:
        _, key = self.key("org-1")
        assert key.secret.encode() not in Path(django_settings.LOCAL_WORLD).read_bytes()


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

    def test_the_log_only_grows(self) -> None:
        with changing() as world:
            log(world, "zone", DOMAIN)
        for statement in ("DELETE FROM log", "UPDATE log SET key = 'x'"):
            with opened() as world, pytest.raises(sqlite3.IntegrityError):
                world.execute(statement)

    def test_a_change_that_fails_leaves_nothing(self) -> None:
        def fail() -> None:
            with changing() as world:
                world.execute("INSERT INTO zones (name, owner) VALUES ('a.fr', 'x')")
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
