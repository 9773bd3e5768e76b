"""The requester's pages about names, as seen by a browser without scripts."""

import socket
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_socket import SocketBlockedError

from onboarding.intake import alternatives, lookups, proofs
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed
from onboarding.intake.name_models import NameLookup
from onboarding.intake.proof_models import OwnershipProof
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory
from tests.intake.browsing import page, said, sign_in

DOMAIN = "rochefort-exemple.fr"


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    made = DossierFactory.create(
        organization=commune, author=agent, family="existing", dns_manager="commune", mail_in_use=False
    )
    made.names.update(typed=DOMAIN, fqdn=DOMAIN)
    return Dossier.objects.get()


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


def another(status: str, fqdn: str = DOMAIN) -> Dossier:
    """Return another commune's dossier about the same domain."""
    traits = {} if status == "draft" else {status: True}
    commune = CommuneFactory.create(name="Malansac")
    author = MembershipFactory.create(organization=commune).user
    made = DossierFactory.create(
        organization=commune, author=author, family="existing", dns_manager="commune", mail_in_use=False, **traits
    )
    made.names.update(typed=fqdn, fqdn=fqdn)
    return Dossier.objects.get(pk=made.pk)


@pytest.mark.django_db
class TestStatus:
    def test_a_page_with_scripts_gets_the_part_that_changed(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(family="new")
        lookups.ask([DOMAIN])
        url = f"/demandes/{draft.pk}/noms/"
        waiting = town_hall.get(url, headers={"HX-Request": "true"}).content.decode()
        assert "hx-get" in waiting
        assert "<html" not in waiting
        NameLookup.objects.update(code="free", checked_at=timezone.now(), due_at=None)
        done = town_hall.get(url, headers={"HX-Request": "true"}).content.decode()
        assert "hx-get" not in done
        assert "Le registre le dit libre" in said(done)

    def test_without_scripts_it_leads_back_to_the_step(self, town_hall: Client, draft: Dossier) -> None:
        assert town_hall.get(f"/demandes/{draft.pk}/noms/")["Location"] == f"/demandes/{draft.pk}/etape/2/"


@pytest.mark.django_db
class TestProof:
    def url(self, dossier: Dossier) -> str:
        return f"/demandes/{dossier.pk}/preuve-du-domaine/"

    def test_looking_makes_no_token_and_one_click_does(self, town_hall: Client, draft: Dossier) -> None:
        assert "Obtenir l’enregistrement à publier" in page(town_hall, self.url(draft))
        assert not OwnershipProof.objects.exists()
        town_hall.post(self.url(draft), {"action": "start"})
        proof = OwnershipProof.objects.get()
        html = page(town_hall, self.url(draft))
        assert f"_suite-territoriale.{DOMAIN}" in html
        assert f"st-verification={proof.token}" in html
        assert len(bytes.fromhex(proof.token)) * 8 >= 128
        assert html.count("data-copy") == 3
        assert "Prêt à copier" in html
        town_hall.post(self.url(draft), {"action": "start"})
        assert OwnershipProof.objects.get() == proof

    def test_it_costs_few_queries(
        self, town_hall: Client, draft: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        town_hall.post(self.url(draft), {"action": "start"})
        with django_assert_max_num_queries(15):
            page(town_hall, self.url(draft))

    def test_what_the_servers_said_is_shown_and_escaped(self, town_hall: Client, draft: Dossier) -> None:
        town_hall.post(self.url(draft), {"action": "start"})
        OwnershipProof.objects.update(
            outcome="disagree",
            checked_at=timezone.now(),
            readings=[{"server": "<b>ns1", "address": "", "outcome": "seen", "detail": ""}],
            inventory={f"{DOMAIN} MX": ["10 <i>mx."], f"{DOMAIN} CAA": None, f"www.{DOMAIN} A": []},
            inventoried_at=timezone.now(),
        )
        html = page(town_hall, self.url(draft))
        assert "ne disent pas tous la même chose" in html
        assert "&lt;b&gt;ns1" in html
        assert "10 &lt;i&gt;mx." in html
        assert "inconnu, le DNS n’a pas répondu" in said(html)

    def test_a_name_that_is_not_held_already_has_nothing_to_prove(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(family="new")
        assert "il n’y a rien à prouver" in said(page(town_hall, self.url(draft)))
        response = town_hall.post(self.url(draft), {"action": "start"})
        assert response.status_code == 422
        assert not OwnershipProof.objects.exists()

    def test_a_domain_of_an_intercommunality_has_two_ways(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(dns_manager="epci")
        html = said(page(town_hall, self.url(draft)))
        assert "accord écrit" in html
        assert "choisissez un autre nom" in html

    def test_checking_again_waits_a_minute(self, town_hall: Client, draft: Dossier) -> None:
        proof = proofs.start(draft, by=draft.author)
        now = timezone.now()
        later = now + timedelta(hours=1)
        OwnershipProof.objects.update(checked_at=now, due_at=later, tries=20)
        response = town_hall.post(self.url(draft), {"action": "check"}, follow=True)
        assert "attendez une minute" in response.content.decode()
        OwnershipProof.objects.update(checked_at=now - timedelta(minutes=2))
        town_hall.post(self.url(draft), {"action": "check"})
        proof.refresh_from_db()
        assert proof.due_at
        assert proof.due_at < later
        assert proof.tries == 0

    def test_too_many_checks_are_429(self, town_hall: Client, draft: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lookups, "PER_USER", (0, 600))
        assert town_hall.post(self.url(draft), {"action": "start"}).status_code == 429


@pytest.mark.django_db
class TestOneProofPerDomain:
    def test_a_stranger_s_draft_does_not_block_the_commune(self, draft: Dossier) -> None:
        theirs = proofs.start(another("draft"), by=draft.author)
        mine = proofs.start(draft, by=draft.author)
        theirs.refresh_from_db()
        assert (theirs.state, mine.state) == ("void", "pending")

    @pytest.mark.parametrize(("status", "blocks"), [("sent", True), ("withdrawn", False), ("rejected", False)])
    def test_a_dossier_that_was_sent_keeps_its_turn(self, draft: Dossier, status: str, blocks: bool) -> None:  # noqa: FBT001
        other = another("sent")
        proofs.start(other, by=other.author)
        if status != "sent":
            decided = {"decided_at": timezone.now(), "decided_by": other.author} if status == "rejected" else {}
            Dossier.objects.filter(pk=other.pk).update(status=status, **decided)
        if blocks:
            with pytest.raises(GuardFailed) as refusal:
                proofs.start(draft, by=draft.author)
            assert "Malansac" not in str(refusal.value)
        else:
            assert proofs.start(draft, by=draft.author).state == "pending"

    def test_a_draft_whose_record_was_seen_keeps_its_turn(self, draft: Dossier) -> None:
        other = another("draft")
        proofs.start(other, by=other.author)
        OwnershipProof.objects.update(first_seen_at=timezone.now())
        with pytest.raises(GuardFailed):
            proofs.start(draft, by=draft.author)

    def test_another_domain_is_another_token(self, draft: Dossier) -> None:
        first = proofs.start(draft, by=draft.author)
        draft.names.update(typed="autre-exemple.fr", fqdn="autre-exemple.fr")
        second = proofs.start(Dossier.objects.get(), by=draft.author)
        first.refresh_from_db()
        assert first.state == "void"
        assert second.token != first.token
        assert proofs.of(Dossier.objects.get()) == second


@pytest.mark.parametrize(("tries", "minutes"), [(1, 5), (12, 5), (13, 60), (36, 60), (37, 24 * 60), (1000, 24 * 60)])
def test_readings_space_out_from_five_minutes_to_a_day(tries: int, minutes: int) -> None:
    assert proofs.backoff(tries) == timedelta(minutes=minutes)


@pytest.mark.django_db
class TestAnswer:
    @pytest.fixture
    def asked(self, commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
        made = DossierFactory.create(
            in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor
        )
        NameChoiceFactory.create(dossier=made, rank=1, typed="mairie-rochefort-en-terre.collectivite.fr")
        alternatives.ask(Dossier.objects.get(), 1, by=instructor)
        return Dossier.objects.get()

    @pytest.mark.parametrize(("answer", "accepted"), [("yes", True), ("no", False), ("peut-être", None)])
    def test_one_click_answers(self, town_hall: Client, asked: Dossier, answer: str, accepted: bool | None) -> None:  # noqa: FBT001
        fqdn = asked.name_questions.get().fqdn
        url = f"/demandes/{asked.pk}/nom-propose/"
        assert town_hall.post(url, {"fqdn": fqdn, "answer": answer}).status_code == 302
        assert asked.name_questions.get().accepted is accepted

    def test_a_decided_dossier_takes_no_answer(self, town_hall: Client, asked: Dossier) -> None:
        fqdn = asked.name_questions.get().fqdn
        Dossier.objects.update(status="withdrawn")
        response = town_hall.post(f"/demandes/{asked.pk}/nom-propose/", {"fqdn": fqdn, "answer": "yes"}, follow=True)
        assert "Retirée" in response.content.decode()
        assert asked.name_questions.get().accepted is None


@pytest.mark.django_db
def test_r20_every_page_about_names_answers_without_a_socket(
    town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9))
    dossier = DossierFactory.create(
        in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor,
        family="existing", dns_manager="commune", mail_in_use=False,
    )  # fmt: skip
    dossier.names.update(typed=DOMAIN, fqdn=DOMAIN)
    mine, desk = f"/demandes/{dossier.pk}", f"/instruction/{dossier.pk}"
    town_hall.post(f"{mine}/preuve-du-domaine/", {"action": "start"})
    town_hall.post(f"{mine}/preuve-du-domaine/", {"action": "check"})
    for url in (f"{mine}/preuve-du-domaine/", f"{mine}/"):
        assert DOMAIN in page(town_hall, url)
    operator = sign_in(instructor)
    assert operator.post(f"{desk}/noms/verifier/").status_code == 302
    assert "Preuve de détention" in page(operator, f"{desk}/")
    assert page(operator, f"{desk}/accepter/")
