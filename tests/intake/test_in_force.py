"""The settings in force feed the clocks: working days by département, delays, and the recount when they change."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.urls import reverse

from onboarding.intake import calendar, deadlines, tasks, workflow
from onboarding.intake.due_models import DueItem
from onboarding.intake.models import Dossier
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.trade import CLOSED_DAYS, DELAYS, Delays
from onboarding.intake.windows import Due, sweep
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.journal.workflow import verify
from suite.notices import delivery
from suite.notices.models import Notice
from suite.trade.workflow import save
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
PARIS = ZoneInfo("Europe/Paris")
WHY = "Décision du comité de pilotage."
START = dt.datetime(2026, 1, 12, 9, 0, tzinfo=dt.UTC)


def at(day: int, hour: int = 10) -> dt.datetime:
    """Return a moment of November 2026: the 2nd is a Monday."""
    return dt.datetime(2026, 11, day, hour, tzinfo=PARIS)


def close(*days: tuple[str, str], valid_from: dt.datetime | None = None) -> None:
    value = [{"day": day, "department": department, "label": "Fermeture"} for day, department in days]
    save(CLOSED_DAYS.key, value, expected=0, by=None, reason=WHY, valid_from=valid_from)


def delay(**changes: int) -> None:
    value = DELAYS.dump(Delays()) | changes
    with time_machine.travel(START, tick=False):
        save(DELAYS.key, value, expected=0, by=None, reason=WHY)


def sent(commune: Organization, agent: User) -> Dossier:
    draft = DossierFactory.create(organization=commune, author=agent)
    with time_machine.travel(at(2), tick=False):
        workflow.submit(draft, by=agent, version=1)
    return Dossier.objects.get(pk=draft.pk)


class TestClosedDays:
    def test_a_day_closed_in_one_departement_is_worked_in_the_others(self) -> None:
        close(("2026-11-03", "56"), ("2026-11-05", ""))
        for department, third in (("56", False), ("35", True)):
            assert calendar.is_working_day(dt.date(2026, 11, 3), department) is third
            assert not calendar.is_working_day(dt.date(2026, 11, 5), department)

    def test_a_change_counts_open_dossiers_again_and_says_so(
        self, commune: Organization, agent: User, anct: Operator
    ) -> None:
        here = sent(commune, agent)
        elsewhere = DossierFactory.create(sent=True, organization=CommuneFactory.create(department__code="35"))
        Dossier.objects.filter(pk=elsewhere.pk).update(**deadlines.restored(elsewhere).columns())
        before = Dossier.objects.get(pk=elsewhere.pk).due_at
        assert here.due_at == at(4)
        close(("2026-11-03", "56"))
        tasks.follow_settings()
        assert Dossier.objects.get(pk=here.pk).due_at == at(5)
        assert Dossier.objects.get(pk=elsewhere.pk).due_at == before
        event = Event.objects.get(kind="setting.applied")
        assert (event.payload["version"], event.payload["moved"]) == (1, 1)
        tasks.follow_settings()
        assert Event.objects.filter(kind="setting.applied").count() == 1
        assert verify() == []

    def test_a_version_to_come_counts_on_its_day(self, commune: Organization, agent: User, anct: Operator) -> None:
        dossier = sent(commune, agent)
        with time_machine.travel(at(2, 11), tick=False):
            close(("2026-11-04", ""), valid_from=at(3))
            assert deadlines.follow_settings() == 0
        assert Dossier.objects.get(pk=dossier.pk).due_at == at(4)
        with time_machine.travel(at(3, 11), tick=False):
            assert deadlines.follow_settings() == 1
        assert Dossier.objects.get(pk=dossier.pk).due_at == at(5)


class TestDelays:
    def test_the_targets_are_those_of_the_setting(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        delay(take=3, decide=6)
        dossier = sent(commune, agent)
        assert dossier.due_at == at(5)
        with time_machine.travel(at(3), tick=False):
            workflow.take(dossier, by=instructor, version=dossier.version)
        assert Dossier.objects.get().due_at == at(10)

    def test_a_longer_target_moves_what_is_open(self, commune: Organization, agent: User, anct: Operator) -> None:
        dossier = sent(commune, agent)
        delay(take=3)
        assert deadlines.follow_settings() == 1
        assert Dossier.objects.get(pk=dossier.pk).due_at == at(5)

    def test_a_proposal_lives_as_long_as_the_setting_says(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        delay(proposal=1)
        staff(anct, OperatorRole.Role.LEAD)
        dossier = DossierFactory.create(
            in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor, storage_gb=25,
            allocation_reason="Archives",
        )  # fmt: skip
        with time_machine.travel(at(2), tick=False):
            workflow.propose_approval(
                dossier, by=instructor, version=1, check="Téléphone de la mairie.", reason="Archives à garder."
            )
        assert Proposal.objects.get().lapses_at == at(3)
        assert "au plus tard le 3 novembre 2026" in Notice.objects.get(kind="dossier_proposed").body_text

    def test_the_reminders_and_the_end_of_a_draft_follow(self, commune: Organization, agent: User) -> None:
        delay(draft_first_reminder=3, draft_second_reminder=6, draft_expiry=9)
        DossierFactory.create(organization=commune, author=agent, changed_at=START)
        told = [on_day(day) for day in (2.9, 3, 6, 8.9, 9)]
        assert [due.reminders for due in told] == [0, 1, 1, 0, 0]
        assert [due.expiries for due in told] == [0, 0, 0, 0, 1]
        assert "expirera le 21 janvier 2026" in Notice.objects.filter(kind="dossier_draft_waits")[1].body_text

    def test_a_change_says_nothing_a_second_time_and_closes_nobody_before_the_day_told(
        self, commune: Organization, agent: User
    ) -> None:
        DossierFactory.create(organization=commune, author=agent, changed_at=START)
        assert [on_day(day).reminders for day in (15, 45)] == [1, 1]
        delay(draft_first_reminder=10, draft_second_reminder=20, draft_expiry=30)
        assert on_day(46) == Due(0, 0, 1, 0, 0)
        assert on_day(60).expiries == 1
        assert set(DueItem.objects.values_list("kind", flat=True)) == {
            "draft_reminder_1", "draft_reminder_2", "draft_expiry"
        }  # fmt: skip


def on_day(day: float) -> Due:
    with time_machine.travel(START + dt.timedelta(days=day), tick=False):
        done = sweep()
        for notice in Notice.objects.due():
            delivery.deliver(notice.pk)
    return done


class TestLateFor:
    def test_each_hears_of_what_waits_for_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        past = at(2)
        mine, theirs, nobodys = (
            DossierFactory.create(organization=commune if not rank else CommuneFactory.create(), operator=anct, **facts)
            for rank, facts in enumerate(
                (
                    {"in_review": True, "assignee": instructor, "due_at": past},
                    {"in_review": True, "assignee": staff(anct, "instructor"), "due_at": past},
                    {"sent": True, "due_at": past},
                )
            )
        )
        DossierFactory.create(needs_changes=True, operator=anct, assignee=instructor)
        with time_machine.travel(at(9), tick=False):
            told = {user: [line for line, _ in deadlines.late_for(user)] for user in (instructor, lead, agent)}
            addresses = [address for _, address in deadlines.late_for(instructor)]
        assert {line.split(",")[0] for line in told[instructor]} == {mine.reference, nobodys.reference}
        assert {line.split(",")[0] for line in told[lead]} == {mine.reference, theirs.reference, nobodys.reference}
        assert told[agent] == []
        assert addresses[0].startswith("http")
        assert addresses[0].endswith(reverse("desk:detail", args=[min(mine.pk, nobodys.pk)]))

    def test_the_daily_digest_tells_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        late = DossierFactory.create(
            organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor, due_at=at(2)
        )
        with time_machine.travel(at(9), tick=False):
            tasks.send_digests()
        digest = Notice.objects.get(kind="digest", recipient=instructor.email)
        assert f"{late.reference}, {commune.name}, attendue le 2 novembre" in digest.body_text
