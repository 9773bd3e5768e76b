"""What stands is stored as it settles; shards are their own queue; the past is judged again by the rules of today."""

import io
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.audits import replay, workflow
from onboarding.audits.campaign import _survive
from onboarding.audits.confirmation import SECOND_AFTER
from onboarding.audits.pace import SharedBudget
from onboarding.audits.results_models import Alert, Change, Examination, Run, Shard, Trend
from onboarding.audits.rules import RULESET
from onboarding.audits.rules.report import Case
from onboarding.audits.trends import count
from tests.audits.golden import rows
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, EpciFactory

TABLE = {row.domain: row for row in rows()}
HEALTHY, BROKEN = TABLE["saint-aubin-des-bruyeres.fr"].case(), TABLE["sans-spf.fr"].case()
START = datetime(2026, 11, 24, 3, tzinfo=UTC)


def commune(**said: Any) -> uuid.UUID:
    contact = DeclaredContactFactory.create(**said)
    key: uuid.UUID = contact.organization_id
    return key


def look(key: uuid.UUID, case: Case, after: timedelta = timedelta(0)) -> None:
    workflow.keep({key: case}, at=START + after)


@pytest.mark.django_db
class TestKeep:
    def test_what_was_seen_and_what_stands_are_stored(self) -> None:
        key = commune()
        look(key, HEALTHY)
        row = Examination.objects.get(pk=key)
        assert row.groups == dict.fromkeys(("1.a", "1.aa", "2.a", "2.aa", "a", "aa"), "pass")
        assert row.verdicts["1.3"] == ["pass", "ok"]
        assert (set(row.pending), row.ruleset, row.checked_at) == ({"B2", "B9"}, RULESET, START)  # nobody knows
        assert timedelta(days=1) <= row.expires_at - START < timedelta(days=1, hours=1)
        assert replay.case_of(row.declaration, row.facts) == HEALTHY

    def test_a_first_failure_waits_and_is_looked_at_again_soon(self) -> None:
        key = commune()
        look(key, HEALTHY)
        look(key, BROKEN_OF_HEALTHY, timedelta(days=1))
        row = Examination.objects.get(pk=key)
        assert row.verdicts["2.5"] == ["pass", "ok"]
        assert row.pending["2.5"]["reason"] == "no_spf"
        assert row.expires_at == row.checked_at + SECOND_AFTER
        assert not Change.objects.exists()
        assert not Alert.objects.exists()

    def test_the_second_makes_one_change_and_one_alert_however_often_it_is_seen(self) -> None:
        key = commune()
        for at, case in enumerate([HEALTHY, *[BROKEN_OF_HEALTHY] * 4]):
            look(key, case, at * timedelta(days=1))
        change = Change.objects.get(criterion="2.5")
        assert {each.criterion for each in Change.objects.all()} == {"2.5", "B1"}
        assert (change.criterion, change.before, change.after, change.reason) == ("2.5", "pass", "fail", "no_spf")
        alert = Alert.objects.get()
        assert (alert.criterion, alert.change, alert.closed_at) == ("2.5", change, None)
        assert Examination.objects.get(pk=key).groups["2.a"] == "fail"

    def test_an_alert_closes_by_itself_when_it_is_mended_and_may_open_again(self) -> None:
        key = commune()
        for at, case in enumerate([HEALTHY, BROKEN_OF_HEALTHY, BROKEN_OF_HEALTHY, HEALTHY]):
            look(key, case, at * timedelta(days=1))
        assert Alert.objects.get().closed_at == START + timedelta(days=3)
        for at, case in enumerate([BROKEN_OF_HEALTHY] * 2, start=4):
            look(key, case, at * timedelta(days=1))
        assert [alert.closed_at is None for alert in Alert.objects.order_by("opened_at")] == [False, True]
        assert [change.after for change in Change.objects.filter(criterion="2.5").order_by("at")] == [
            "fail",
            "pass",
            "fail",
        ]

    def test_another_declaration_starts_afresh_and_mends_what_it_mends(self) -> None:
        key = commune()
        for at, case in enumerate([HEALTHY, BROKEN_OF_HEALTHY, BROKEN_OF_HEALTHY]):
            look(key, case, at * timedelta(days=1))
        look(key, TABLE["kerbihan.bzh"].case(), timedelta(days=3))
        assert Examination.objects.get(pk=key).verdicts["2.5"] == ["pass", "ok"]
        assert Alert.objects.get().closed_at is not None

    def test_many_are_stored_in_few_queries(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        keys = [commune() for _ in range(12)]
        with django_assert_max_num_queries(8):
            workflow.keep(dict.fromkeys(keys, HEALTHY))

    def test_the_database_keeps_one_open_alert_of_each_kind(self) -> None:
        key = commune()
        change = Change.objects.create(
            organization_id=key, criterion="2.5", before="pass", after="fail", reason="no_spf", at=START, ruleset="x"
        )
        said = {"organization_id": key, "criterion": "2.5", "opened_at": START, "change": change}
        Alert.objects.create(**said)
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.create(**said)


def _broken() -> Case:
    """Return the healthy collectivité without its SPF record: the same declaration."""
    row = TABLE["saint-aubin-des-bruyeres.fr"]
    return type(row)(domain=row.domain, why="", expect={}, zone={"TXT": []}).case()


BROKEN_OF_HEALTHY = _broken()


@pytest.mark.django_db
class TestRun:
    def test_a_run_shares_out_every_collectivite_that_declares_something_once(self) -> None:
        keys = {commune() for _ in range(20)}
        CommuneFactory.create()  # declares nothing
        commune(organization=EpciFactory.create(closed=True))
        run = workflow.start(shards=5)
        assert run.total == 20
        shared = [each.pk for shard in run.shards.all() for batch in workflow._left(shard) for each in batch]  # noqa: SLF001 - who is in which
        assert (len(shared), set(shared)) == (20, keys)

    def test_a_run_that_goes_on_is_not_started_twice(self) -> None:
        commune()
        assert workflow.start().pk == workflow.start().pk
        with pytest.raises(IntegrityError), transaction.atomic():
            Run.objects.create(kind=Run.Kind.NATIONAL, total=0, ruleset="x")

    def test_without_anybody_to_look_at_a_run_is_over_at_once(self) -> None:
        assert workflow.start().finished_at is not None

    def test_a_shard_is_taken_once_until_its_lease_is_over(self) -> None:
        commune()
        shard = workflow.start(shards=1).shards.get()
        assert workflow.take(shard.pk) == 1
        assert workflow.take(shard.pk) is None
        assert workflow.due() == []
        with time_machine.travel(timezone.now() + workflow.LEASE + timedelta(seconds=1)):
            assert workflow.due() == [shard.pk]
            assert workflow.take(shard.pk) == 2

    def test_whoever_comes_back_late_stores_nothing(self) -> None:
        key = commune()
        run = workflow.start(shards=1)
        shard = run.shards.get()
        late = workflow.take(shard.pk)
        assert late is not None
        Shard.objects.update(due_at=timezone.now())
        workflow.take(shard.pk)
        with pytest.raises(workflow.Overtaken):
            workflow.keep({key: HEALTHY}, run=run, shard=shard.pk, attempt=late)
        assert not Examination.objects.exists()

    def test_what_is_looked_at_is_left_out_of_what_is_left(self) -> None:
        keys = [commune() for _ in range(3)]
        run = workflow.start(shards=1)
        shard = run.shards.get()
        attempt = workflow.take(shard.pk)
        assert attempt is not None
        workflow.keep({keys[0]: HEALTHY}, run=run, shard=shard.pk, attempt=attempt)
        left = {each.pk for batch in workflow._left(shard) for each in batch}  # noqa: SLF001 - what a worker would do
        assert left == set(keys[1:])
        assert workflow.progress(run.pk) == workflow.Progress(3, 1, finished=False)

    def test_a_run_is_finished_once_and_counted(self) -> None:
        commune()
        run = workflow.start(shards=1)
        assert not workflow.finish(run.pk)
        Shard.objects.update(status=Shard.Status.DONE)
        assert workflow.finish(run.pk)
        assert not workflow.finish(run.pk)

    def test_a_lease_outlives_the_task_that_holds_it(self) -> None:
        from onboarding.audits.tasks import LIMIT, work  # noqa: PLC0415 - its limit is what is looked at

        assert work.time_limit == LIMIT
        assert workflow.LEASE.total_seconds() > LIMIT

    def test_a_resolver_is_only_for_this_process(self) -> None:
        with pytest.raises(CommandError, match="--here"):
            call_command("audit_all", "--resolver", "127.0.0.1")
        with pytest.raises(CommandError, match="adresse de serveur"):
            call_command("audit_all", "--here", "--resolver", "ici")


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_hold_the_same_shard() -> None:
    commune()
    shard = workflow.start(shards=1).shards.get().pk
    gate, held = threading.Barrier(4), list[int | None]()

    def race() -> None:
        gate.wait()
        held.append(workflow.take(shard))
        connection.close()

    together(race, 4)
    assert sorted(held, key=str) == [1, None, None, None]


@pytest.mark.django_db(transaction=True)
def test_workers_share_one_rate() -> None:
    budget, gate, waits = SharedBudget("essai", rate=1_000), threading.Barrier(4), list[float]()

    def ask() -> None:
        gate.wait()
        waits.extend(budget.reserve(500) for _ in range(3))
        connection.close()

    started = time.monotonic()
    together(ask, 4)
    took = time.monotonic() - started
    # Twelve blocks of half a second, one second of which may leave at once.
    assert max(waits) > 6 - 0.5 - 1 - took - 0.1
    assert min(waits) == 0


@pytest.mark.django_db
def test_without_a_limit_nobody_waits(settings: Settings) -> None:
    settings.AUDIT_QUERIES_PER_SECOND = 0
    assert [SharedBudget().reserve(10_000) for _ in range(3)] == [0, 0, 0]


def together(act: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=act) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db
def test_a_collectivite_that_came_after_the_start_does_not_stop_its_shard() -> None:
    key = commune()
    run = workflow.start(shards=1)
    shard, newcomer = run.shards.get(), commune()
    attempt = workflow.take(shard.pk)
    assert attempt is not None
    workflow.keep({key: HEALTHY, newcomer: HEALTHY}, run=run, shard=shard.pk, attempt=attempt)
    assert workflow.progress(run.pk).done == 1


def test_a_probe_that_fails_as_nobody_foresaw_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    def share(number: int) -> int:
        return 10 // number

    assert [_survive(share)(each) for each in (5, 0, 2)] == [2, None, 5]
    assert "nobody foresaw" in caplog.text


@pytest.mark.django_db
class TestTrends:
    def test_states_are_counted_everywhere_and_by_departement(self) -> None:
        here = commune(organization=CommuneFactory.create(department__code="01"))
        there = commune(organization=CommuneFactory.create(department__code="35"))
        look(here, HEALTHY)
        look(there, BROKEN)
        look(there, BROKEN, timedelta(days=1))
        count(START.date())
        count(START.date())
        found = {trend.scope: trend for trend in Trend.objects.all()}
        assert set(found) == {"FR", "01", "35"}
        assert found["FR"].organizations == 2
        assert found["FR"].counts["a"] == {"pass": 1, "fail": 1}
        assert found["35"].counts["2.5"] == {"fail": 1}
        assert found["01"].counts["2.5"] == {"pass": 1}


@pytest.mark.django_db
class TestReplay:
    def test_the_same_rules_on_the_same_facts_change_nothing(self) -> None:
        for domain in (
            "saint-aubin-des-bruyeres.fr",
            "sans-spf.fr",
            "jamais-vue.fr",
            "vaux-sur-lizon.fr",
            "pare-feu.fr",
        ):
            key = commune()
            look(key, TABLE[domain].case())
            look(key, TABLE[domain].case(), timedelta(days=1))
        before = list(Examination.objects.order_by("pk").values())
        assert not replay.differences()
        assert replay.replay() == 0
        assert list(Examination.objects.order_by("pk").values()) == before

    def test_other_rules_show_what_they_would_change_and_store_it_when_asked(self) -> None:
        key = commune()
        look(key, HEALTHY)
        row = Examination.objects.get(pk=key)
        row.verdicts["2.5"], row.ruleset = ["fail", "an_old_rule"], "2020-01"
        row.save()
        out = io.StringIO()
        call_command("audit_replay", stdout=out)
        assert out.getvalue().strip() == "2.5 : fail → pass, 1"
        assert Examination.objects.get(pk=key).ruleset == "2020-01"
        call_command("audit_replay", "--store", stdout=out)
        again = Examination.objects.get(pk=key)
        assert (again.verdicts["2.5"], again.ruleset, again.checked_at) == (["pass", "ok"], RULESET, START)
        assert Change.objects.get().after == "pass"

    def test_no_replay_stands_for_a_second_attempt(self) -> None:
        key = commune()
        look(key, BROKEN)
        with time_machine.travel(START + timedelta(days=2)):
            replay.replay()
        row = Examination.objects.get(pk=key)
        assert row.verdicts["2.5"] == ["unknown", "to_confirm"]
        assert row.pending["2.5"]["since"] == START.isoformat()
