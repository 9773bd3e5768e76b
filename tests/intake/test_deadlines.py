"""By when: the clock of a dossier through its rounds."""

import datetime as dt
from collections.abc import Callable
from importlib import import_module
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from onboarding.intake import deadlines, workflow
from onboarding.intake.deadlines import band
from onboarding.intake.models import Dossier
from onboarding.intake.replay import replay, stored
from onboarding.intake.workflow import Point
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory

S = Dossier.Status
PARIS = ZoneInfo("Europe/Paris")
POINTS = [Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil.")]


def at(day: int, hour: int = 10, month: int = 11) -> dt.datetime:
    """Return a moment of autumn 2026, in Paris: the 2nd of November is a Monday, the 11th a holiday."""
    return dt.datetime(2026, month, day, hour, tzinfo=PARIS)


@pytest.fixture
def draft(commune: Organization, agent: User, anct: Operator) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


@pytest.fixture
def do(draft: Dossier) -> Callable[..., Dossier]:
    """Return the way to make one move at a moment, on the dossier as it then stands."""

    def do(moment: dt.datetime, verb: Callable[..., Dossier], *args: object, **kwargs: object) -> Dossier:
        with time_machine.travel(moment, tick=False):
            now = Dossier.objects.get(pk=draft.pk)
            verb(now, *args, version=now.version, **kwargs)
            return Dossier.objects.get(pk=draft.pk)

    return do


def to_the_commune(dossier: Dossier) -> None:
    dossier.remarks.update(touched=True)


@pytest.mark.django_db
class TestClock:
    def test_a_draft_has_no_clock(self, draft: Dossier) -> None:
        assert draft.due_at is None
        assert band(draft, at(2)) == ""

    def test_two_days_to_take_then_five_to_decide_from_the_sending(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        sent = do(at(6, 16), workflow.submit, by=agent)  # a Friday
        assert sent.due_at == at(10, 16)
        taken = do(at(9), workflow.take, by=instructor)
        assert taken.due_at == at(16, 16)  # five days over the 11th
        assert do(at(10), workflow.release, by=instructor).due_at == at(16, 16)

    def test_the_clock_stands_still_while_the_commune_corrects(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        do(at(3), workflow.take, by=instructor)
        back = do(at(4), workflow.request_changes, POINTS, by=instructor)
        assert (back.due_at, back.watch_at, band(back, at(30))) == (None, None, "")
        to_the_commune(back)
        again = do(at(12), workflow.resubmit, by=agent)
        assert again.waited_days == 5  # the 5th, 6th, 9th, 10th and 12th
        assert again.due_at == at(17)  # ten working days after the 2nd, over the 11th
        assert again.paused_at is None

    def test_r10_first_and_last_sendings_are_told_apart(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        do(at(3), workflow.take, by=instructor)
        for asked, answered in ((4, 5), (9, 10)):
            to_the_commune(do(at(asked), workflow.request_changes, POINTS, by=instructor))
            now = do(at(answered), workflow.resubmit, by=agent)
        assert (now.submitted_at, now.last_submitted_at) == (at(2), at(10))
        assert now.clock_at == at(2)
        assert replay(Event.objects.about("dossier", now.pk)) == stored(now)

    def test_r49_a_draft_counts_for_nothing_and_a_second_round_resets_nothing(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        DossierFactory.create(created_at=at(1))
        do(at(2), workflow.submit, by=agent)
        do(at(3), workflow.take, by=instructor)
        to_the_commune(do(at(4), workflow.request_changes, POINTS, by=instructor))
        do(at(5), workflow.resubmit, by=agent)
        do(at(9), workflow.approve, by=instructor)
        requests = Event.objects.filter(kind="submit")
        assert [event.effective_at for event in requests] == [at(2)]
        decided = Event.objects.get(kind="approve")
        waited = (
            Event.objects.get(kind="resubmit").effective_at - Event.objects.get(kind="request_changes").effective_at
        )
        assert decided.effective_at - requests[0].effective_at == dt.timedelta(days=7)  # gross, from the first sending
        assert waited == dt.timedelta(days=1)
        assert decided.payload["department"] == "56"
        assert Dossier.objects.filter(due_at__isnull=False).count() == 0

    def test_a_closed_dossier_has_none_and_a_reopened_one_a_new_one(
        self, do: Callable[..., Dossier], agent: User, instructor: User, lead: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        do(at(3), workflow.take, by=instructor)
        closed = do(at(4), workflow.reject, ["other"], by=instructor, message="Non.")
        assert (closed.due_at, band(closed, at(30))) == (None, "")
        again = do(at(23), workflow.reopen, by=lead, reason="Pièce reçue.")
        assert again.due_at == at(30)
        assert (again.submitted_at, again.clock_at) == (at(2), at(23))

    def test_the_calendar_is_the_commune_s(self, agent: User, anct: Operator, commune: Organization) -> None:
        # Noon on a Thursday in Paris is Thursday evening in Nouméa; Friday 24 September is its own holiday there.
        moment = dt.datetime(2027, 9, 23, 12, tzinfo=PARIS)
        for department, due in (("56", 27), ("988", 28)):
            here = CommuneFactory.create(department__code=department) if department != "56" else commune
            clock = deadlines.clock(DossierFactory.create(organization=here), "submit", S.SUBMITTED, moment)
            assert clock.due_at
            assert clock.due_at.astimezone(PARIS).day == due


@pytest.mark.django_db
class TestBand:
    def test_it_turns_after_sixty_per_cent_and_at_the_hour(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        taken = do(at(2, 11), workflow.take, by=instructor)
        assert taken.watch_at == at(5)  # three days of five
        assert [band(taken, when) for when in (at(5), at(5, 11), at(9, 9), at(9))] == [
            deadlines.ON_TIME,
            deadlines.WATCH,
            deadlines.WATCH,
            deadlines.LATE,
        ]

    def test_the_time_the_commune_took_is_not_counted_in_the_share(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        do(at(2), workflow.take, by=instructor)
        to_the_commune(do(at(2, 11), workflow.request_changes, POINTS, by=instructor))
        again = do(at(30, 11), workflow.resubmit, by=agent)
        assert band(again, at(30, 12)) == deadlines.ON_TIME

    def test_r24_no_date_is_no_band_and_both_time_zones_agree(self) -> None:
        dossier = Dossier(due_at=None)
        assert band(dossier, at(2)) == ""
        dossier.due_at = at(2, 12)
        in_utc = dt.datetime(2026, 11, 2, 11, tzinfo=dt.UTC)
        in_noumea = dt.datetime(2026, 11, 2, 22, tzinfo=ZoneInfo("Pacific/Noumea"))
        assert {band(dossier, when) for when in (at(2, 12), in_utc, in_noumea)} == {deadlines.LATE}
        assert band(dossier, in_utc - dt.timedelta(seconds=1)) == deadlines.ON_TIME


@pytest.mark.django_db
class TestRecount:
    def test_a_closure_moves_what_is_open_and_nothing_else(
        self, do: Callable[..., Dossier], agent: User, settings: Settings
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        DossierFactory.create(rejected=True)
        settings.CLOSED_DAYS = [dt.date(2026, 11, 3)]
        assert deadlines.recount() == 1
        assert deadlines.recount() == 0
        assert Dossier.objects.get(status=S.SUBMITTED).due_at == at(5)

    def test_one_put_back_in_the_queue_keeps_its_five_days(
        self, do: Callable[..., Dossier], agent: User, instructor: User
    ) -> None:
        do(at(2), workflow.submit, by=agent)
        do(at(2), workflow.take, by=instructor)
        do(at(3), workflow.release, by=instructor)
        assert deadlines.recount() == 0

    def test_the_command_says_how_many(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("deadlines", "--recount")
        assert "0 due date(s) moved." in capsys.readouterr().out


@pytest.mark.django_db
def test_the_migration_dates_what_was_there() -> None:
    sent = DossierFactory.create(sent=True, organization__department__code="56", submitted_at=at(6, 16))
    waiting = DossierFactory.create(needs_changes=True, submitted_at=at(2), changed_at=at(4))
    Dossier.objects.update(clock_at=None, last_submitted_at=None, paused_at=None)
    import_module("onboarding.intake.migrations.0004_clocks").fill(apps, None)
    sent.refresh_from_db()
    waiting.refresh_from_db()
    assert (sent.due_at, sent.clock_at) == (at(10, 16), at(6, 16))
    assert sent.watch_at
    assert (waiting.due_at, waiting.paused_at) == (None, at(4))


@pytest.mark.django_db
def test_the_queue_may_be_sorted_by_due_date_from_an_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute("EXPLAIN SELECT id FROM intake_dossier WHERE due_at > now() ORDER BY due_at, id LIMIT 25")
        assert "dossier_due" in "\n".join(row[0] for row in cursor.fetchall())
