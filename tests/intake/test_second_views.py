"""The pages of the acts that take two people."""

import html
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake.desk_models import DecisionDraft
from onboarding.intake.models import Dossier
from onboarding.intake.proposal_models import Proposal
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices import delivery
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.factories.intake import DossierFactory, NameChoiceFactory, ProposalFactory
from tests.intake.browsing import decide, follow, form_of, page, said, sign_in
from tests.intake.conftest import staff
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
BUDGET = 15


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


@pytest.fixture
def second(lead: User) -> Client:
    return sign_in(lead)


@pytest.fixture
def sensitive(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    situation(S.IN_REVIEW, commune, agent, anct, instructor)
    Dossier.objects.update(storage_gb=21, allocation_reason="Archives.")
    return Dossier.objects.get()


@pytest.fixture
def waiting(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return situation(S.SECOND_APPROVAL, commune, agent, anct, instructor)


class TestPropose:
    def test_two_people_accept_through_the_pages(
        self, desk: Client, second: Client, sensitive: Dossier, lead: User
    ) -> None:
        at = f"/instruction/{sensitive.pk}/"
        assert f"{at}proposer/" in page(desk, at)
        text = said(page(desk, f"{at}proposer/"))
        assert "la dotation dépasse le double" in text
        assert follow(desk, f"{at}proposer/", rank="0", reason="Archives du cadastre.") == at
        html = page(desk, at)
        assert "/confirmer/" not in html
        assert f"{at}confirmer/" in page(second, at)
        assert "Archives du cadastre." in page(second, f"{at}confirmer/")
        assert "rochefort-en-terre.collectivite.fr" in page(second, f"{at}confirmer/")
        shown = second.post(f"{at}confirmer/", {**form_of(page(second, f"{at}confirmer/")), "words": "Vu."})
        assert "Votre demande" in said(shown.content.decode())
        assert Dossier.objects.get().status == S.SECOND_APPROVAL
        sent = {**form_of(shown.content.decode()), "etape": "envoi"}
        assert second.post(f"{at}confirmer/", sent)["Location"] == at
        sensitive.refresh_from_db()
        assert (sensitive.status, sensitive.decided_by, sensitive.four_eyed) == (S.APPROVED, lead, True)

    def test_an_alternative_that_is_sensitive_is_proposed_by_its_rank(self, desk: Client, sensitive: Dossier) -> None:
        NameChoiceFactory.create(dossier=sensitive, rank=1, typed="petite-cite.collectivite.fr")
        Dossier.objects.update(accepts_alternatives=True, justification="Notre surnom.")
        follow(desk, f"/instruction/{sensitive.pk}/proposer/", rank="1", reason="Surnom attesté.")
        assert Proposal.objects.get().rank == 1

    def test_a_proposal_without_a_reason_is_shown_again(self, desk: Client, sensitive: Dossier) -> None:
        url = f"/instruction/{sensitive.pk}/proposer/"
        response = desk.post(url, {"version": "1", "rank": "0", "reason": " "})
        html = response.content.decode()
        assert response.status_code == 422
        assert 'href="#id_reason"' in html
        assert "Erreur :" in html.replace("\u00a0", " ").split("</title>")[0]

    def test_proposing_twice_proposes_once(self, desk: Client, sensitive: Dossier) -> None:
        url = f"/instruction/{sensitive.pk}/proposer/"
        answers = [desk.post(url, {"version": "1", "rank": "0", "reason": "Archives."}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert Event.objects.filter(kind="propose_approval").count() == 1

    def test_words_for_a_dossier_that_moved_are_shown_again(
        self, desk: Client, second: Client, sensitive: Dossier
    ) -> None:
        refusal = {"version": "1", "reasons": ["other"], "message": "Non."}
        decide(second, f"/instruction/{sensitive.pk}/refuser/", refusal)
        url = f"/instruction/{sensitive.pk}/proposer/"
        response = desk.post(url, {"version": "1", "rank": "0", "reason": "Une longue explication."})
        assert response.status_code == 409
        text = said(response.content.decode())
        assert "Une longue explication." in text
        assert "Rien n’a été changé" in text
        assert "Refusée" in text

    def test_it_asks_for_a_second_factor(self, desk: Client, sensitive: Dossier) -> None:
        elevate(desk, ago=601)
        url = f"/instruction/{sensitive.pk}/proposer/"
        assert desk.post(url, {"version": "1", "rank": "0", "reason": "Archives."}).status_code == 403
        sensitive.refresh_from_db()
        assert sensitive.status == S.IN_REVIEW


class TestConfirm:
    def test_who_proposes_is_told_to_leave_it_to_another(self, waiting: Dossier, lead: User, desk: Client) -> None:
        response = desk.post(f"/instruction/{waiting.pk}/confirmer/", {"version": "1"})
        assert response.status_code == 403
        Dossier.objects.update(assignee=lead)
        Proposal.objects.update(proposer=lead)
        response = sign_in(lead).post(f"/instruction/{waiting.pk}/confirmer/", {"version": "1"})
        assert response.status_code == 403
        assert "une autre personne responsable" in response.content.decode()

    def test_confirming_twice_confirms_once(self, second: Client, waiting: Dossier) -> None:
        answers = [decide(second, f"/instruction/{waiting.pk}/confirmer/", {"version": "1"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert Event.objects.filter(kind="approve").count() == 1

    def test_a_proposal_that_lapsed_is_refused_with_its_remedy(self, second: Client, waiting: Dossier) -> None:
        Proposal.objects.update(lapses_at=timezone.now() - timedelta(hours=1))
        response = second.post(f"/instruction/{waiting.pk}/confirmer/", {"version": "1"})
        assert response.status_code == 422
        assert "proposée de nouveau" in response.content.decode()

    def test_the_page_of_acceptance_leads_here(self, second: Client, waiting: Dossier) -> None:
        response = second.get(f"/instruction/{waiting.pk}/accepter/")
        assert response["Location"] == f"/instruction/{waiting.pk}/confirmer/"

    def test_a_plain_dossier_is_not_accepted_here(
        self, commune: Organization, agent: User, anct: Operator, lead: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, lead)
        response = sign_in(lead).post(f"/instruction/{dossier.pk}/confirmer/", {"version": "1"})
        assert response.status_code == 409
        dossier.refresh_from_db()
        assert dossier.status == S.IN_REVIEW

    def test_it_reads_within_its_budget(
        self, second: Client, waiting: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(BUDGET):
            page(second, f"/instruction/{waiting.pk}/confirmer/")


class TestReopen:
    def test_a_refused_dossier_is_read_again(
        self, second: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.REJECTED, commune, agent, anct, instructor)
        at = f"/instruction/{dossier.pk}/"
        assert f"{at}rouvrir/" in page(second, at)
        assert second.post(f"{at}rouvrir/", {"version": "1", "reason": ""}).status_code == 422
        asked = {"version": "1", "reason": "Délibération reçue."}
        assert decide(second, f"{at}rouvrir/", asked)["Location"] == at
        assert second.post(f"{at}rouvrir/", {"version": "1", "reason": "Encore."}).status_code == 302
        assert Event.objects.filter(kind="reopen").count() == 1
        assert "Demande rouverte" in page(second, at)
        # Why is for colleagues; the commune reads that it is.
        theirs = page(sign_in(agent), f"/demandes/{dossier.pk}/")
        assert "Demande rouverte" in theirs
        assert "Délibération reçue." not in theirs


class TestProposeRevocation:
    def test_it_waits_for_another_lead(
        self, second: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.APPROVED, commune, agent, anct, instructor)
        at = f"/instruction/{dossier.pk}/"
        assert follow(second, f"{at}proposer-l-annulation/", reason="Fusion.") == at
        assert f"{at}annuler/" not in page(second, at)
        other = sign_in(staff(anct, OperatorRole.Role.LEAD))
        assert f"{at}annuler/" in page(other, at)
        assert "Annulation proposée" not in page(sign_in(agent), f"/demandes/{dossier.pk}/")


class TestRevoke:
    def test_it_says_that_nothing_is_deleted_and_ends_once(
        self, second: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.APPROVED, commune, agent, anct, instructor)
        ProposalFactory.create(dossier=dossier, revocation=True)
        url = f"/instruction/{dossier.pk}/annuler/"
        assert "Rien n’est supprimé" in said(page(second, url))
        answers = [decide(second, url, {"version": "1"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        dossier.refresh_from_db()
        assert dossier.status == S.REVOKED
        assert Event.objects.filter(kind="revoke").count() == 1
        assert "Annulée" in page(sign_in(agent), f"/demandes/{dossier.pk}/")

    def test_without_a_proposal_it_says_so(
        self, second: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.APPROVED, commune, agent, anct, instructor)
        response = second.post(f"/instruction/{dossier.pk}/annuler/", {"version": "1"})
        assert response.status_code == 422
        assert "proposez-le d’abord" in response.content.decode()


class TestPreview:
    """What writes to the commune shows first what it will write, and writes that."""

    @pytest.mark.parametrize(
        ("status", "act", "words"),
        [
            (S.SECOND_APPROVAL, "confirmer", {"words": "Vu."}),
            (S.REJECTED, "rouvrir", {"reason": "Délibération reçue."}),
            (S.APPROVED, "annuler", {}),
            (S.IN_REVIEW, "doublon", {"message": "Votre « EPCI » a < déjà > demandé."}),
        ],
        ids=["confirm", "reopen", "revoke", "duplicate"],
    )
    def test_what_is_previewed_is_what_leaves_to_the_byte(  # noqa: PLR0917 - the people
        self,
        status: str,
        act: str,
        words: dict[str, str],
        second: Client,
        commune: Organization,
        agent: User,
        anct: Operator,
        instructor: User,
    ) -> None:
        dossier = situation(status, commune, agent, anct, instructor)
        if status == S.APPROVED:
            ProposalFactory.create(dossier=dossier, revocation=True)
        if act == "doublon":
            words = {**words, "avec": str(DossierFactory.create(sent=True).pk)}
        url = f"/instruction/{dossier.pk}/{act}/"
        shown = second.post(url, {"version": "1", "etape": "apercu", **words})
        assert shown.status_code == 200
        assert "Rien n’est encore décidé" in said(shown.content.decode())
        assert not Notice.objects.exists()
        assert not Event.objects.exists()
        letters = DecisionDraft.objects.get().letters
        assert letters[0]["subject"] in html.unescape(shown.content.decode())
        assert second.post(url, {"version": "1", **words}).status_code == 200, "never sent without the page"
        sent = {**form_of(shown.content.decode()), "etape": "envoi"}
        assert second.post(url, sent).status_code == 302
        assert not DecisionDraft.objects.exists()
        leaving = Notice.objects.filter(event__subject=dossier.pk).order_by("event__seq", "kind", "recipient")
        assert len(letters) == len(leaving) > 0
        for letter, notice in zip(letters, leaving, strict=True):
            delivery.deliver(notice.pk)
            message = mail.outbox[-1]
            assert isinstance(message, EmailMultiAlternatives)
            assert message.to == [letter["recipient"]]
            assert message.subject == letter["subject"]
            assert message.body == letter["text"]
            assert message.alternatives[0][0] == letter["html"]
