"""The value in force: the code's own first, then the last version whose time has come, seen by everybody in seconds."""

import datetime as dt
import threading
import time
from collections.abc import Iterator

import pytest
import time_machine
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.intake.trade import ALLOCATION, Allocation
from suite import trade
from suite.trade import reading, workflow
from suite.trade.models import Setting
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db
WHY = "Décision du comité de pilotage."


def allow(mailboxes: int, version: int = 0, valid_from: dt.datetime | None = None) -> Setting:
    value = {"mailboxes": mailboxes, "storage_gb": 10}
    return workflow.save("allocation", value, expected=version, by=None, reason=WHY, valid_from=valid_from)


class TestCurrent:
    def test_an_empty_database_gives_the_code_s_own_value(self, settings: Settings) -> None:
        assert trade.read("allocation") == Allocation(20, 10)
        settings.INTAKE_STANDARD_MAILBOXES = 7
        assert ALLOCATION.current().mailboxes == 7

    def test_the_last_version_applies_at_once_to_whoever_wrote_it(self) -> None:
        allow(30)
        allow(40, version=1)
        assert trade.read("allocation").mailboxes == 40

    def test_a_version_to_come_waits_for_its_day(self) -> None:
        allow(30, valid_from=timezone.now() + dt.timedelta(days=3))
        assert trade.read("allocation").mailboxes == 20
        with time_machine.travel(timezone.now() + dt.timedelta(days=3, seconds=5)):
            reading.forget()
            assert trade.read("allocation").mailboxes == 30

    def test_a_thread_that_knows_what_comes_changes_on_the_minute_without_any_new_row(self) -> None:
        allow(30, valid_from=timezone.now() + dt.timedelta(hours=1))
        with time_machine.travel(timezone.now(), tick=False) as clock:
            assert trade.read("allocation").mailboxes == 20
            clock.shift(dt.timedelta(hours=1, seconds=1))
            assert trade.read("allocation").mailboxes == 30

    def test_an_unreadable_value_falls_back_on_the_default_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        Setting.objects.create(key="allocation", version=1, value={"mailboxes": "beaucoup"}, reason=WHY)
        reading.forget()
        assert trade.read("allocation") == Allocation(20, 10)
        assert "allocation" in caplog.text

    def test_an_unknown_setting_is_a_mistake_of_the_code(self) -> None:
        with pytest.raises(KeyError):
            trade.read("rien")

    def test_a_hundred_readings_cost_one_query(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        reading.forget()
        with django_assert_max_num_queries(1):
            for _ in range(100):
                trade.read("allocation"), trade.read("reserved_names"), trade.read("delays")


class TestVersions:
    def test_the_database_refuses_to_change_or_erase_one(self) -> None:
        row = allow(30)
        for change in (
            lambda: Setting.objects.filter(pk=row.pk).update(reason="autre"),
            lambda: Setting.objects.filter(pk=row.pk).delete(),
        ):
            with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
                change()


@pytest.fixture
def other() -> Iterator["Other"]:
    thread = Other()
    yield thread
    thread.stop()


class Other:
    """Another thread, as another web process: it reads when told."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.turn, self.done, self.over = threading.Event(), threading.Event(), False
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        try:
            while self.turn.wait(timeout=20) and not self.over:
                self.turn.clear()
                self.seen.append(trade.read("allocation").mailboxes)
                self.done.set()
        finally:
            connection.close()

    def read(self) -> int:
        self.done.clear()
        self.turn.set()
        assert self.done.wait(timeout=20)
        return self.seen[-1]

    def stop(self) -> None:
        self.over = True
        self.turn.set()
        self.thread.join(timeout=20)


@pytest.mark.django_db(transaction=True)
class TestOthers:
    def test_another_process_sees_a_change_within_two_seconds(self, other: Other) -> None:
        assert other.read() == 20
        allow(30)
        until = time.monotonic() + reading.FRESH_SECONDS + 1
        while other.read() != 30:
            assert time.monotonic() < until, "the change was never seen"
            time.sleep(0.1)

    def test_what_is_not_committed_is_seen_by_nobody_else(self, other: Other) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012 - the reading is inside
            allow(30)
            assert trade.read("allocation").mailboxes == 30
            assert other.read() == 20
            raise RuntimeError
        reading.forget()
        assert trade.read("allocation").mailboxes == 20

    def test_of_two_people_who_save_at_once_one_wins_and_the_other_is_told(self) -> None:
        barrier, ends = threading.Barrier(2), []
        people = UserFactory.create_batch(2)

        def work(number: int) -> None:
            try:
                barrier.wait(timeout=20)
                value = {"mailboxes": 30 + number, "storage_gb": 10}
                workflow.save("allocation", value, expected=0, by=people[number], reason=WHY)
                ends.append("saved")
            except workflow.Stale:
                ends.append("stale")
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert sorted(ends) == ["saved", "stale"]
        assert Setting.objects.count() == 1
