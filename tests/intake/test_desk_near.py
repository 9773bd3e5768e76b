"""What resembles a dossier, side by side, and « Doublon de … »."""

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import duplicates, nearby
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed
from suite.accounts.mandate_models import Document
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.notices.models import Notice
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory
from tests.factories.mandates import MandateProofFactory
from tests.intake.browsing import decide, form_of, page, said, sign_in
from tests.intake.conftest import staff

S = Dossier.Status
LETTERS = st.text("abc", max_size=6)


@given(LETTERS, LETTERS)
def test_one_edit_is_the_damerau_distance_of_one(one: str, other: str) -> None:
    letters = "abc"
    edits = {
        *(one[:at] + one[at + 1 :] for at in range(len(one))),
        *(one[:at] + letter + one[at:] for at in range(len(one) + 1) for letter in letters),
        *(one[:at] + letter + one[at + 1 :] for at in range(len(one)) for letter in letters),
        *(one[:at] + one[at + 1] + one[at] + one[at + 2 :] for at in range(len(one) - 1)),
    } - {one}
    assert nearby.one_edit(one, other) == (other in edits)
    assert nearby.one_edit(one, other) == nearby.one_edit(other, one)


@pytest.fixture
def mine(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(
        organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor,
        requester_email="secretaire@ailleurs.example",
    )  # fmt: skip


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


@pytest.mark.django_db
class TestNear:
    def test_each_kind_of_nearness_is_found_and_named(
        self, mine: Dossier, desk: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        earlier = DossierFactory.create(organization=mine.organization, rejected=True)
        alike = DossierFactory.create(sent=True, contents=False)
        NameChoiceFactory.create(dossier=alike, typed="rochefortenterre.collectivite.fr")
        letter = CommuneFactory.create(name="Rochefort-en-Tere", department__code="56")
        neighbour = DossierFactory.create(sent=True, organization=letter)
        elsewhere = CommuneFactory.create(name="Rochefort-en-Terne", department__code="35")
        DossierFactory.create(sent=True, organization=elsewhere)
        same_person = DossierFactory.create(sent=True, requester_email="secretaire@ailleurs.example")
        paper = DossierFactory.create(sent=True)
        for dossier in (mine, paper):
            proof = MandateProofFactory.create(
                organization=dossier.organization, user=dossier.author, document=True, pending=True
            )
            Document.objects.create(proof=proof, stored_name=f"{dossier.pk}.pdf", kind="pdf", size=1, sha256="a" * 64)
        DossierFactory.create(requester_email="secretaire@ailleurs.example")  # a draft is nobody's business
        with django_assert_max_num_queries(7):
            found = {one.dossier: one.reasons for one in nearby.near(mine)}
        assert found == {
            earlier: [nearby.SAME["organization"]],
            alike: [nearby.SAME["name"]],
            neighbour: [nearby.SAME["neighbour"]],
            same_person: [nearby.SAME["requester"]],
            paper: [nearby.SAME["document"]],
        }
        text = said(page(desk, reverse("desk:near", args=[mine.pk])))
        for dossier in found:
            assert f"Comparer avec {dossier.reference}" in text

    def test_what_is_out_of_sight_is_counted_and_not_named(self, mine: Dossier) -> None:
        here = staff(OperatorFactory.create(departments=["56"]), OperatorRole.Role.INSTRUCTOR)
        away = DossierFactory.create(sent=True, requester_email="secretaire@ailleurs.example")
        text = said(page(sign_in(here), reverse("desk:near", args=[mine.pk])))
        assert away.reference not in text
        assert "1 autre demande, hors de votre périmètre" in text


@pytest.mark.django_db
class TestCompare:
    def test_two_dossiers_stand_side_by_side(self, mine: Dossier, desk: Client) -> None:
        other = DossierFactory.create(sent=True, storage_gb=12)
        text = said(page(desk, f"{reverse('desk:compare', args=[mine.pk])}?avec={other.pk}"))
        assert "Stockage 10 Go 12 Go Non" in text
        assert "Téléphone 02 97 00 00 00 02 97 00 00 00 Oui" in text

    @pytest.mark.parametrize("typed", ["", "x", "itself", "draft", "away"])
    def test_the_other_must_be_another_in_sight(self, typed: str, mine: Dossier) -> None:
        here = sign_in(staff(OperatorFactory.create(departments=["56"]), OperatorRole.Role.INSTRUCTOR))
        known = {"itself": mine.pk, "draft": DossierFactory.create().pk, "away": DossierFactory.create(sent=True).pk}
        response = here.get(reverse("desk:compare", args=[mine.pk]), {"avec": str(known.get(typed, typed))})
        assert response["Location"] == reverse("desk:near", args=[mine.pk])


@pytest.mark.django_db
class TestDuplicate:
    def test_it_is_refused_and_linked_and_nothing_is_merged(self, mine: Dossier, desk: Client) -> None:
        first = DossierFactory.create(sent=True)
        before = Dossier.objects.filter(pk=first.pk).values().get()
        url = f"{reverse('desk:duplicate', args=[mine.pk])}?avec={first.pk}"
        words = {"avec": str(first.pk), "message": "Votre EPCI a déjà demandé."}
        assert decide(desk, url, {**form_of(page(desk, url)), **words}).status_code == 302
        mine.refresh_from_db()
        assert mine.status == S.REJECTED
        assert mine.duplicate_of == first
        assert Dossier.objects.filter(pk=first.pk).values().get() == before
        notice = Notice.objects.get(kind="dossier_rejected")
        assert "Une autre demande de la commune est déjà traitée" in notice.body_text
        assert f"doublon de la demande {first.reference}" in said(page(desk, f"/instruction/{mine.pk}/"))

    def test_another_commune_s_dossier_is_not_named_to_the_commune(self, mine: Dossier) -> None:
        other = DossierFactory.create(sent=True)
        own = DossierFactory.create(organization=mine.organization, rejected=True)
        assert other.reference not in duplicates.message(mine, other)
        assert own.reference in duplicates.message(mine, own)

    def test_words_are_asked_and_a_chain_of_doubles_is_refused(
        self, mine: Dossier, desk: Client, instructor: User, anct: Operator
    ) -> None:
        other = DossierFactory.create(sent=True)
        url = f"{reverse('desk:duplicate', args=[mine.pk])}?avec={other.pk}"
        data = {"version": "1", "avec": str(other.pk), "message": " "}
        assert desk.post(url, data).status_code == 422
        double = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        duplicates.close(double, other, by=instructor, version=1, message="Doublon.")
        double.refresh_from_db()
        with pytest.raises(GuardFailed, match="originale"):
            duplicates.close(mine, double, by=instructor, version=1, message="Doublon.")
        mine.refresh_from_db()
        assert mine.status == S.IN_REVIEW
