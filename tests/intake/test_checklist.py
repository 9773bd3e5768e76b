"""The evidence: what each check says, how long it holds, and who set a doubt aside."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from onboarding.intake import checklist, evidence, moves, tasks, workflow
from onboarding.intake.desk_models import CheckItem, ReadMark
from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices import workflow as notices
from suite.notices.models import Notice
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory, ProposalFactory
from tests.factories.notices import NoticeFactory
from tests.intake.browsing import page, said, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor)


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


@pytest.fixture
def doubted(mine: Dossier) -> Dossier:
    """Somebody else's open dossier wishes the very name."""
    rival = DossierFactory.create(sent=True, contents=False)
    NameChoiceFactory.create(dossier=rival, typed=mine.names.get().fqdn)
    return mine


def results(dossier: Dossier) -> dict[str, str]:
    return {one.code: one.result for one in checklist.evaluate(dossier)}


class TestChecks:
    def test_a_dossier_without_a_doubt_is_complete(self, mine: Dossier) -> None:
        found = results(mine)
        assert {code for code, result in found.items() if result != "ok"} == {"activity", "contact", "reachable"}
        assert checklist.complete(mine) == []

    def test_each_doubt_shows(self, mine: Dossier) -> None:
        Dossier.objects.update(storage_gb=25)
        mine.names.update(fqdn="petite-cite.collectivite.fr")
        DossierFactory.create(organization=mine.organization, rejected=True)
        NoticeFactory.create(
            state="bounced", bounced_at=timezone.now(), recipient=mine.requester_email,
            event=Event.objects.create(stream="dossier", subject=mine.pk, seq=1, kind="submit", hash="x"),
        )  # fmt: skip
        mine.refresh_from_db()
        found = results(mine)
        assert {code: found[code] for code in ("allocation", "name", "earlier", "reachable", "four_eyes")} == {
            "allocation": "ko", "name": "ko", "earlier": "manual", "reachable": "ko", "four_eyes": "manual",
        }  # fmt: skip
        assert [problem.field for problem in checklist.complete(mine)] == ["check-reachable"]
        assert Notice.objects.count() == 1

    def test_unknown_is_not_ok(self, mine: Dossier) -> None:
        Organization.objects.filter(pk=mine.organization_id).update(siren=None)
        fresh = Dossier.objects.get(pk=mine.pk)
        assert results(fresh)["siret"] == "unknown"
        assert [problem.field for problem in checklist.complete(fresh)] == ["check-siret"]

    def test_a_neighbour_one_letter_away_is_a_doubt(self, mine: Dossier) -> None:
        neighbour = CommuneFactory.create(name="Rochefort-en-Terres", department__code="56")
        DossierFactory.create(sent=True, organization=neighbour)
        assert results(mine)["holds"] == "ko"


class TestRefreshChecks:
    def test_evidence_is_kept_with_its_date_and_a_get_keeps_nothing(self, desk: Client, mine: Dossier) -> None:
        assert "pas encore été faites" in page(desk, f"/instruction/{mine.pk}/")
        assert not CheckItem.objects.exists()
        desk.post(reverse("desk:refresh_checks", args=[mine.pk]))
        assert {item.code for item in mine.check_items.all()} >= {"siret", "mandate", "holds", "four_eyes"}
        text = said(page(desk, f"/instruction/{mine.pk}/"))
        assert "3 500" in text
        assert "pas encore été faites" not in text

    def test_a_worker_does_again_what_is_missing_old_or_of_another_version(self, mine: Dossier) -> None:
        tasks.refresh_evidence()
        assert not evidence.stale().exists()
        CheckItem.objects.filter(code="holds").update(valid_until=timezone.now() - timedelta(seconds=1))
        assert evidence.stale().get() == mine
        tasks.refresh_evidence()
        assert not evidence.stale().exists()
        Dossier.objects.update(version=7)
        assert evidence.stale().get() == mine
        tasks.refresh_evidence()
        assert set(CheckItem.objects.values_list("dossier_version", flat=True)) == {7}

    def test_a_message_that_comes_back_is_an_item_and_a_flag_without_waiting(self, desk: Client, mine: Dossier) -> None:
        event = record("dossier", mine.pk, "take", by=mine.assignee)
        notice = NoticeFactory.create(
            recipient=mine.requester_email, event=event, state="sent", sent_at=timezone.now(), attempts=1
        )
        tasks.refresh_evidence()
        assert not evidence.stale().exists()
        assert mine.reference not in page(desk, "/instruction/?signal=non-remis")
        assert notices.bounced(notice, "Boîte inconnue.")
        assert evidence.stale().get() == mine
        tasks.refresh_evidence()
        assert not evidence.stale().exists()
        item = CheckItem.objects.get(code="reachable")
        assert (item.result, item.value) == ("ko", "bounced")
        assert "Boîte inconnue." in item.evidence
        assert [problem.field for problem in checklist.complete(mine)] == ["check-reachable"]
        assert mine.reference in page(desk, "/instruction/?signal=non-remis")

    def test_evidence_about_an_older_version_replaces_nothing(self, mine: Dossier) -> None:
        Dossier.objects.update(version=2)
        assert checklist.refresh(mine) == []
        assert not CheckItem.objects.exists()


class TestOverride:
    WHY = "Appelé la mairie : l’autre demande est une erreur."

    def test_a_doubt_keeps_the_dossier_from_being_complete_until_somebody_says_why(
        self, desk: Client, doubted: Dossier, instructor: User
    ) -> None:
        assert [problem.field for problem in checklist.complete(doubted)] == ["check-holds"]
        url = reverse("desk:override", args=[doubted.pk])
        assert "Écarter ce doute" not in page(desk, f"/instruction/{doubted.pk}/")
        checklist.refresh(doubted)
        assert "Écarter ce doute" in page(desk, f"/instruction/{doubted.pk}/")
        assert desk.post(url, {"version": "1", "code": "holds", "why": "ok"}).status_code == 422
        assert desk.post(url, {"version": "1", "code": "holds", "why": self.WHY}).status_code == 302
        assert checklist.complete(doubted) == []
        event = Event.objects.get(kind="check_overridden")
        assert (event.actor, event.payload["check"], event.text.comment) == (instructor.pk, "holds", self.WHY)
        assert f"Écarté par {instructor.get_full_name()}" in said(page(desk, f"/instruction/{doubted.pk}/"))

    def test_no_approval_passes_over_a_doubt(self, doubted: Dossier, instructor: User, lead: User) -> None:
        words = "Homonymes et autres demandes du nom"
        with pytest.raises(moves.GuardFailed, match=words):
            workflow.approve(doubted, by=instructor, version=1)
        Dossier.objects.filter(pk=doubted.pk).update(storage_gb=25, allocation_reason="Archives")
        with pytest.raises(moves.GuardFailed, match=words):
            workflow.propose_approval(
                Dossier.objects.get(pk=doubted.pk), by=instructor, version=1, check="Appel.", reason="Archives."
            )
        Dossier.objects.filter(pk=doubted.pk).update(status="second_approval")
        ProposalFactory.create(dossier=Dossier.objects.get(pk=doubted.pk))
        with pytest.raises(moves.GuardFailed, match=words):
            workflow.approve(Dossier.objects.get(pk=doubted.pk), by=lead, version=1, derogation="Vu.")
        assert not Event.objects.filter(kind__in=["approve", "propose_approval"]).exists()

    def test_a_doubt_set_aside_lets_the_approval_through(self, doubted: Dossier, instructor: User) -> None:
        checklist.override(doubted, "holds", self.WHY, by=instructor, version=1)
        assert workflow.approve(doubted, by=instructor, version=1).status == "approved"

    def test_the_word_is_void_once_the_evidence_changes(self, doubted: Dossier, instructor: User) -> None:
        checklist.override(doubted, "holds", self.WHY, by=instructor, version=1)
        another = DossierFactory.create(sent=True, contents=False)
        NameChoiceFactory.create(dossier=another, typed=doubted.names.get().fqdn)
        assert [problem.field for problem in checklist.complete(doubted)] == ["check-holds"]
        checklist.refresh(doubted)
        assert CheckItem.objects.get(code="holds").why == ""

    def test_there_must_be_a_doubt_and_a_right(self, doubted: Dossier, instructor: User, lead: User) -> None:
        for code in ("siret", "nothing"):
            with pytest.raises(moves.GuardFailed):
                checklist.override(doubted, code, self.WHY, by=instructor, version=1)
        with pytest.raises(moves.Stale):
            checklist.override(doubted, "holds", self.WHY, by=instructor, version=9)
        Dossier.objects.update(assignee=lead)
        with pytest.raises(moves.NotAllowed):
            checklist.override(Dossier.objects.get(pk=doubted.pk), "holds", self.WHY, by=instructor, version=1)


class TestMarkRead:
    def test_what_is_new_is_told_until_it_is_read_and_reading_is_a_post(
        self, desk: Client, mine: Dossier, instructor: User, lead: User
    ) -> None:
        at = f"/instruction/{mine.pk}/"
        sign_in(lead).post(f"{at}rendre/", {"version": "1"})
        page(desk, at)
        assert not ReadMark.objects.filter(user=instructor).exists()
        assert desk.post(reverse("desk:mark_read", args=[mine.pk]), {"seq": "1"}).status_code == 302
        assert "Depuis votre lecture" not in page(desk, at)
        sign_in(lead).post(f"{at}prendre/", {"version": "2"})
        text = said(page(desk, at))
        assert "Depuis votre lecture" in text
        assert "Instruction commencée" in text.split("Demandes proches")[0]
        # A tab that showed less takes nothing back, and nobody reads the future.
        for seq, kept in (("2", 2), ("1", 2), ("99", 2), ("x", 2)):
            desk.post(reverse("desk:mark_read", args=[mine.pk]), {"seq": seq}, headers={"HX-Request": "true"})
            assert ReadMark.objects.get(user=instructor).seq == kept

    def test_acting_is_reading(self, desk: Client, mine: Dossier, instructor: User) -> None:
        desk.post(f"/instruction/{mine.pk}/rendre/", {"version": "1"})
        assert ReadMark.objects.get(user=instructor).seq == 1
