"""Once a day, one message for what can wait: windows that open, never a date that must be met."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from suite.notices import digests
from suite.notices.digests import Section
from suite.notices.models import Notice
from tests.factories.notices import NoticeFactory

pytestmark = pytest.mark.django_db
PARIS = timezone.get_default_timezone()
MONDAY = dt.datetime(2026, 11, 23, 10, 0, tzinfo=PARIS)
READER = "lecteur@opsn.example"


def waiting(at: dt.datetime, to: str = READER) -> Notice:
    made: Notice = NoticeFactory.create(
        recipient=to, channel=Notice.Channel.DIGEST, created_at=at, subject=f"Nouvelle du {at:%d}", url="https://x/"
    )
    return made


def at(day: int, hour: int) -> dt.datetime:
    return dt.datetime(2026, 11, day, hour, 0, tzinfo=PARIS)


def test_nothing_waiting_sends_nothing() -> None:
    with time_machine.travel(at(24, 8), tick=False):
        assert digests.gather(READER) is None
        assert digests.gather(READER, [Section("Demandes en retard", ())]) is None
    assert not Notice.objects.exists()


def test_what_came_before_seven_leaves_and_what_came_after_waits_a_day() -> None:
    early, late = waiting(at(24, 6)), waiting(at(24, 8))
    with time_machine.travel(at(24, 9), tick=False):
        first = digests.gather(READER)
    assert first is not None
    assert "Nouvelle du 24" in first.body_text
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.state, early.gathered_in) == (Notice.State.GATHERED, first)
    assert late.state == Notice.State.QUEUED


@pytest.mark.slow
def test_run_all_day_long_it_is_one_message() -> None:
    waiting(at(23, 10))
    for hour in range(7, 24):
        with time_machine.travel(at(24, hour), tick=False):
            digests.gather(READER)
    assert Notice.objects.filter(kind="digest").count() == 1


def test_r23_after_three_days_without_a_worker_one_message_holds_everything() -> None:
    for day in (20, 21, 22, 23):
        waiting(at(day, 10))
    with time_machine.travel(at(24, 15), tick=False):
        digest = digests.gather(READER)
        assert digests.gather(READER) is None
    assert digest is not None
    assert digest.gathered.count() == 4
    assert Notice.objects.filter(kind="digest").count() == 1


def test_one_committed_late_waits_for_the_next_window_and_is_not_lost() -> None:
    waiting(at(23, 10))
    with time_machine.travel(at(24, 8), tick=False):
        digests.gather(READER)
    late = waiting(at(24, 6))
    with time_machine.travel(at(24, 9), tick=False):
        assert digests.gather(READER) is None
    late.refresh_from_db()
    assert late.state == Notice.State.QUEUED
    with time_machine.travel(at(25, 8), tick=False):
        digest = digests.gather(READER)
    assert digest is not None
    assert list(digest.gathered.all()) == [late]


@pytest.mark.parametrize("day", [dt.date(2026, 3, 29), dt.date(2026, 10, 25)], ids=["summer", "winter"])
def test_a_change_of_hour_skips_no_window(day: dt.date) -> None:
    before = dt.datetime.combine(day, dt.time(6, 30), PARIS)
    after = dt.datetime.combine(day, dt.time(7, 30), PARIS)
    assert timezone.localdate(digests.opened_at(before)) == day - dt.timedelta(days=1)
    opened = digests.opened_at(after)
    assert (timezone.localdate(opened), timezone.localtime(opened).hour) == (day, 7)


def test_each_reader_has_its_own() -> None:
    waiting(at(23, 10))
    waiting(at(23, 10), to="autre@opsn.example")
    with time_machine.travel(at(24, 8), tick=False):
        assert digests.waiting() == ["autre@opsn.example", READER]
        digests.gather(READER)
        assert digests.waiting() == ["autre@opsn.example"]


@pytest.mark.slow
def test_what_waits_for_a_digest_never_leaves_alone() -> None:
    waiting(MONDAY)
    assert not Notice.objects.due().exists()


def test_late_dossiers_make_a_digest_by_themselves_with_their_way_out() -> None:
    with time_machine.travel(at(24, 8), tick=False):
        digest = digests.gather(
            READER, [Section("Demandes en retard", (("D-1, Yeu", "https://x/1"),))], page="/demandes/notifications/"
        )
    assert digest is not None
    assert "D-1, Yeu" in digest.body_text
    assert "https://x/1" in digest.body_html
    assert digest.url.endswith("/demandes/notifications/")
