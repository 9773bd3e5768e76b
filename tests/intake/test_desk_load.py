"""Who has what in hand, who is away, and how what waits is handed out."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import absences, tasks, workload
from onboarding.intake.desk_models import Absence, Distribution
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed
from suite.accounts.models import OperatorRole, User
from suite.accounts.rights import operator_scope
from suite.directory.models import Operator
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory
from tests.intake.browsing import page, said, sign_in
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate()
S = Dossier.Status


@pytest.fixture
def mate(anct: Operator) -> User:
    return staff(anct, OperatorRole.Role.INSTRUCTOR)


def away(user: User, deputy: User, first: int = 0, last: int = 5, **known: Any) -> Absence:
    days = {"first_day": TODAY + timedelta(days=first), "last_day": TODAY + timedelta(days=last)}
    return absences.declare(user, deputy=deputy, by=known.get("by", user), **days)


class TestLoad:
    def test_each_person_s_hand_is_shown_by_name(
        self, lead: User, instructor: User, anct: Operator, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        now = timezone.now()
        held = {"operator": anct, "assignee": instructor}
        DossierFactory.create(in_review=True, due_at=now - timedelta(days=1), **held)
        DossierFactory.create(second_approval=True, due_at=now + timedelta(days=1), **held)
        DossierFactory.create(needs_changes=True, **held)
        DossierFactory.create(sent=True, operator=anct)
        for days in (2, 4, 9):
            DossierFactory.create(rejected=True, submitted_at=now - timedelta(days=days), decided_at=now, **held)
        scope = operator_scope(lead)
        assert scope
        (team,) = workload.teams(scope)
        found = {one.user: one for one in team.loads}[instructor]
        assert (found.open, found.late, found.waiting, found.decided) == (2, 1, 1, 3)
        assert found.median == pytest.approx(4, abs=0.01)
        assert team.unassigned == 1
        assert [one.user.usual_name for one in team.loads] == sorted(one.user.usual_name for one in team.loads)
        client = sign_in(lead)
        with django_assert_max_num_queries(15):
            text = said(page(client, reverse("desk:load")))
        assert "1 demande sans instructeur" in text

    def test_it_is_for_leads(self, instructor: User) -> None:
        page(sign_in(instructor), reverse("desk:load"), 403)


class TestShareOut:
    def test_what_waits_goes_to_whoever_has_least(
        self, lead: User, instructor: User, mate: User, anct: Operator
    ) -> None:
        for _ in range(2):
            DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        waiting = [DossierFactory.create(sent=True, operator=anct) for _ in range(4)]
        client = sign_in(lead)
        client.post(reverse("desk:share_out", args=[anct.pk]))
        loads = {
            user: Dossier.objects.filter(assignee=user, status=S.IN_REVIEW).count() for user in (lead, instructor, mate)
        }
        assert loads == {lead: 2, instructor: 2, mate: 2}
        assert set(Event.objects.filter(subject__in=[one.pk for one in waiting]).values_list("actor", flat=True)) == {
            lead.pk
        }

    def test_nobody_receives_its_own_commune_nor_while_away(
        self, lead: User, instructor: User, mate: User, anct: Operator
    ) -> None:
        own = DossierFactory.create(sent=True, operator=anct)
        MembershipFactory.create(user=instructor, organization=own.organization)
        away(mate, lead)
        for _ in range(3):
            DossierFactory.create(in_review=True, operator=anct, assignee=lead)
        assert workload.distribute(anct, by=lead) == 1
        own.refresh_from_db()
        assert own.assignee == lead

    def test_it_may_go_on_by_itself_in_the_name_of_who_asked(self, lead: User, anct: Operator, mate: User) -> None:
        client = sign_in(lead)
        client.post(reverse("desk:share_out", args=[anct.pk]), {"automatique": "oui"})
        dossier = DossierFactory.create(sent=True, operator=anct)
        tasks.share_out()
        dossier.refresh_from_db()
        assert dossier.status == S.IN_REVIEW
        client.post(reverse("desk:share_out", args=[anct.pk]), {"automatique": "non"})
        another = DossierFactory.create(sent=True, operator=anct)
        tasks.share_out()
        another.refresh_from_db()
        assert another.status == S.SUBMITTED
        assert not Distribution.objects.get().automatic
        assert Event.objects.filter(kind="desk.distribution").count() == 2

    def test_it_is_the_lead_s_of_that_operator(self, instructor: User, lead: User, anct: Operator) -> None:
        elsewhere = staff(OperatorFactory.create(), OperatorRole.Role.LEAD)
        for user in (instructor, elsewhere):
            client = sign_in(user)
            assert client.post(reverse("desk:share_out", args=[anct.pk])).status_code == 403


class TestAbsence:
    def test_what_a_person_instructs_follows_to_its_deputy(self, instructor: User, mate: User, anct: Operator) -> None:
        mine = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        pausing = DossierFactory.create(needs_changes=True, operator=anct, assignee=instructor)
        client = sign_in(instructor)
        days = {"first_day": TODAY.isoformat(), "last_day": TODAY.isoformat()}
        response = client.post(reverse("desk:absence"), {"person": str(instructor.pk), "deputy": str(mate.pk), **days})
        assert response.status_code == 302
        assert f"{mate.get_full_name()} reprend ses demandes" in said(page(client, reverse("desk:absence")))
        tasks.share_out()
        for dossier, holder in ((mine, mate), (pausing, instructor)):
            dossier.refresh_from_db()
            assert dossier.assignee == holder
        # What comes back during the absence follows too; twice changes nothing.
        Dossier.objects.filter(pk=pausing.pk).update(status=S.IN_REVIEW)
        assert [absences.hand_over(), absences.hand_over()] == [1, 0]
        assert Event.objects.filter(kind="assign", actor=instructor.pk).count() == 2

    def test_nothing_moves_before_the_day_or_once_called_off(
        self, instructor: User, mate: User, anct: Operator
    ) -> None:
        DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        coming = away(instructor, mate, first=2)
        assert absences.hand_over() == 0
        absences.cancel(coming, by=instructor)
        assert absences.hand_over(TODAY + timedelta(days=3)) == 0

    def test_what_is_wrong_is_said_beside_its_field(self, instructor: User, mate: User, anct: Operator) -> None:
        client = sign_in(instructor)
        data = {
            "person": str(instructor.pk),
            "deputy": str(mate.pk),
            "first_day": "2099-02-02",
            "last_day": "2099-02-01",
        }
        response = client.post(reverse("desk:absence"), data)
        assert response.status_code == 422
        assert 'href="#id_last_day"' in response.content.decode()
        assert client.post(reverse("desk:absence"), {}).status_code == 422
        away(instructor, mate)
        for user, deputy in ((instructor, mate), (mate, instructor), (mate, mate)):
            with pytest.raises(GuardFailed):
                away(user, deputy)

    def test_a_lead_declares_a_colleague_s_and_nobody_else_does(self, instructor: User, mate: User, lead: User) -> None:
        with pytest.raises(NotAllowed):
            away(instructor, lead, by=mate)
        assert away(instructor, mate, by=lead).declared_by == lead
        stranger = staff(OperatorFactory.create(), OperatorRole.Role.LEAD)
        with pytest.raises(NotAllowed):
            away(mate, lead, by=stranger)

    def test_who_is_away_is_marked_where_one_hands_over(
        self, instructor: User, mate: User, lead: User, anct: Operator
    ) -> None:
        mine = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        away(mate, lead)
        assert "absence jusqu’au" in page(sign_in(instructor), f"/instruction/{mine.pk}/confier/")


class TestCancelAbsence:
    def test_its_owner_or_a_lead_calls_it_off(self, instructor: User, mate: User, lead: User) -> None:
        known = away(instructor, mate)
        url = reverse("desk:cancel_absence", args=[known.pk])
        elsewhere: Client = sign_in(staff(OperatorFactory.create(), OperatorRole.Role.LEAD))
        assert elsewhere.post(url).status_code == 404
        assert sign_in(mate).post(url).status_code == 403
        assert sign_in(lead).post(url).status_code == 302
        known.refresh_from_db()
        assert known.cancelled_at
