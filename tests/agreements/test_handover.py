"""After an election: who goes, who follows, and nothing done behind anybody's back."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from onboarding.agreements import handover as verbs
from onboarding.agreements import texts
from onboarding.agreements.handover_models import DepartingMailbox, Handover
from onboarding.agreements.models import Asked
from onboarding.agreements.workflow import AgreementRefused
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts import invitations
from suite.accounts.models import Membership, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.agreements.test_views import sign_in
from tests.agreements.test_workflow import accepted
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory
from tests.factories.mandates import MandateProofFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def built(commune: Organization, operator: Operator) -> Deployment:
    return deployment(organization=commune, operator=operator)


@pytest.fixture
def open_one(commune: Organization, manager: User, built: Deployment) -> Handover:
    accepted(commune, manager)
    return verbs.start(commune, since=timezone.localdate(), outcome="changed", by=manager)


class TestHandover:
    def url(self, commune: Organization) -> str:
        return reverse("agreements:handover", args=[commune.pk])

    def test_the_whole_of_it_by_its_pages(
        self, commune: Organization, manager: User, open_one: Handover, built: Deployment
    ) -> None:
        client, url = sign_in(manager), self.url(commune)
        mailbox = Resource.objects.filter(deployment=built, kind=Resource.Kind.MAILBOX).first()
        assert mailbox is not None
        refused = client.post(url, {"action": "close"})
        assert refused.status_code == 422
        assert "Il reste à faire" in refused.content.decode()

        successor = MembershipFactory.create(organization=commune, manager=True).user
        MandateProofFactory.create(organization=commune, user=successor, letter=True)
        convention = str(texts.in_force(None)[1].pk)
        answer = sign_in(successor).post(
            reverse("agreements:accept", args=[commune.pk]), {"texts": [convention], "function": "Maire"}
        )
        assert answer.status_code == 302, answer.content.decode()
        for action in ("tick-access", "tick-recovery"):
            assert client.post(url, {"action": action}).status_code == 302
        client.post(url, {"action": "mailboxes", "mailboxes": [str(mailbox.pk)]})
        assert client.post(url, {"action": "close"}).status_code == 302

        closed = Handover.objects.get(pk=open_one.pk)
        assert closed.closed_by == manager
        assert DepartingMailbox.objects.get().resource == mailbox
        assert Notice.objects.get(kind="handover_mailboxes").recipient == "opsn@operateur.example"

    def test_nothing_else_changes(
        self, commune: Organization, manager: User, open_one: Handover, built: Deployment
    ) -> None:
        before = list(Membership.objects.values_list("pk", "state", "role", "changed_at").order_by("pk"))
        desired = list(Resource.objects.values_list("pk", "desired").order_by("pk"))
        verbs.list_departing(open_one, [str(one.pk) for one in verbs.mailboxes(commune)], by=manager)

        assert before == list(Membership.objects.values_list("pk", "state", "role", "changed_at").order_by("pk"))
        assert desired == list(Resource.objects.values_list("pk", "desired").order_by("pk"))

    def test_an_invitation_is_shown_and_is_not_yet_a_successor(
        self, commune: Organization, manager: User, open_one: Handover
    ) -> None:
        invitations.invite(commune, "nouvelle.maire@commune.example", "manager", by=manager)
        successor = verbs.checklist(open_one)[0]

        assert not successor.done or successor.detail == manager.get_full_name()
        html = sign_in(manager).get(self.url(commune)).content.decode()
        assert "Ce qu’il faut faire" in html

    def test_the_same_mayor_has_less_to_do(self, commune: Organization, manager: User, built: Deployment) -> None:
        opened = verbs.start(commune, since=timezone.localdate(), outcome="same", by=manager)

        assert [point.item for point in verbs.checklist(opened)] == ["access", "recovery", "mailboxes"]

    def test_another_commune_s_mailbox_is_refused(
        self, commune: Organization, manager: User, open_one: Handover, operator: Operator
    ) -> None:
        foreign = deployment(organization=CommuneFactory.create(), operator=operator, domain="autre.collectivite.fr")
        pk = str(Resource.objects.filter(deployment=foreign).first().pk)  # type: ignore[union-attr]
        response = sign_in(manager).post(self.url(commune), {"action": "mailboxes", "mailboxes": [pk]})

        assert response.status_code == 422
        assert not DepartingMailbox.objects.exists()

    def test_a_day_to_come_is_refused_and_two_openings_are_one(
        self, commune: Organization, manager: User, open_one: Handover
    ) -> None:
        tomorrow = timezone.localdate() + dt.timedelta(days=1)
        with pytest.raises(AgreementRefused):
            verbs.start(commune, since=tomorrow, outcome="same", by=manager)
        assert verbs.start(commune, since=timezone.localdate(), outcome="same", by=manager) == open_one

    def test_a_closed_one_takes_nothing_more(self, commune: Organization, manager: User, built: Deployment) -> None:
        opened = verbs.start(commune, since=timezone.localdate(), outcome="same", by=manager)
        for item in ("access", "recovery", "mailboxes"):
            verbs.tick(opened, item, by=manager)
        verbs.close(opened, by=manager)
        with pytest.raises(AgreementRefused):
            verbs.tick(opened, "access", by=manager)
        assert Event.objects.filter(kind="handover.closed").count() == 1

    def test_readers_and_operators_look_and_touch_nothing(
        self, commune: Organization, lead: User, open_one: Handover
    ) -> None:
        client = sign_in(lead)
        assert client.get(self.url(commune)).status_code == 200
        assert client.post(self.url(commune), {"action": "tick-access"}).status_code == 403


class TestSweep:
    ELECTION = dt.date(2032, 3, 21)

    @pytest.fixture(autouse=True)
    def _election(self, settings: Settings) -> None:
        settings.MUNICIPAL_ELECTIONS = ["2026-03-22", "2032-03-21"]

    def at(self, days: int) -> int:
        return verbs.sweep(self.ELECTION + dt.timedelta(days=days))

    def test_every_commune_served_before_is_reminded_once_per_stage(self, built: Deployment, manager: User) -> None:
        assert [self.at(days) for days in (-1, 0, 6, 7, 8, 21, 22, 45, 46, 200)] == [0, 0, 0, 1, 0, 1, 0, 1, 0, 0]
        assert set(Notice.objects.values_list("kind", "recipient")) == {("handover_reminder", manager.email)}

    def test_r23_after_a_gap_the_latest_only(self, built: Deployment, manager: User) -> None:
        assert self.at(46) == 1
        assert Notice.objects.count() == 1
        assert Asked.objects.filter(skipped=True).count() == 2

    def test_who_handed_over_and_who_came_later_are_left_alone(
        self, built: Deployment, commune: Organization, manager: User, operator: Operator
    ) -> None:
        Handover.objects.create(
            organization=commune, since=self.ELECTION, outcome="same", opened_by=manager,
            closed_at=timezone.now(), closed_by=manager,
        )  # fmt: skip
        later = CommuneFactory.create()
        operator.organizations.add(later)

        assert self.at(46) == 0
        assert list(verbs.awaited(self.ELECTION + dt.timedelta(days=46))) == []

    def test_an_election_of_long_ago_reminds_nobody(self, built: Deployment, manager: User) -> None:
        assert self.at(400) == 0
