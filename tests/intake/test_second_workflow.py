"""What takes two people: approvals that are sensitive, reopening, and the end of an approval."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.intake import rules, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed, WrongState, allowed
from onboarding.intake.proposal_models import Proposal
from onboarding.provisioning.backends import world
from onboarding.provisioning.closure_models import Closure, ClosureStep
from onboarding.provisioning.models import Deployment, Step
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.intake import DossierFactory, ProposalFactory, RemarkFactory
from tests.factories.provisioning import deployment
from tests.intake.conftest import staff
from tests.intake.situations import situation

S = Dossier.Status
pytestmark = pytest.mark.django_db


@pytest.fixture
def sensitive(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    """A dossier in review that asks for more than twice the allocation."""
    situation(S.IN_REVIEW, commune, agent, anct, instructor)
    Dossier.objects.update(storage_gb=21, allocation_reason="Archives.")
    return Dossier.objects.get()


def proposed(dossier: Dossier, by: User) -> Dossier:
    return workflow.propose_approval(dossier, by=by, version=dossier.version, reason="Archives du cadastre.")


def approved(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return workflow.approve(situation(S.IN_REVIEW, commune, agent, anct, instructor), by=instructor, version=1)


class TestPropose:
    def test_the_leads_of_the_operator_are_told_and_nobody_else(
        self, sensitive: Dossier, instructor: User, lead: User, anct: Operator
    ) -> None:
        staff(anct, OperatorRole.Role.INSTRUCTOR)
        of_the_commune = staff(anct, OperatorRole.Role.LEAD)
        MembershipFactory.create(user=of_the_commune, organization=sensitive.organization)
        waiting = proposed(sensitive, instructor)
        assert waiting.status == S.SECOND_APPROVAL
        told = Notice.objects.filter(kind="dossier_proposed")
        assert [notice.recipient for notice in told] == [lead.email]
        assert "Archives du cadastre." in told[0].body_text
        assert f"/instruction/{sensitive.pk}/confirmer/" in told[0].body_html

    def test_a_lead_who_proposes_does_not_tell_itself(self, sensitive: Dossier, lead: User, anct: Operator) -> None:
        given = workflow.assign(sensitive, to=lead, by=lead, version=1)
        proposed(given, lead)
        assert [one.recipient for one in Notice.objects.filter(kind="dossier_proposed")] == [anct.email]

    def test_what_one_may_decide_alone_is_not_proposed(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        with pytest.raises(GuardFailed, match="n’a pas besoin"):
            proposed(dossier, instructor)
        assert not Proposal.objects.exists()

    def test_the_name_the_check_and_the_words_are_those_proposed(
        self, sensitive: Dossier, instructor: User, lead: User
    ) -> None:
        waiting = workflow.propose_approval(
            sensitive, by=instructor, version=1, reason="Archives.", check="Appel à la mairie."
        )
        done = workflow.approve(waiting, by=lead, version=waiting.version, rank=3, derogation="Vu avec le DGS.")
        event = Event.objects.get(kind="approve")
        assert done.deployment
        assert done.deployment.domain == "rochefort-en-terre.collectivite.fr"
        assert event.payload["rank"] == 0
        assert event.payload["proposer"] == str(instructor.pk)
        assert event.text.comment == "Vu avec le DGS."
        assert event.actor == lead.pk
        proposal = Proposal.objects.get()
        assert (proposal.outcome, proposal.confirmed_by) == ("confirmed", lead)

    def test_it_lasts_five_working_days_and_no_longer(self, sensitive: Dossier, instructor: User, lead: User) -> None:
        waiting = proposed(sensitive, instructor)
        Proposal.objects.update(lapses_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(GuardFailed, match="plus valable"):
            workflow.approve(waiting, by=lead, version=waiting.version)
        assert Dossier.objects.get().status == S.SECOND_APPROVAL
        assert not Deployment.objects.exists()

    def test_it_is_worth_nothing_once_the_dossier_changed(
        self, sensitive: Dossier, instructor: User, lead: User
    ) -> None:
        waiting = proposed(sensitive, instructor)
        Dossier.objects.update(version=waiting.version + 1)
        with pytest.raises(GuardFailed, match="changé"):
            workflow.approve(Dossier.objects.get(), by=lead, version=waiting.version + 1)

    def test_a_second_person_may_ask_for_corrections_or_refuse(
        self, sensitive: Dossier, instructor: User, lead: User
    ) -> None:
        waiting = proposed(sensitive, instructor)
        workflow.request_changes(
            waiting, [workflow.Point("allocation", ("storage",), "Moins.")], by=lead, version=waiting.version
        )
        assert Proposal.objects.get().outcome == "ended"
        assert Dossier.objects.get().status == S.NEEDS_CHANGES

    def test_the_database_refuses_one_person_twice(self, sensitive: Dossier, instructor: User) -> None:
        waiting = proposed(sensitive, instructor)
        for changes in (
            {"confirmed_by": instructor, "outcome": "confirmed", "closed_at": timezone.now()},
            {"outcome": "confirmed", "closed_at": timezone.now()},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Proposal.objects.filter(dossier=waiting).update(**changes)
        with pytest.raises(IntegrityError), transaction.atomic():
            ProposalFactory.create(dossier=waiting)

    def test_a_domain_said_to_be_somebody_else_s_takes_two(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        dossier.names.update(fqdn="rochefort.example.fr")
        Dossier.objects.update(family="existing", dns_manager="commune", mail_in_use=False)
        RemarkFactory.create(dossier=dossier, reason="domain_other_holder", fields=["name"], closed_at=timezone.now())
        assert rules.sensitive(Dossier.objects.get(), 0) == ["other_holder"]


class TestDuplicate:
    def test_it_points_at_the_other_one_and_the_commune_reads_which(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        first = DossierFactory.create(organization=commune, approved=True)
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        refused = workflow.reject(dossier, ["duplicate"], by=instructor, version=1, message="Déjà acceptée.")
        assert refused.duplicate_of == first
        assert first.reference in Notice.objects.get().body_text
        assert Event.objects.get().payload["duplicate_of"] == str(first.pk)

    def test_without_another_dossier_it_is_none(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        DossierFactory.create(organization=commune)  # a draft is nobody's business
        for other in (None, dossier):
            with pytest.raises((GuardFailed, IntegrityError)), transaction.atomic():
                workflow.reject(dossier, ["duplicate"], by=instructor, version=1, message="Déjà.", duplicate_of=other)
        assert Dossier.objects.get(pk=dossier.pk).status == S.IN_REVIEW


class TestReopen:
    def refused(self, commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        return workflow.reject(dossier, ["no_mandate"], by=instructor, version=1, message="Non.")

    def test_it_is_read_again_by_the_lead_and_takes_two_to_be_accepted(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        refused = self.refused(commune, agent, anct, instructor)
        again = workflow.reopen(refused, by=lead, version=refused.version, reason="Délibération reçue.")
        assert (again.status, again.assignee, again.decided_by, again.decided_at) == (S.IN_REVIEW, lead, None, None)
        assert Notice.objects.filter(kind="dossier_reopened", recipient="camille@ailleurs.example").count() == 1
        with pytest.raises(GuardFailed, match="rouverte"):
            workflow.approve(again, by=lead, version=again.version)
        other = staff(anct, OperatorRole.Role.LEAD)
        waiting = proposed(again, lead)
        assert workflow.approve(waiting, by=other, version=waiting.version).status == S.APPROVED

    def test_who_refused_it_leaves_it_to_another(
        self, commune: Organization, agent: User, anct: Operator, lead: User
    ) -> None:
        refused = self.refused(commune, agent, anct, lead)
        assert "reopen" not in allowed(refused, lead)
        with pytest.raises(NotAllowed, match="autre personne"):
            workflow.reopen(refused, by=lead, version=refused.version, reason="Je change d’avis.")

    def test_another_open_dossier_a_lost_name_or_no_reason_forbid_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        refused = self.refused(commune, agent, anct, instructor)
        with pytest.raises(GuardFailed, match="pourquoi"):
            workflow.reopen(refused, by=lead, version=refused.version, reason=" ")
        taken = deployment(domain="rochefort-en-terre.collectivite.fr")
        with pytest.raises(GuardFailed, match="encore libre"):
            workflow.reopen(refused, by=lead, version=refused.version, reason="Oui.")
        Deployment.objects.filter(pk=taken.pk).update(closed_at=timezone.now())
        other = DossierFactory.create(organization=commune, sent=True)
        with pytest.raises(GuardFailed, match="est ouverte"):
            workflow.reopen(refused, by=lead, version=refused.version, reason="Oui.")
        assert Dossier.objects.get(pk=refused.pk).status == S.REJECTED
        Dossier.objects.filter(pk=other.pk).update(status=S.WITHDRAWN)
        assert workflow.reopen(refused, by=lead, version=refused.version, reason="Oui.").status == S.IN_REVIEW

    def test_what_was_never_sent_is_out_of_sight(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        expired = situation(S.EXPIRED, commune, agent, anct, instructor)
        with pytest.raises(NotAllowed):
            workflow.reopen(expired, by=lead, version=1, reason="Curiosité.")


class TestRevoke:
    def test_two_leads_end_it_and_r11_nothing_is_deleted(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = approved(commune, agent, anct, instructor)
        other = staff(anct, OperatorRole.Role.LEAD)
        before, steps = world.listing(), Step.objects.count()
        waiting = workflow.propose_revocation(dossier, by=lead, version=dossier.version, reason="Fusion de communes.")
        assert (waiting.status, Closure.objects.count()) == (S.APPROVED, 0)
        told = {one.recipient for one in Notice.objects.filter(kind="dossier_revocation_proposed")}
        assert told == {other.email}
        with pytest.raises(NotAllowed, match="une autre personne"):
            workflow.revoke(waiting, by=lead, version=waiting.version)
        ended = workflow.revoke(waiting, by=other, version=waiting.version)
        assert ended.status == S.REVOKED
        assert ended.decided_by == instructor  # who accepted it did
        closure = Closure.objects.get()
        deployed = closure.deployment
        assert deployed == ended.deployment
        assert deployed.closed_at is None
        assert closure.steps.count() == deployed.resources.count() > 0
        assert not closure.steps.exclude(confirmed_by=None, done_at=None).exists()
        assert world.listing() == before
        assert Step.objects.count() == steps
        assert not Step.objects.due().exists()  # building stopped
        notice = Notice.objects.get(kind="dossier_revoked")
        assert "Fusion de communes." in notice.body_text
        assert "Aucune de vos données n’est supprimée" in notice.body_text

    def test_a_deletion_is_confirmed_by_a_second_person_or_the_database_refuses_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = approved(commune, agent, anct, instructor)
        ProposalFactory.create(dossier=dossier, revocation=True, proposer=instructor, version=dossier.version)
        workflow.revoke(dossier, by=lead, version=dossier.version)
        one = ClosureStep.objects.first()
        assert one
        now = timezone.now()
        for changes in (
            {"done_at": now},
            {"confirmed_by": lead, "confirmed_at": now},
            {"proposed_by": lead, "confirmed_by": lead, "confirmed_at": now},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                ClosureStep.objects.filter(pk=one.pk).update(**changes)

    def test_nobody_ends_what_nobody_proposed_or_proposes_twice(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = approved(commune, agent, anct, instructor)
        other = staff(anct, OperatorRole.Role.LEAD)
        assert "revoke" not in allowed(dossier, lead)
        with pytest.raises(GuardFailed, match="Personne n’a proposé"):
            workflow.revoke(dossier, by=lead, version=dossier.version)
        with pytest.raises(GuardFailed, match="pourquoi"):
            workflow.propose_revocation(dossier, by=lead, version=dossier.version, reason="")
        waiting = workflow.propose_revocation(dossier, by=lead, version=dossier.version, reason="Fraude.")
        with pytest.raises(GuardFailed, match="déjà proposé"):
            workflow.propose_revocation(waiting, by=other, version=waiting.version, reason="Moi aussi.")
        assert allowed(waiting, other) == {"revoke"}
        assert allowed(waiting, lead) == set()
        Proposal.objects.update(lapses_at=timezone.now())
        with pytest.raises(GuardFailed, match="plus valable"):
            workflow.revoke(waiting, by=other, version=waiting.version)

    def test_an_instructor_ends_nothing(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = approved(commune, agent, anct, instructor)
        with pytest.raises(NotAllowed, match="responsable"):
            workflow.propose_revocation(dossier, by=instructor, version=dossier.version, reason="Non.")


def test_the_clock_signs_only_what_is_its_own(
    commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    from onboarding.intake import moves  # noqa: PLC0415 - the door itself, which only verbs open

    dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
    with pytest.raises(NotAllowed):
        moves.apply(moves.APPROVE, dossier, by=None, version=1)
    with pytest.raises(NotAllowed):
        moves.apply(moves.LAPSE, dossier, by=instructor, version=1)
    with pytest.raises(WrongState):
        moves.apply(moves.EXPIRE, dossier, by=None, version=1)
