"""What the clock does by itself: reminders, expiry, lateness. The days go by; nothing sleeps."""

import datetime as dt
import logging
from collections.abc import Callable

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from onboarding.agreements.texts import bundle, in_force
from onboarding.intake import tasks, workflow
from onboarding.intake.due_models import DueItem
from onboarding.intake.models import Dossier
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.windows import Due, TooMany, preview, sweep
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices import delivery
from suite.notices.models import Notice
from tests.factories.intake import DossierFactory, ProposalFactory, RemarkFactory
from tests.intake.situations import situation
from tests.intake.test_races import together

S = Dossier.Status
START = dt.datetime(2026, 1, 12, 9, 0, tzinfo=dt.UTC)
NOTHING = Due(0, 0, 0, 0, 0)


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, changed_at=START)


@pytest.fixture
def waiting(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    """A dossier sent back for corrections at the start."""
    dossier = DossierFactory.create(
        organization=commune, author=agent, operator=anct, assignee=instructor, needs_changes=True, paused_at=START
    )
    RemarkFactory.create(dossier=dossier)
    return dossier


def on_day(day: float, *, posted: bool = True, cap: int = 100) -> Due:
    """Sweep on that day after the start; what it queues then leaves, unless the post is down."""
    with time_machine.travel(START + dt.timedelta(days=day), tick=False):
        done = sweep(cap=cap)
        for notice in Notice.objects.due() if posted else ():
            delivery.deliver(notice.pk)
    return done


def kinds() -> list[str]:
    return list(Notice.objects.order_by("created_at", "kind").values_list("kind", flat=True))


@pytest.mark.django_db
class TestDrafts:
    def test_r50_a_draft_is_reminded_twice_then_expires(self, draft: Dossier) -> None:
        told = {day: on_day(day) for day in (14.9, 15, 16, 44.9, 45, 59.9, 60, 61)}
        assert {day: due for day, due in told.items() if due != NOTHING} == {
            15: Due(1, 0, 0, 0, 0),
            45: Due(1, 0, 0, 0, 0),
            60: Due(0, 1, 0, 0, 0),
        }
        assert kinds() == ["dossier_draft_waits", "dossier_draft_waits", "dossier_expired"]
        draft.refresh_from_db()
        assert draft.status == S.EXPIRED
        assert Event.objects.get(kind="expire").actor is None

    def test_a_save_starts_the_wait_again(self, draft: Dossier, agent: User) -> None:
        on_day(15)
        with time_machine.travel(START + dt.timedelta(days=20), tick=False):
            workflow.save_step(draft, 4, {"storage_gb": 8}, by=agent, version=1)
        assert on_day(34) == NOTHING
        assert on_day(35).reminders == 1
        assert on_day(61) == NOTHING
        on_day(65)
        assert on_day(80).expiries == 1

    def test_r25_the_day_told_in_the_mail_is_the_day_it_closes(self, draft: Dossier) -> None:
        on_day(15)
        on_day(45)
        last = Notice.objects.filter(kind="dossier_draft_waits").latest("created_at")
        assert "expirera le 13 mars 2026" in last.body_text  # sixty days after 12 January
        assert "expirera le 13 mars 2026" in last.body_html
        on_day(59.9)
        assert Dossier.objects.get().status == S.DRAFT
        on_day(60)
        assert Dossier.objects.get().status == S.EXPIRED

    def test_r23_after_a_gap_the_latest_stage_speaks_once_and_the_others_are_written_down(self, draft: Dossier) -> None:
        assert on_day(70).reminders == 1
        assert kinds() == ["dossier_draft_waits"]
        assert dict(DueItem.objects.values_list("kind", "outcome")) == {
            "draft_reminder_1": "skipped",
            "draft_reminder_2": "done",
        }
        # The last warning still comes fifteen days before the end, and names it.
        assert "expirera le 7 avril 2026" in Notice.objects.get().body_text
        assert on_day(84.9).expiries == 0
        assert on_day(85).expiries == 1

    def test_r23_run_twice_or_by_two_at_once_it_happens_once(self, draft: Dossier) -> None:
        assert on_day(18).reminders == 1  # three days late
        assert on_day(18) == NOTHING
        assert Notice.objects.count() == 1
        assert Event.objects.filter(kind="remind").count() == 1

    @pytest.mark.parametrize("state", ["queued", "failed", "bounced"])
    def test_nothing_is_closed_without_a_warning_that_left(self, draft: Dossier, state: str) -> None:
        on_day(15)
        on_day(45, posted=False)
        Notice.objects.exclude(state="sent").update(
            state=state, bounced_at=timezone.now() if state == "bounced" else None
        )
        assert on_day(90, posted=False) == Due(0, 0, 1, 0, 0)
        assert Dossier.objects.get().status == S.DRAFT

    def test_without_an_address_in_the_form_its_author_is_told(self, draft: Dossier, agent: User) -> None:
        Dossier.objects.update(requester_email="")
        on_day(15)
        assert Notice.objects.get().recipient == agent.email

    def test_r24_no_date_never_comes_due(self, waiting: Dossier) -> None:
        Dossier.objects.update(paused_at=None, due_at=None)
        assert on_day(4000) == NOTHING


@pytest.mark.django_db
class TestCorrections:
    def test_two_reminders_then_the_end(self, waiting: Dossier) -> None:
        told = {day: on_day(day) for day in (6.9, 7, 20.9, 21, 44.9, 45)}
        assert [day for day, due in told.items() if due.reminders] == [7, 21]
        assert [day for day, due in told.items() if due.expiries] == [45]
        assert kinds() == ["dossier_changes_wait", "dossier_changes_wait", "dossier_expired"]
        assert "expirera le 26 février 2026" in Notice.objects.filter(kind="dossier_changes_wait")[1].body_text
        assert not waiting.remarks.filter(closed_at__isnull=True).exists()

    def test_an_answer_stops_it(self, waiting: Dossier, agent: User) -> None:
        on_day(7)
        on_day(21)
        waiting.remarks.update(touched=True)
        with time_machine.travel(START + dt.timedelta(days=44), tick=False):
            Dossier.objects.update(terms_version=bundle(in_force(waiting.operator)))  # those of that day
            workflow.resubmit(Dossier.objects.get(), by=agent, version=1)
        assert on_day(45).expiries == 0

    def test_a_second_round_has_its_own_reminders(self, waiting: Dossier) -> None:
        on_day(7)
        Dossier.objects.update(paused_at=START + dt.timedelta(days=10))
        assert on_day(16.9) == NOTHING
        assert on_day(17).reminders == 1


@pytest.mark.django_db
class TestLate:
    def test_a_lateness_is_told_once_for_each_date(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.SUBMITTED, commune, agent, anct, instructor)
        Dossier.objects.update(due_at=START)
        assert on_day(-0.1) == NOTHING
        assert on_day(0).late == 1
        assert on_day(3).late == 0
        event = Event.objects.get(kind="late")
        assert event.payload["awaited"] == "take"
        assert event.effective_at == START
        assert Dossier.objects.get().version == dossier.version  # nobody's page goes stale for it
        Dossier.objects.update(due_at=START + dt.timedelta(days=4))
        assert on_day(4).late == 1

    def test_what_waits_for_the_commune_is_never_late(self, waiting: Dossier) -> None:
        assert on_day(6).late == 0


@pytest.mark.django_db
class TestLapse:
    @pytest.fixture
    def proposed(self, commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
        dossier = situation(S.SECOND_APPROVAL, commune, agent, anct, instructor)
        Proposal.objects.update(lapses_at=START)
        return dossier

    def test_a_proposal_lapses_at_its_hour_and_its_author_is_told(self, proposed: Dossier, instructor: User) -> None:
        assert on_day(-0.1) == NOTHING
        assert on_day(0).lapses == 1
        assert on_day(0).lapses == 0
        assert Dossier.objects.get().status == S.IN_REVIEW
        assert Proposal.objects.get().outcome == "lapsed"
        assert Notice.objects.get(kind="dossier_proposal_lapsed").recipient == instructor.email

    def test_a_dossier_that_changed_takes_its_proposal_along(self, proposed: Dossier) -> None:
        Dossier.objects.update(version=2)
        assert on_day(-5).lapses == 1
        assert Dossier.objects.get().status == S.IN_REVIEW

    def test_a_revocation_lapses_and_the_approval_stands(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.APPROVED, commune, agent, anct, instructor)
        ProposalFactory.create(dossier=dossier, revocation=True, lapses_at=START)
        assert on_day(0).lapses == 1
        assert Dossier.objects.get().status == S.APPROVED


@pytest.mark.django_db
class TestCap:
    @pytest.fixture
    def three(self) -> None:
        for _ in range(3):
            DossierFactory.create(changed_at=START)
        on_day(45)

    def test_above_the_cap_none_is_closed(self, three: None) -> None:
        with pytest.raises(TooMany, match="3 dossiers"):
            on_day(60, cap=2)
        assert Dossier.objects.filter(status=S.DRAFT).count() == 3
        assert on_day(60, cap=3).expiries == 3

    def test_the_preview_counts_and_does_nothing(self, three: None) -> None:
        assert preview(START + dt.timedelta(days=60)) == Due(0, 3, 0, 0, 0)
        assert Dossier.objects.filter(status=S.DRAFT).count() == 3

    def test_the_command_counts_stops_and_goes_on(self, three: None, capsys: pytest.CaptureFixture[str]) -> None:
        with time_machine.travel(START + dt.timedelta(days=60), tick=False):
            call_command("deadlines", "--dry-run")
            assert "expiries: 3\n" in capsys.readouterr().out
            with pytest.raises(CommandError, match="--cap 3"):
                call_command("deadlines", "--cap", "2")
            call_command("deadlines")
        assert "expiries: 3\n" in capsys.readouterr().out

    def test_the_task_says_it_stopped(self, three: None, caplog: pytest.LogCaptureFixture, settings: Settings) -> None:
        settings.INTAKE_EXPIRY_CAP = 2
        with caplog.at_level(logging.ERROR), time_machine.travel(START + dt.timedelta(days=60), tick=False):
            tasks.sweep_windows()
        assert "none was closed" in caplog.text


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_two_sweeps_send_one_reminder_and_close_once(self, commune: Organization, agent: User) -> None:
        now = timezone.now()
        DossierFactory.create(organization=commune, author=agent, changed_at=now - dt.timedelta(days=50))
        together(*[lambda: sweep(now)] * 4)
        assert Event.objects.filter(kind="remind").count() == 1
        Notice.objects.update(state="sent", sent_at=now)
        DueItem.objects.update(announced_for=now)
        later = now + dt.timedelta(days=11)
        together(*[lambda: sweep(later)] * 4)
        assert Event.objects.filter(kind="expire").count() == 1

    def test_a_lateness_and_a_lapse_happen_once(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        situation(S.SECOND_APPROVAL, commune, agent, anct, instructor)
        past = timezone.now() - dt.timedelta(hours=1)
        Dossier.objects.update(due_at=past, clock_at=past - dt.timedelta(days=30))
        Proposal.objects.update(lapses_at=past)
        together(*[sweep] * 4)
        assert Event.objects.filter(kind="late").count() == 1
        assert Event.objects.filter(kind="lapse").count() == 1

    def test_an_answer_and_the_end_at_once_leave_one_of_them(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        RemarkFactory.create(dossier=dossier, touched=True)
        long_ago = timezone.now() - dt.timedelta(days=46)
        Dossier.objects.update(paused_at=long_ago)
        sweep()
        Notice.objects.update(state="sent", sent_at=timezone.now())
        DueItem.objects.update(announced_for=timezone.now())
        answer: Callable[[], object] = lambda: workflow.resubmit(  # noqa: E731 - one of two calls
            Dossier.objects.get(), by=agent, version=1
        )
        together(answer, sweep)
        assert Event.objects.filter(kind__in=["resubmit", "expire"]).count() == 1
        assert Dossier.objects.get().status in {S.IN_REVIEW, S.EXPIRED}
