"""May this name be given: two dossiers for one name, the registry's word, ranked alternatives."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from onboarding.intake import alternatives, checks, granting, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed
from onboarding.intake.name_models import LostName, NameLookup, NameQuestion
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory
from tests.factories.provisioning import deployment
from tests.intake.browsing import decide, page, said, sign_in
from tests.intake.test_races import together

ZONE = "collectivite.fr"
CHECK = "Les deux communes ont montré le même contrat."


def rival(anct: Operator, instructor: User, fqdn: str, name: str = "Malansac", **traits: object) -> Dossier:
    """Return another commune's dossier in review, that wishes the name."""
    commune = CommuneFactory.create(name=name, department__code="56")
    DeclaredContactFactory.create(organization=commune)
    author = MembershipFactory.create(organization=commune).user
    dossier: Dossier = DossierFactory.create(
        in_review=True, organization=commune, author=author, operator=anct, assignee=instructor, **traits
    )
    dossier.names.filter(rank=0).update(typed=fqdn, fqdn=fqdn)
    return Dossier.objects.get(pk=dossier.pk)


@pytest.fixture
def mine(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor)


def existing(*dossiers: Dossier, fqdn: str = "commun-exemple.fr") -> None:
    for dossier in dossiers:
        Dossier.objects.filter(pk=dossier.pk).update(family="existing", dns_manager="commune", mail_in_use=False)
        dossier.names.filter(rank=0).update(typed=fqdn, fqdn=fqdn)


@pytest.mark.django_db(transaction=True)
class TestTwoForOne:
    def test_r13_two_approvals_at_once_make_one_reservation_and_the_other_is_told(
        self, mine: Dossier, anct: Operator, instructor: User
    ) -> None:
        other = rival(anct, instructor, "x.fr")
        existing(mine, other)
        for loser in (mine, other):
            NameChoiceFactory.create(dossier=loser, rank=1, typed=f"repli-{loser.reference.lower()}.fr")
        answers = together(
            lambda: workflow.approve(Dossier.objects.get(pk=mine.pk), by=instructor, version=1, check=CHECK),
            lambda: workflow.approve(Dossier.objects.get(pk=other.pk), by=instructor, version=1, check=CHECK),
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "GuardFailed"]
        assert Deployment.objects.filter(domain="commun-exemple.fr").count() == 1
        assert alternatives.tell() == 1
        assert alternatives.tell() == 0
        lost = LostName.objects.get()
        assert lost.dossier.status == "in_review"
        assert [one["code"] for one in lost.alternatives] == ["unknown"]
        event = Event.objects.get(kind="name_taken")
        assert event.subject == lost.dossier_id
        assert Notice.objects.filter(kind="name_taken", recipient=lost.dossier.requester_email).count() == 1
        winner = Deployment.objects.get().organization.name
        assert all(winner not in notice.body_text for notice in Notice.objects.filter(kind="name_taken"))

    def test_r14_right_after_an_approval_before_any_worker_the_name_is_gone(
        self, mine: Dossier, anct: Operator, instructor: User
    ) -> None:
        other = rival(anct, instructor, "x.fr")
        existing(mine, other)
        workflow.approve(Dossier.objects.get(pk=mine.pk), by=instructor, version=1, check=CHECK)
        assert not Step.objects.filter(attempt__gt=0).exists()
        with pytest.raises(GuardFailed, match="déjà utilisé"):
            workflow.approve(Dossier.objects.get(pk=other.pk), by=instructor, version=1, check=CHECK)
        assert Dossier.objects.get(pk=other.pk).status == "in_review"

    def test_two_holds_live_side_by_side_until_one_is_accepted(
        self, mine: Dossier, anct: Operator, instructor: User
    ) -> None:
        other = rival(anct, instructor, f"rochefort-en-terre.{ZONE}")
        for dossier in (mine, other):
            fresh = Dossier.objects.get(pk=dossier.pk)
            assert granting.problems(fresh, 0, "") == []
        workflow.withdraw(Dossier.objects.get(pk=other.pk), by=other.author, version=1)
        workflow.approve(Dossier.objects.get(pk=mine.pk), by=instructor, version=1)
        assert alternatives.tell() == 0  # a hold falls with its dossier


@pytest.mark.django_db
class TestRegistry:
    @pytest.fixture
    def new(self, mine: Dossier) -> Dossier:
        Dossier.objects.update(family="new")
        mine.names.update(typed="rochefort-en-terre.fr", fqdn="rochefort-en-terre.fr")
        return Dossier.objects.get()

    @pytest.mark.parametrize(
        ("code", "hours", "check", "field"),
        [
            ("free", 1, "", None),
            ("free", 25, "", "check"),
            ("free", 25, CHECK, None),
            ("unknown", 1, "", "check"),
            ("unknown", 1, CHECK, None),
            ("taken", 1, "", "rank"),
            ("taken", 1, CHECK, "rank"),
            (None, 0, "", "check"),
            (None, 0, CHECK, None),
        ],
    )
    def test_an_approval_leans_on_a_fresh_word_of_the_registry_or_on_the_operators(
        self, new: Dossier, code: str | None, hours: int, check: str, field: str | None
    ) -> None:
        if code:
            ago = timezone.now() - timedelta(hours=hours)
            NameLookup.objects.create(fqdn="rochefort-en-terre.fr", code=code, checked_at=ago, asked_at=ago)
        problems = granting.problems(new, 0, check)
        assert [problem.field for problem in problems] == ([field] if field else [])

    def test_unknown_never_keeps_from_sending(self, commune: Organization, agent: User, anct: Operator) -> None:
        draft = DossierFactory.create(organization=commune, author=agent, family="new", contents=True)
        draft.names.update(typed="rochefort-en-terre.fr", fqdn="rochefort-en-terre.fr")
        sent = workflow.submit(Dossier.objects.get(), by=agent, version=1)
        assert sent.status == "submitted"
        assert NameLookup.objects.get().due_at  # looked at again on sending

    def test_a_name_free_at_the_registry_is_accepted_without_a_written_check(
        self, new: Dossier, instructor: User
    ) -> None:
        now = timezone.now()
        NameLookup.objects.create(fqdn="rochefort-en-terre.fr", code="free", checked_at=now)
        done = workflow.approve(new, by=instructor, version=1)
        assert done.deployment
        assert done.deployment.domain == "rochefort-en-terre.fr"
        said = Event.objects.get(kind="approve").payload["name"]
        assert (said["fqdn"], said["code"]) == ("rochefort-en-terre.fr", "free")
        assert said["checked_at"]

    def test_a_name_released_lately_is_refused_on_sending_and_on_accepting(
        self, mine: Dossier, instructor: User
    ) -> None:
        closed = deployment(domain=f"rochefort-en-terre.{ZONE}")
        Deployment.objects.filter(pk=closed.pk).update(closed_at=timezone.now() - timedelta(days=30))
        assert any("moins d’un an" in one.message for one in checks.can_submit(Dossier.objects.get()))
        with pytest.raises(GuardFailed, match="moins d’un an"):
            workflow.approve(Dossier.objects.get(), by=instructor, version=1)


@pytest.mark.django_db
class TestAlternatives:
    @pytest.fixture
    def ranked(self, mine: Dossier) -> Dossier:
        NameChoiceFactory.create(dossier=mine, rank=1, typed=f"mairie-rochefort-en-terre.{ZONE}")
        NameChoiceFactory.create(dossier=mine, rank=2, typed=f"rochefort-en-terre56.{ZONE}")
        return Dossier.objects.get()

    def test_r15_one_click_on_rank_2_moves_the_mailboxes_to_it(self, ranked: Dossier, instructor: User) -> None:
        Dossier.objects.update(accepts_alternatives=True)
        desk = sign_in(instructor)
        url = f"/instruction/{ranked.pk}/accepter/"
        html = page(desk, f"/instruction/{ranked.pk}/")
        assert html.count("Accepter ce nom") == 3
        assert decide(desk, url, {"version": "1", "rank": "2"}).status_code == 302
        done = Dossier.objects.get()
        assert done.deployment
        assert done.deployment.domain == f"rochefort-en-terre56.{ZONE}"
        boxes = Resource.objects.filter(deployment=done.deployment, kind="mailbox")
        assert boxes
        assert all(box.key.endswith(f"@rochefort-en-terre56.{ZONE}") for box in boxes)

    def test_an_alternative_not_accepted_in_advance_waits_for_the_commune(
        self, ranked: Dossier, instructor: User, agent: User
    ) -> None:
        with pytest.raises(GuardFailed, match="accepte"):
            workflow.approve(Dossier.objects.get(), by=instructor, version=1, rank=1)
        desk = sign_in(instructor)
        assert desk.post(f"/instruction/{ranked.pk}/noms/proposer/", {"rank": "1"}).status_code == 302
        assert Notice.objects.get(kind="name_question").recipient == ranked.requester_email
        town_hall = sign_in(agent)
        html = page(town_hall, f"/demandes/{ranked.pk}/")
        assert f"Oui, j’accepte mairie-rochefort-en-terre.{ZONE}" in said(html)
        fqdn = f"mairie-rochefort-en-terre.{ZONE}"
        town_hall.post(f"/demandes/{ranked.pk}/nom-propose/", {"fqdn": fqdn, "answer": "yes"})
        assert Notice.objects.filter(kind="name_answered").count() == 1
        done = workflow.approve(Dossier.objects.get(), by=instructor, version=1, rank=1)
        assert done.deployment
        assert done.deployment.domain == fqdn

    def test_a_refused_alternative_is_not_given_and_may_be_asked_again(
        self, ranked: Dossier, instructor: User, agent: User
    ) -> None:
        question = alternatives.ask(ranked, 1, by=instructor)
        alternatives.answer(question, accept=False, by=agent)
        alternatives.answer(question, accept=True, by=agent)  # the first answer stands
        with pytest.raises(GuardFailed):
            workflow.approve(Dossier.objects.get(), by=instructor, version=1, rank=1)
        assert alternatives.ask(Dossier.objects.get(), 1, by=instructor) != question
        assert Event.objects.filter(kind="name_answered").count() == 1

    def test_asking_twice_asks_once(self, ranked: Dossier, instructor: User) -> None:
        assert alternatives.ask(ranked, 1, by=instructor) == alternatives.ask(ranked, 1, by=instructor)
        assert Notice.objects.filter(kind="name_question").count() == 1

    def test_only_the_commune_answers(self, ranked: Dossier, instructor: User, stranger: User) -> None:
        question = alternatives.ask(ranked, 1, by=instructor)
        for person in (instructor, stranger):
            with pytest.raises(NotAllowed):
                alternatives.answer(question, accept=True, by=person)
        assert NameQuestion.objects.get().accepted is None

    @pytest.mark.parametrize("rank", [0, 3])
    def test_only_an_alternative_is_asked(self, ranked: Dossier, instructor: User, rank: int) -> None:
        with pytest.raises(GuardFailed):
            alternatives.ask(ranked, rank, by=instructor)


@pytest.mark.django_db
def test_a_sub_domain_of_somebody_else_takes_two_people(mine: Dossier, instructor: User, lead: User) -> None:
    existing(mine, fqdn="mairie.interco-exemple.fr")
    with pytest.raises(GuardFailed, match="accord écrit"):
        workflow.approve(Dossier.objects.get(), by=instructor, version=1, check=CHECK)
    proposed = workflow.propose_approval(
        Dossier.objects.get(), by=instructor, version=1, check=CHECK, reason="Accord écrit de l’intercommunalité du 3."
    )
    assert workflow.approve(Dossier.objects.get(), by=lead, version=proposed.version).four_eyed


@pytest.mark.django_db
class TestCheckNames:
    def test_it_has_workers_look_again(self, mine: Dossier, instructor: User) -> None:
        Dossier.objects.update(family="new")
        mine.names.update(typed="rochefort-en-terre.fr", fqdn="rochefort-en-terre.fr")
        desk = sign_in(instructor)
        assert "Vérifier de nouveau" in page(desk, f"/instruction/{mine.pk}/")
        desk.post(f"/instruction/{mine.pk}/noms/verifier/")
        assert NameLookup.objects.get().due_at

    def test_it_looks_at_nothing_for_a_free_name(self, mine: Dossier, instructor: User) -> None:
        sign_in(instructor).post(f"/instruction/{mine.pk}/noms/verifier/")
        assert not NameLookup.objects.exists()


@pytest.mark.django_db
class TestAskName:
    def test_a_question_that_makes_no_sense_is_said_so(self, mine: Dossier, instructor: User) -> None:
        desk: Client = sign_in(instructor)
        response = desk.post(f"/instruction/{mine.pk}/noms/proposer/", {"rank": "un"}, follow=True)
        assert "Dites lequel des noms de la demande" in response.content.decode()
        assert not NameQuestion.objects.exists()
