"""A campaign over communes whose DNS and sites are played on loopback: once each, killed, resumed, ill."""

import io
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from onboarding.audits import campaign, tasks, workflow
from onboarding.audits.declared import Declaration
from onboarding.audits.results_models import Examination, Shard, Trend
from onboarding.audits.rules.report import report
from tests.factories.directory import CommuneFactory, DeclaredContactFactory
from tests.live.hostile_web import HostileWeb
from tests.live.zone_dns import Records, ZoneDns

COMMUNES = 30
HOME = ["127.0.0.1"]


def records() -> Records:
    found: dict[tuple[str, str], list[str] | str] = {("mx.poste.fr", "A"): HOME}
    for at in range(COMMUNES):
        name = f"c{at}.fr"
        found |= {
            (name, "MX"): ["10 mx.poste.fr."],
            (name, "TXT"): ["v=spf1 mx -all"],
            (f"_dmarc.{name}", "TXT"): ["v=DMARC1; p=quarantine"],
            (name, "A"): HOME,
            (f"www.{name}", "A"): HOME,
        }
    return found


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HostileWeb]:
    with HostileWeb(tmp_path) as served:
        yield served


@pytest.fixture
def zone(web: HostileWeb, settings: Settings) -> Iterator[ZoneDns]:
    settings.AUDIT_HTTP_PORT, settings.AUDIT_HTTPS_PORT, settings.AUDIT_SMTP_PORT = web.http, web.https, 1
    settings.AUDIT_CA_FILE, settings.AUDIT_PRIVATE_ADDRESSES = str(web.authority.file), True
    with ZoneDns(records()) as served:
        yield served


@pytest.fixture
def communes(db: None) -> list[uuid.UUID]:
    return [
        DeclaredContactFactory.create(
            declared_email=f"mairie@c{at}.fr", declared_site=f"https://c{at}.fr/"
        ).organization_id
        for at in range(COMMUNES)
    ]


def server(zone: ZoneDns) -> str:
    return "{}:{}".format(*zone.address)


def run_to_the_end(zone: ZoneDns) -> str:
    out = io.StringIO()
    call_command("audit_all", "--here", "--resolver", server(zone), "--every", "0.05", stdout=out)
    return out.getvalue()


def test_every_commune_is_looked_at_and_counted(zone: ZoneDns, web: HostileWeb, communes: list[uuid.UUID]) -> None:
    workflow.start(shards=4)
    said = run_to_the_end(zone)
    assert "0.0 % : 0 sur 30" in said
    assert "100.0 % : 30 sur 30" in said
    assert said.strip().endswith("Terminé : 30 collectivités.")
    assert {row.groups["1.aa"] for row in Examination.objects.all()} == {"pass"}
    assert {row.verdicts["2.7"][0] for row in Examination.objects.all()} == {"pass"}
    assert Trend.objects.get(scope="FR").counts["1.aa"] == {"pass": COMMUNES}
    assert web.asked["https://c3.fr/"] == 1
    assert zone.asked["c3.fr MX"] == 1


def test_a_killed_worker_s_shard_goes_on_without_repeating_what_was_finished(
    zone: ZoneDns, web: HostileWeb, communes: list[uuid.UUID], settings: Settings
) -> None:
    run = workflow.start(shards=1)
    shard = run.shards.get()
    attempt = workflow.take(shard.pk)
    assert attempt is not None
    first = {key: Declaration(f"mairie@c{at}.fr", f"https://c{at}.fr/") for at, key in enumerate(communes[:10])}
    looked = campaign.look(first, server=server(zone))
    workflow.keep(looked, run=run, shard=shard.pk, attempt=attempt)
    # Killed here: nobody gives the shard back before its lease is over.
    assert workflow.work(shard.pk, server=server(zone)) is False
    Shard.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert workflow.work(shard.pk, server=server(zone)) is True
    assert Examination.objects.filter(run=run).count() == COMMUNES
    assert {web.asked[f"https://c{at}.fr/"] for at in range(COMMUNES)} == {1}
    assert workflow.progress(run.pk) == workflow.Progress(COMMUNES, COMMUNES, finished=True)


def test_a_worker_whose_time_is_up_gives_its_shard_back(zone: ZoneDns, communes: list[uuid.UUID]) -> None:
    shard = workflow.start(shards=1).shards.get()
    assert workflow.work(shard.pk, server=server(zone), until=timezone.now()) is False
    assert workflow.due() == [shard.pk]
    assert not Examination.objects.exists()


def test_a_dns_that_is_ill_is_held_against_nobody(zone: ZoneDns, communes: list[uuid.UUID]) -> None:
    for name, kind in list(zone.records):
        if kind == "MX":
            zone.records[name, kind] = "servfail"
    shard = workflow.start(shards=1).shards.get()
    assert workflow.work(shard.pk, server=server(zone)) is False
    assert not Examination.objects.exists()
    assert workflow.due() == []
    assert Shard.objects.get().due_at > timezone.now() + timedelta(minutes=4)


def test_what_several_share_is_looked_at_once(zone: ZoneDns, web: HostileWeb, settings: Settings) -> None:
    shared = {at: Declaration(f"commune{at}@c0.fr", "https://c0.fr/") for at in range(5)}
    cases = campaign.look(shared, server=server(zone))
    assert len(cases) == 5
    assert web.asked["https://c0.fr/"] == 1
    assert zone.asked["c0.fr MX"] == 1
    assert {report(case).groups["1.aa"] for case in cases.values()} == {"pass"}


def test_the_campaign_and_the_command_see_the_same(zone: ZoneDns) -> None:
    said = Declaration("mairie@c1.fr", "https://c1.fr/")
    (case,) = campaign.look({1: said}, server=server(zone)).values()
    from onboarding.audits.examination import examine  # noqa: PLC0415 - beside what it is compared with
    from onboarding.audits.resolver import Resolver  # noqa: PLC0415 - idem

    alone = examine(said, Resolver(server(zone)))
    assert case.mail == alone.mail
    assert report(case).groups == report(alone).groups
    assert {rule: each.state for rule, each in report(case).findings.items()} == {
        rule: each.state for rule, each in report(alone).findings.items()
    }


def test_nothing_declared_asks_nothing(zone: ZoneDns) -> None:
    (case,) = campaign.look({1: Declaration()}, server=server(zone)).values()
    assert (case.mail, case.web, case.servers) == (None, None, None)
    assert not zone.asked


class TestDayByDay:
    def test_newcomers_first_then_whose_turn_has_come(self, zone: ZoneDns, communes: list[uuid.UUID]) -> None:
        where = server(zone)
        assert [workflow.look_again(server=where, limit=20) for _ in range(3)] == [20, 10, 0]
        Examination.objects.filter(pk=communes[0]).update(expires_at=timezone.now())
        zone.asked.clear()
        assert workflow.look_again(server=where) == 1
        assert zone.asked["c0.fr MX"] == 1
        assert workflow.look_again(server=where) == 0

    def test_a_failure_stands_at_its_second_attempt(self, zone: ZoneDns, communes: list[uuid.UUID]) -> None:
        zone.records["c0.fr", "TXT"] = []
        first = workflow.look_now(communes[0], server=server(zone))
        assert first is not None
        assert first.verdicts["2.5"] == ("unknown", "to_confirm")
        assert first.groups["2.a"] == "unknown"
        row = Examination.objects.get(pk=communes[0])
        assert row.expires_at - row.checked_at == timedelta(minutes=15)
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            workflow.look_again(server=server(zone))
        row.refresh_from_db()
        assert row.verdicts["2.5"] == ["fail", "no_spf"]
        assert row.groups["2.a"] == "fail"

    def test_an_ill_dns_puts_the_turn_off(self, zone: ZoneDns, communes: list[uuid.UUID]) -> None:
        workflow.look_again(server=server(zone))
        Examination.objects.update(expires_at=timezone.now())
        before = set(Examination.objects.values_list("pk", "checked_at"))
        zone.records = {key: "refused" if key[1] == "MX" else value for key, value in zone.records.items()}
        assert workflow.look_again(server=server(zone)) == 0
        assert set(Examination.objects.values_list("pk", "checked_at")) == before
        assert not Examination.objects.filter(expires_at__lte=timezone.now()).exists()

    def test_who_is_not_audited_is_not_looked_at(self, zone: ZoneDns, db: None) -> None:
        assert workflow.look_now(CommuneFactory.create().pk, server=server(zone)) is None
        assert not zone.asked

    def test_the_daily_round_is_for_sites_that_ask_for_it(self, communes: list[uuid.UUID]) -> None:
        tasks.look_again()
        assert not Examination.objects.exists()


@pytest.mark.django_db
def test_tasks_wake_and_do_the_work(zone: ZoneDns, communes: list[uuid.UUID], settings: Settings) -> None:
    settings.DNS_RESOLVER, settings.AUDIT_DAILY = server(zone), True
    shard = workflow.start(shards=1).shards.get()
    tasks.work(shard.pk)
    assert Examination.objects.count() == COMMUNES
    tasks.look_now(str(communes[0]))
    tasks.look_again()
    tasks.sweep()
    assert workflow.due() == []
