"""The assisted route, the freeze, and the levels that an approval asks for."""

import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.agreements.texts import bundle, in_force, route
from onboarding.intake import acting, assisted, moves, workflow
from onboarding.intake.models import Dossier, MailboxRequest
from suite.accounts import codes
from suite.accounts.mandate_models import Letter, MandateProof
from suite.accounts.mandate_objections import object_to
from suite.accounts.mandate_workflow import MandateRefused, confirm_case, request_letter
from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.directory import DeclaredContactFactory, OperatorFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, NameChoiceFactory
from tests.factories.mandates import MandateProofFactory
from tests.intake.browsing import page, said, sign_in
from tests.intake.conftest import staff

S = Dossier.Status
COMPLETE = {
    "requester_given_name": "Camille",
    "requester_family_name": "Dupont",
    "requester_function": "secretaire",
    "requester_email": "camille@ailleurs.example",
    "requester_phone": "02 97 00 00 00",
    "family": "collectivite",
    "storage_gb": 10,
    "declares_exact": True,
    "declares_mandate": True,
    "accepts_terms": True,
}


@pytest.fixture
def contact(commune: Organization) -> None:
    DeclaredContactFactory.create(organization=commune)


@pytest.fixture
def secretary(commune: Organization) -> User:
    return MembershipFactory.create(organization=commune, user__email="camille@ailleurs.example").user


@pytest.fixture
def dossier(commune: Organization, contact: None, instructor: User) -> Dossier:
    """A complete draft that an operator prepared."""
    dossier = assisted.prepare(commune, by=instructor)
    terms_version = bundle(in_force(route(commune)))
    Dossier.objects.filter(pk=dossier.pk).update(**COMPLETE, terms_version=terms_version)
    dossier.refresh_from_db()
    NameChoiceFactory.create(dossier=dossier)
    MailboxRequestFactory.create(dossier=dossier, administrator=True)
    return dossier


def printed(dossier: Dossier, by: User) -> str:
    """Ask for the letter, and return the code that the operators will print."""
    from suite.accounts.mandate_desk_workflow import print_letters  # noqa: PLC0415 - a printer's gesture

    proof = request_letter(dossier.organization, subject=assisted.subject_of(dossier), by=by, elected=False)
    letter = Letter.objects.get(proof=proof)
    printer = staff(Operator.objects.get(national=True), OperatorRole.Role.INSTRUCTOR)
    (paper,) = print_letters([letter], by=printer)
    assert paper.reference == dossier.reference
    assert codes.normalise(paper.code) == codes.unseal(letter.sealed_code)
    return paper.code


def taken(dossier: Dossier, by: User, preparer: User) -> Dossier:
    sent = workflow.submit(Dossier.objects.get(pk=dossier.pk), by=preparer, version=dossier.version)
    return workflow.take(sent, by=by, version=sent.version)


class TestPrepare:
    def test_an_operator_opens_a_draft_on_behalf_of_the_commune(
        self, commune: Organization, contact: None, instructor: User
    ) -> None:
        client = sign_in(instructor)
        assert "Préparer une demande" in page(client, reverse("desk:prepare"))
        response = client.post(reverse("desk:prepare"), {"commune": commune.code})
        dossier = Dossier.objects.get()
        assert response["Location"] == reverse("intake:step", args=[dossier.pk, 1])
        assert (dossier.author, dossier.prepared_by, dossier.requester_email) == (instructor, instructor, "")
        assert Event.objects.filter(kind="prepare", actor=instructor.pk).count() == 1
        client.post(reverse("desk:prepare"), {"commune": commune.code})
        assert Dossier.objects.count() == 1

    @pytest.mark.parametrize("typed", ["", "99999", "rien", "\x00"])
    def test_a_code_of_nothing_is_said(self, instructor: User, typed: str) -> None:
        response = sign_in(instructor).post(reverse("desk:prepare"), {"commune": typed})
        assert response.status_code == 422
        assert 'role="alert"' in response.content.decode()

    def test_it_is_for_who_instructs_the_territory(self, commune: Organization, anct: Operator, agent: User) -> None:
        elsewhere = staff(OperatorFactory.create(departments=["75"]), OperatorRole.Role.LEAD)
        reader = staff(anct, OperatorRole.Role.READER)
        for person in (elsewhere, reader, agent):
            response = sign_in(person).post(reverse("desk:prepare"), {"commune": commune.code})
            assert response.status_code == 403
        assert not Dossier.objects.exists()

    def test_nobody_prepares_for_the_commune_where_it_works(self, commune: Organization, instructor: User) -> None:
        MembershipFactory.create(user=instructor, organization=commune)
        with pytest.raises(moves.NotAllowed):
            assisted.prepare(commune, by=instructor)


class TestStand:
    def test_a_letter_is_asked_and_the_page_says_where_it_is(
        self, dossier: Dossier, instructor: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        client, url = sign_in(instructor), reverse("intake:stand", args=[dossier.pk])
        assert client.post(url, {"action": "letter"}).status_code == 302
        with django_assert_max_num_queries(15):
            assert "Code envoyé par courrier" in page(client, url)
        assert MandateProof.objects.get().case == dossier.pk

    def test_a_document_is_handed_in(
        self, dossier: Dossier, instructor: User, settings: Settings, tmp_path: object
    ) -> None:
        settings.DOCUMENTS_DIR = tmp_path
        client, url = sign_in(instructor), reverse("intake:stand", args=[dossier.pk])
        assert client.post(url, {"action": "document"}).status_code == 422
        wrong = SimpleUploadedFile("a.pdf", b"MZ")
        assert client.post(url, {"action": "document", "file": wrong}).status_code == 422
        right = SimpleUploadedFile("a.pdf", b"%PDF-1.4\n%%EOF")
        assert client.post(url, {"action": "document", "file": right}).status_code == 302

    def test_it_is_the_preparer_s(self, dossier: Dossier, lead: User, stranger: User) -> None:
        url = reverse("intake:stand", args=[dossier.pk])
        assert sign_in(lead).get(url).status_code == 404
        assert sign_in(stranger).get(url).status_code == 404


class TestSubmit:
    def test_it_is_not_sent_before_the_town_hall_confirmed(self, dossier: Dossier, instructor: User) -> None:
        with pytest.raises(moves.GuardFailed, match="La mairie n’a pas encore confirmé"):
            workflow.submit(dossier, by=instructor, version=dossier.version)

    def test_the_code_of_the_letter_confirms_without_an_account(self, dossier: Dossier, instructor: User) -> None:
        code = printed(dossier, instructor)
        answer = Client().post(
            reverse("accounts:mandate_confirm"), {"reference": dossier.reference.lower(), "code": code.lower()}
        )
        assert answer.status_code == 200
        assert "Merci, c’est confirmé" in answer.content.decode()
        assert acting.mandate_of(dossier) == Mandate.PROVED
        assert workflow.submit(dossier, by=instructor, version=dossier.version).status == S.SUBMITTED

    def test_a_wrong_end_of_a_code_counts_and_five_end_it(self, dossier: Dossier, instructor: User) -> None:
        code = codes.normalise(printed(dossier, instructor))
        wrong = code[:4] + ("AAAAAA" if code[4:] != "AAAAAA" else "CCCCCC")
        for _ in range(5):
            with pytest.raises(MandateRefused):
                confirm_case(dossier.reference, wrong)
        with pytest.raises(MandateRefused):
            confirm_case(dossier.reference, code)


def accepted_by_two(dossier: Dossier, first: User, second: User) -> Dossier:
    proposed = workflow.propose_approval(dossier, by=first, version=dossier.version, reason="La mairie a répondu.")
    return workflow.approve(proposed, by=second, version=proposed.version)


class TestApprove:
    def test_a_lead_who_did_not_prepare_it_decides_and_nobody_becomes_manager(
        self, dossier: Dossier, anct: Operator, instructor: User, lead: User
    ) -> None:
        confirm_case(dossier.reference, printed(dossier, instructor))
        other = staff(anct, OperatorRole.Role.INSTRUCTOR)
        reviewed = taken(dossier, other, instructor)
        with pytest.raises(moves.GuardFailed, match="préparé cette demande"):
            workflow.approve(reviewed, by=other, version=reviewed.version)
        with pytest.raises(moves.NotAllowed):
            workflow.approve(reviewed, by=instructor, version=reviewed.version)
        done = accepted_by_two(reviewed, other, lead)
        assert done.status == S.APPROVED
        assert not Membership.objects.filter(organization=dossier.organization).exists()

    def test_the_database_refuses_that_the_preparer_decides(self, instructor: User) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            DossierFactory.create(approved=True, prepared_by=instructor, decided_by=instructor)

    def test_no_derogation_stands_for_the_town_hall(self, dossier: Dossier, anct: Operator, instructor: User) -> None:
        confirm_case(dossier.reference, printed(dossier, instructor))
        other = staff(anct, OperatorRole.Role.INSTRUCTOR)
        reviewed = taken(dossier, other, instructor)
        MandateProof.objects.update(state=MandateProof.State.REVOKED)
        with pytest.raises(moves.GuardFailed, match="M2"):
            workflow.propose_approval(
                reviewed, by=other, version=reviewed.version, reason="Appel.", check="Appel à la mairie"
            )


class TestTakeOver:
    def post(self, user: User, dossier: Dossier, code: str) -> int:
        data = {"reference": dossier.reference, "code": code}
        return sign_in(user).post(reverse("intake:take_over"), data).status_code

    def test_the_secretary_takes_it_over_with_the_letter_and_it_serves_once(
        self, dossier: Dossier, instructor: User, secretary: User
    ) -> None:
        code = printed(dossier, instructor)
        confirm_case(dossier.reference, code)
        assert self.post(secretary, dossier, code) == 302
        dossier.refresh_from_db()
        assert (dossier.author, dossier.prepared_by) == (secretary, instructor)
        assert mandate(secretary, dossier.organization) == Mandate.DOUBLE
        assert Event.objects.filter(kind="take_over", actor=secretary.pk).count() == 1
        colleague = MembershipFactory.create(organization=dossier.organization).user
        assert self.post(colleague, dossier, code) == 422

    def test_both_the_account_and_the_code_are_needed(
        self, dossier: Dossier, instructor: User, secretary: User, stranger: User
    ) -> None:
        code = printed(dossier, instructor)
        assert self.post(stranger, dossier, code) == 422
        assert self.post(secretary, dossier, "AAAAA AAAAA") == 422
        dossier.refresh_from_db()
        assert dossier.author == instructor
        assert self.post(secretary, dossier, code) == 302

    def test_after_the_approval_its_person_becomes_the_manager(
        self, dossier: Dossier, anct: Operator, instructor: User, lead: User, secretary: User
    ) -> None:
        code = printed(dossier, instructor)
        confirm_case(dossier.reference, code)
        other = staff(anct, OperatorRole.Role.INSTRUCTOR)
        accepted_by_two(taken(dossier, other, instructor), other, lead)
        assert self.post(secretary, dossier, code) == 302
        right = Membership.objects.get(user=secretary)
        assert (right.role, right.state, right.decided_by) == (Membership.Role.MANAGER, Membership.State.ACTIVE, lead)

    def test_a_draft_of_one_s_own_comes_first_and_the_code_is_not_lost(
        self, dossier: Dossier, instructor: User, secretary: User
    ) -> None:
        code = printed(dossier, instructor)
        own = workflow.create(dossier.organization, by=secretary)
        response = sign_in(secretary).post(reverse("intake:take_over"), {"reference": dossier.reference, "code": code})
        assert response.status_code == 422
        assert "retirez-le" in response.content.decode()
        workflow.withdraw(own, by=secretary, version=own.version)
        assert self.post(secretary, dossier, code) == 302

    def test_the_page_offers_it(self, secretary: User) -> None:
        assert "Reprendre" in page(sign_in(secretary), reverse("intake:take_over"))


class TestFreeze:
    @pytest.fixture
    def reviewed(self, commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
        return DossierFactory.create(
            in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor
        )

    def test_an_objection_stops_asking_and_accepting_but_not_refusing(
        self, reviewed: Dossier, agent: User, instructor: User
    ) -> None:
        object_to(MandateProofFactory.create(organization=reviewed.organization, user=agent, letter=True))
        with pytest.raises(moves.GuardFailed, match="conteste"):
            workflow.approve(reviewed, by=instructor, version=1, check="Appel à la mairie")
        assert "La mairie conteste" in said(page(sign_in(instructor), reverse("desk:detail", args=[reviewed.pk])))
        assert workflow.reject(reviewed, ["no_mandate"], by=instructor, version=1, message="Non.").status == S.REJECTED

    def test_an_objection_against_a_prepared_dossier_stops_it(self, dossier: Dossier, instructor: User) -> None:
        confirm_case(dossier.reference, printed(dossier, instructor))
        object_to(MandateProof.objects.get())
        with pytest.raises(moves.GuardFailed, match="conteste"):
            workflow.submit(dossier, by=instructor, version=dossier.version)


class TestLevels:
    @pytest.fixture
    def review(
        self, commune: Organization, anct: Operator, instructor: User, secretary: User
    ) -> Callable[[str], Dossier]:
        def review(family: str) -> Dossier:
            dossier = DossierFactory.create(
                in_review=True,
                organization=commune,
                author=secretary,
                operator=anct,
                assignee=instructor,
                family=family,
                dns_manager="commune",
                mail_in_use=False,
                contents=False,
            )
            zone = "collectivite.fr" if family == "collectivite" else "fr"
            NameChoiceFactory.create(dossier=dossier, typed=f"rochefort-en-terre.{zone}")
            MailboxRequestFactory.create(dossier=dossier, administrator=True)
            return dossier

        return review

    def test_a_shared_name_at_m1_asks_what_the_operator_checked(
        self, review: Callable[[str], Dossier], instructor: User
    ) -> None:
        dossier = review("collectivite")
        with pytest.raises(moves.GuardFailed) as refused:
            workflow.approve(dossier, by=instructor, version=1)
        assert [problem.field for problem in refused.value.problems] == ["check"]
        client = sign_in(instructor)
        assert "Ce que vous avez vérifié" in page(client, reverse("desk:approve", args=[dossier.pk]))
        done = workflow.approve(dossier, by=instructor, version=1, check="Appel à la mairie le 3.")
        assert done.status == S.APPROVED

    @pytest.mark.parametrize("family", ["new", "existing"])
    def test_another_name_asks_for_m2_or_for_two_people(
        self, review: Callable[[str], Dossier], instructor: User, secretary: User, commune: Organization, family: str
    ) -> None:
        dossier = review(family)
        with pytest.raises(moves.GuardFailed, match="code par courrier ou un document"):
            workflow.approve(dossier, by=instructor, version=1, check="Facture du registre vue.")
        MandateProofFactory.create(user=secretary, organization=commune, letter=True)
        again = Dossier.objects.get(pk=dossier.pk)
        done = workflow.approve(again, by=instructor, version=1, check="Facture du registre vue.")
        assert done.status == S.APPROVED

    def test_a_person_without_the_siret_sends_once_the_mailbox_answered(
        self, commune: Organization, anct: Operator
    ) -> None:
        person = UserFactory.create()
        dossier = DossierFactory.create(organization=commune, author=person)
        with pytest.raises(moves.GuardFailed, match="prouvez votre habilitation"):
            workflow.submit(dossier, by=person, version=1)
        MandateProofFactory.create(user=person, organization=commune)
        assert workflow.submit(Dossier.objects.get(), by=person, version=1).status == S.SUBMITTED
        assert MailboxRequest.objects.exists()


def test_the_letter_s_code_is_never_told_to_the_preparer(dossier: Dossier, instructor: User) -> None:
    code = codes.normalise(printed(dossier, instructor))
    shown = page(sign_in(instructor), reverse("intake:stand", args=[dossier.pk]))
    assert code not in re.sub(r"\s", "", shown)
