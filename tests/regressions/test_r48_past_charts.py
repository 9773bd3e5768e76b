"""R48. Upstream draws the past from the present state. Here a month is counted from its events, once."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from onboarding.analytics import stories
from onboarding.analytics.definitions import ADDED_UP, compute
from onboarding.analytics.figure_models import DEPARTMENT, NATIONAL, OPERATOR, PublishedFigure
from onboarding.analytics.months import bounds, following, midnight
from onboarding.analytics.publishing import mismatches
from onboarding.intake import erasure, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.replay import replay
from onboarding.provisioning import engine
from onboarding.provisioning.models import Deployment, Step
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event, EventText
from tests.accounts.elevation import elevate
from tests.analytics.histories import (
    APRIL_SWEEP,
    MARCH,
    MAY_SWEEP,
    at,
    at_random,
    decided,
    dossier,
    stored,
    sweep_at,
    value,
)
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, DepartmentFactory, OperatorFactory
from tests.factories.intake import DossierFactory

pytestmark = pytest.mark.django_db
POINTS = [workflow.Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil.")]


class Programme:
    """The ANCT's people, and the dossiers of communes, moved by the verbs on the days one says."""

    def __init__(self) -> None:
        self.anct: Operator = OperatorFactory.create(national_one=True)
        self.instructor = self._staff(OperatorRole.Role.INSTRUCTOR)
        self.leads = [self._staff(OperatorRole.Role.LEAD) for _ in range(2)]

    def _staff(self, role: str) -> User:
        user: User = OperatorRoleFactory.create(operator=self.anct, role=role).user
        return user

    def draft(self, department: str, name: str) -> Dossier:
        commune = CommuneFactory.create(name=name, department=DepartmentFactory.create(code=department))
        DeclaredContactFactory.create(organization=commune)
        agent = MembershipFactory.create(organization=commune).user
        draft: Dossier = DossierFactory.create(organization=commune, author=agent)
        return draft

    def do(self, moment: dt.datetime, dossier: Dossier, verb: Callable[..., Dossier], *args: Any, **said: Any) -> None:
        with time_machine.travel(moment, tick=False):
            now = Dossier.objects.get(pk=dossier.pk)
            verb(now, *args, version=now.version, **said)

    def march(self) -> tuple[Dossier, Dossier]:
        """One accepted after a round and put in service, one still in review, one never sent."""
        accepted, waiting = self.draft("56", "Rochefort-en-Terre"), self.draft("01", "Bourg-Essai")
        self.draft("56", "Jamais-Transmise")
        self.do(at(3, 3), accepted, workflow.submit, by=accepted.author)
        self.do(at(3, 4), accepted, workflow.take, by=self.instructor)
        self.do(at(3, 5), accepted, workflow.request_changes, POINTS, by=self.instructor)
        accepted.remarks.update(touched=True)
        self.do(at(3, 9), accepted, workflow.resubmit, by=accepted.author)
        self.do(at(3, 10), accepted, workflow.approve, by=self.instructor)
        self.in_service(accepted, at(3, 11, 9))
        self.do(at(3, 8), waiting, workflow.submit, by=waiting.author)
        self.do(at(3, 9), waiting, workflow.take, by=self.instructor)
        return accepted, waiting

    def in_service(self, dossier: Dossier, moment: dt.datetime) -> None:
        deployment = Deployment.objects.get(dossier=dossier)
        deployment.steps.update(status=Step.Status.DONE, finished_at=moment)
        with time_machine.travel(moment, tick=False):
            last = deployment.steps.last()
            assert last is not None
            engine.passed(last)


@pytest.fixture
def programme() -> Programme:
    return Programme()


def test_r48_march_is_byte_identical_after_all_that_may_happen(programme: Programme) -> None:
    accepted, waiting = programme.march()
    assert sweep_at(APRIL_SWEEP) > 0
    published = stored()

    # A merger: the commune is closed, its successor is elsewhere, and it has itself moved.
    successor = CommuneFactory.create(name="Commune nouvelle", department=DepartmentFactory.create(code="35"))
    Organization.objects.filter(pk__in=[accepted.organization_id, waiting.organization_id]).update(
        closed_on=dt.date(2027, 4, 7), successor=successor, department="35", population=9_999
    )
    other: Operator = OperatorFactory.create(departments=["01"])
    Dossier.objects.filter(pk=waiting.pk).update(operator=other)
    Dossier.objects.filter(pk=waiting.pk).update(operator=programme.anct)
    programme.do(at(4, 8), waiting, workflow.assign, to=programme.leads[0], by=programme.instructor)
    programme.do(at(4, 9), waiting, workflow.reject, ["other"], by=programme.leads[0], message="Trop tard.")
    lead, second = programme.leads
    programme.do(at(4, 12), accepted, workflow.propose_revocation, by=lead, reason="Commune disparue.")
    programme.do(at(4, 13), accepted, workflow.revoke, by=second)
    erasure.erase_dossiers([accepted.pk, waiting.pk])
    EventText.objects.update(actor_label="", comment="")

    sweep_at(APRIL_SWEEP)
    assert sweep_at(MAY_SWEEP) > 0
    assert stored() == published
    assert list(mismatches()) == []


def test_r48_march_says_what_was_so_in_march(programme: Programme) -> None:
    programme.march()
    sweep_at(APRIL_SWEEP)

    assert value("requests") == (2, 2)
    assert value("requests", "department:56") == (1, 1)
    assert value("decisions") == value("approvals") == (1, 1)
    assert value("backlog") == value("backlog", "department:01") == (1, 1)
    assert value("decision_gross_median") == value("decision_gross_p90") == (5, 1)
    assert value("decision_net_median") == (3, 1)
    assert value("rounds_median") == (1, 1)
    assert value("first_time_right") == value("late") == value("override") == (0, 1)
    assert value("services", f"operator:{programme.anct.pk}") == value("services", "department:56") == (1, 1)
    assert value("service_median") == (23, 1)
    assert value("reason.request_changes.mailbox_list", "department:56") == (1, 1)
    assert value("late", "department:01") == (None, 0)


def test_r48_a_published_figure_cannot_be_changed_nor_deleted() -> None:
    dossier(at(3, 3))
    sweep_at(APRIL_SWEEP)
    for act in (
        lambda: PublishedFigure.objects.update(value=0),
        lambda: PublishedFigure.objects.all().delete(),
        lambda: PublishedFigure.objects.bulk_create([PublishedFigure.objects.first()]),  # type: ignore[list-item]
    ):
        before = stored()
        with pytest.raises(IntegrityError), transaction.atomic():
            act()
        assert stored() == before


def test_r48_nothing_is_published_before_its_closing_and_nothing_twice() -> None:
    dossier(at(3, 3))

    assert sweep_at(dt.datetime(2027, 4, 6, 0, 30, tzinfo=at(4, 6).tzinfo)) == 0
    first = sweep_at(APRIL_SWEEP)
    assert first > 0
    assert sweep_at(APRIL_SWEEP) == sweep_at(at(4, 30)) == 0
    assert PublishedFigure.objects.count() == first


def test_r48_a_sweep_that_slept_for_months_publishes_each_month_as_it_stood_then() -> None:
    first = dossier(at(3, 3))
    decided(first, at(3, 31), known=at(4, 20))
    sweep_at(at(6, 8))
    late = stored()

    assert value("decisions") == (0, 0)
    assert list(PublishedFigure.objects.order_by("period").values_list("period", flat=True).distinct()) == [
        MARCH, dt.date(2027, 4, 1), dt.date(2027, 5, 1),
    ]  # fmt: skip
    assert list(mismatches()) == []
    sweep_at(at(6, 9))
    assert stored() == late


def test_r48_what_is_learnt_later_is_a_revision_beside_what_was_published() -> None:
    first = dossier(at(3, 3))
    sweep_at(APRIL_SWEEP)
    published = stored()
    decided(first, at(3, 30), "reject", known=at(4, 20), reasons=["no_mandate"])
    sweep_at(MAY_SWEEP)

    assert stored().startswith(published)
    revised = PublishedFigure.objects.filter(period=MARCH, scope=NATIONAL, as_of=at(5, 6, 0))
    assert {row.metric: int(row.value or 0) for row in revised if row.metric in ADDED_UP} == {
        "decisions": 1,
        "backlog": 0,
    }
    assert revised.get(metric="reason.reject.no_mandate").n == 1
    # What is not otherwise is not said again.
    assert not revised.filter(metric="requests").exists()
    assert list(mismatches()) == []


def test_r48_rebuilding_from_the_events_gives_what_is_stored_and_a_lie_is_seen() -> None:
    at_random(48)
    sweep_at(at(6, 8))
    assert list(mismatches()) == []
    call_command("verify_figures")

    PublishedFigure.objects.create(
        metric="requests", definition_version=1, scope="department:99", period=MARCH, as_of=at(4, 6, 0), value=3, n=3,
        event_high_water=1,
    )  # fmt: skip
    assert list(mismatches()) == ["2027-03 department:99 requests 2027-04-05T22:00:00+00:00"]


@pytest.mark.parametrize("seed", range(3))
def test_r48_the_backlog_of_every_day_is_what_entered_less_what_left(seed: int) -> None:
    at_random(seed)
    told = stories.read(at(12, 31))
    chains: dict[object, list[Event]] = {}
    for event in Event.objects.filter(stream="dossier").order_by("subject", "seq"):
        chains.setdefault(event.subject, []).append(event)
    peak = 0
    for day in range(240):
        evening = midnight(dt.date(2027, 1, 1) + dt.timedelta(days=day + 1))
        # What the dossiers' own replay says of each that evening, whatever the figures count.
        open_ = sum(
            replay(event for event in chain if event.effective_at < evening).status in Dossier.OPEN
            for chain in chains.values()
        )
        entered = sum(1 for story in told.stories for moment, step in story.flow if step == 1 and moment < evening)
        left = sum(1 for story in told.stories for moment, step in story.flow if step == -1 and moment < evening)
        assert open_ == entered - left
        if day % 10 == 0:
            assert stories.backlog_on(evening, NATIONAL) == open_
        peak = max(peak, open_)
    assert peak > 3


@pytest.mark.parametrize("seed", range(3))
def test_r48_the_territories_and_the_operators_add_up_to_the_country(seed: int) -> None:
    at_random(seed)
    told = stories.read(at(12, 31))
    for month in (following(dt.date(2027, 1, 1), later) for later in range(6)):
        found = compute(told, month)
        for metric in ADDED_UP | {"reason.request_changes.other"}:
            national = found.get((NATIONAL, metric))
            for prefix in (DEPARTMENT, OPERATOR):
                parts = [one for (scope, code), one in found.items() if code == metric and scope.startswith(prefix)]
                assert sum(one.n for one in parts) == (national.n if national else 0)
        end = bounds(month)[1]
        for scope in {scope for scope, _ in found}:
            assert stories.backlog_on(end, scope) == found[scope, "backlog"].value


def test_r48_no_figure_reads_a_dossier_or_a_deployment(client: Client, programme: Programme) -> None:
    programme.march()
    with CaptureQueriesContext(
        connection,
    ) as counted:
        sweep_at(APRIL_SWEEP)
        list(mismatches())
    client.force_login(programme.leads[0])
    elevate(client)
    with CaptureQueriesContext(connection) as read:
        address = {"mois": "2027-03", "perimetre": "department:56", "date": "2027-03-09"}
        page = client.get(reverse("analytics:activity"), address)
        file = client.get(reverse("analytics:activity_csv"), address).getvalue()
        public = client.get(reverse("analytics:public"))
    assert page.context["backlog"] == 1
    assert b"Demandes re" in file
    assert public.status_code == 200
    queries = [one["sql"] for one in (*counted.captured_queries, *read.captured_queries)]
    assert any("journal_event" in sql for sql in queries)
    assert [sql for sql in queries if '"intake_' in sql or '"provisioning_' in sql] == []
