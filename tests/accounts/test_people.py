"""Accounts shut and opened again: by two people, at once, and without losing anything."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake.models import Dossier
from suite.accounts import blocks, breakglass, tasks
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import Membership, User
from suite.accounts.refusals import RightRefused, SignInRefused
from suite.accounts.tokens import Authentication, Person
from suite.accounts.workflow import sign_in
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.accounts.threads import together
from tests.factories.accounts import IdentityFactory, MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.intake import DossierFactory

pytestmark = pytest.mark.django_db
WHY = "Le compte a envoyé des messages étranges."


class Town:
    """A commune, one of its people with a dossier, and two leads of its operator."""

    def __init__(self) -> None:
        self.commune: Organization = CommuneFactory.create()
        self.operator: Operator = OperatorFactory.create()
        self.operator.organizations.add(self.commune)
        right = MembershipFactory.create(organization=self.commune, state=Membership.State.ACTIVE)
        self.agent: User = right.user
        self.siret: str = right.siret
        self.colleague: User = MembershipFactory.create(organization=self.commune, manager=True).user
        self.lead: User = OperatorRoleFactory.create(operator=self.operator, lead=True).user
        self.second: User = OperatorRoleFactory.create(operator=self.operator, lead=True).user

    def blocked(self) -> None:
        blocks.confirm(blocks.propose(self.agent, "block", by=self.lead, reason=WHY), by=self.second)

    def unblocked(self) -> None:
        blocks.confirm(blocks.propose(self.agent, "unblock", by=self.second, reason=WHY), by=self.lead)


@pytest.fixture
def town(db: None) -> Town:
    return Town()


def signed_in(user: User, **factor: Any) -> Client:
    client = Client()
    client.force_login(user)
    elevate(client, **factor)
    return client


def test_r12_a_barred_person_is_told_can_be_let_in_again_and_its_dossiers_stay_readable(town: Town) -> None:
    identity = IdentityFactory.create(user=town.agent, siret=town.siret)
    person = Person(
        issuer=identity.issuer, sub=identity.sub, email=town.agent.email, given_name="A", usual_name="B",
        siret=town.siret, roles=("agent_public",), idp_id="", uid="", organization_label="",
    )  # fmt: skip
    plain = Authentication(identity.sub, "eidas1", ("pwd",))
    dossier: Dossier = DossierFactory.create(
        organization=town.commune, author=town.agent, operator=town.operator, sent=True
    )
    url = f"/demandes/{dossier.pk}/"
    theirs = signed_in(town.agent)
    assert theirs.get(url).status_code == 200

    town.blocked()

    assert theirs.get(url).status_code == 302, "its sessions end at once"
    with pytest.raises(SignInRefused, match="inactive"):
        sign_in(person, plain)
    assert signed_in(town.colleague).get(url).status_code == 200, "the commune still reads its dossier"
    assert signed_in(town.lead).get(f"/instruction/{dossier.pk}/").status_code == 200, "so does its operator"
    [shut] = Notice.objects.filter(kind="account_blocked")
    assert shut.recipient == town.agent.email
    assert WHY in " ".join(shut.body_text.split())

    town.unblocked()

    assert sign_in(person, plain) == town.agent
    assert signed_in(User.objects.get(pk=town.agent.pk)).get(url).status_code == 200
    assert Notice.objects.filter(kind="account_blocked", recipient=town.agent.email).count() == 2
    said = Event.objects.filter(kind__in=["account.blocked", "account.unblocked"]).order_by("recorded_at")
    assert list(said.values_list("kind", "actor")) == [
        ("account.blocked", town.second.pk),
        ("account.unblocked", town.lead.pk),
    ]


class TestLaw:
    def test_nobody_does_it_alone(self, town: Town) -> None:
        block = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        with pytest.raises(RightRefused, match="seconde personne"):
            blocks.confirm(block, by=town.lead)
        assert User.objects.get(pk=town.agent.pk).is_active

    @pytest.mark.parametrize("name", ["four_eyes", "not_by_oneself"])
    def test_the_database_refuses_it_too(self, town: Town, name: str) -> None:
        block = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        by = town.lead if name == "four_eyes" else town.agent
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            AccountBlock.objects.filter(pk=block.pk).update(state="done", decided_by=by, decided_at=timezone.now())

    def test_the_last_lead_of_an_operator_is_kept(self, town: Town) -> None:
        blocks.confirm(blocks.propose(town.second, "block", by=town.lead, reason=WHY), by=UserFactory.create())
        with pytest.raises(RightRefused, match="dernière personne responsable"):
            blocks.propose(town.lead, "block", by=UserFactory.create(), reason=WHY)

    def test_a_break_glass_account_is_not_shut_so(self) -> None:
        breakglass.create("coffre-1")
        with pytest.raises(RightRefused, match="compte de secours"):
            blocks.propose(User.objects.get(break_glass__name="coffre-1"), "block", by=UserFactory.create(), reason=WHY)

    def test_what_is_already_so_is_said(self, town: Town) -> None:
        with pytest.raises(RightRefused, match="actif"):
            blocks.propose(town.agent, "unblock", by=town.lead, reason=WHY)
        town.blocked()
        with pytest.raises(RightRefused, match="déjà désactivé"):
            blocks.propose(town.agent, "block", by=town.lead, reason=WHY)

    def test_a_proposal_lapses_in_a_week_and_makes_room(self, town: Town) -> None:
        block = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        with pytest.raises(RightRefused, match="attend déjà"):
            blocks.propose(town.agent, "block", by=town.second, reason=WHY)
        with time_machine.travel(timezone.now() + dt.timedelta(days=7, minutes=1), tick=False):
            with pytest.raises(RightRefused, match="trop ancienne"):
                blocks.confirm(block, by=town.second)
            tasks.sweep_decisions()
            block.refresh_from_db()
            assert block.state == "lapsed"
            blocks.propose(town.agent, "block", by=town.second, reason=WHY)

    def test_a_shut_manager_does_not_count_as_one(self, town: Town) -> None:
        blocks.confirm(blocks.propose(town.colleague, "block", by=town.lead, reason=WHY), by=town.second)
        page = signed_in(town.lead).get(f"/mon-equipe/{town.commune.pk}/gestionnaires/")
        assert "n’a plus de gestionnaire" in page.text


@pytest.mark.django_db(transaction=True)
def test_two_people_who_decide_at_once_decide_once() -> None:
    town = Town()
    third = OperatorRoleFactory.create(operator=town.operator, lead=True).user
    block = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
    people = [town.second, third]
    _, failures = together(lambda: blocks.confirm(AccountBlock.objects.get(pk=block.pk), by=people.pop()), 2)
    assert [type(one) for one in failures] == [RightRefused]
    assert Event.objects.filter(kind="account.blocked").count() == 1


class TestPeople:
    def test_it_finds_by_name_or_address_in_one_s_scope(
        self, town: Town, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        elsewhere = MembershipFactory.create().user
        client = signed_in(town.lead)
        with django_assert_max_num_queries(15):
            assert town.agent.email in client.get("/instruction/comptes/", {"q": town.agent.email}).text
        whole = f"{town.agent.given_name} {town.agent.usual_name}"
        assert town.agent.email in client.get("/instruction/comptes/", {"q": whole.upper()}).text
        assert f"/comptes/{elsewhere.pk}/" not in client.get("/instruction/comptes/", {"q": elsewhere.email}).text

    def test_one_s_own_account_is_not_listed(self, town: Town) -> None:
        page = signed_in(town.lead).get("/instruction/comptes/", {"q": town.lead.email}).text
        assert f"/comptes/{town.lead.pk}/" not in page

    @pytest.mark.parametrize("words", ["", "ab", "%", "_____", "\x00", "x" * 5000])
    def test_odd_words_find_nobody_and_break_nothing(self, town: Town, words: str) -> None:
        page = signed_in(town.lead).get("/instruction/comptes/", {"q": words})
        assert page.status_code == 200
        assert town.agent.email not in page.text

    def test_without_a_word_it_lists_what_is_shut_or_about_to_be(self, town: Town) -> None:
        client = signed_in(town.lead)
        blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        assert town.agent.email in client.get("/instruction/comptes/").text
        assert town.colleague.email not in client.get("/instruction/comptes/").text


class TestAccount:
    def test_it_shows_rights_and_past_decisions(
        self, town: Town, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        town.blocked()
        client = signed_in(town.lead)
        with django_assert_max_num_queries(15):
            page = client.get(f"/instruction/comptes/{town.agent.pk}/").text
        assert town.commune.name in page
        assert "Désactivé" in page
        assert WHY in page

    def test_out_of_scope_it_does_not_exist(self, town: Town) -> None:
        away = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["35"]), lead=True).user
        assert signed_in(away).get(f"/instruction/comptes/{town.agent.pk}/").status_code == 404


class TestPropose:
    def test_it_waits_for_a_second_person(self, town: Town) -> None:
        client = signed_in(town.lead)
        url = f"/instruction/comptes/{town.agent.pk}/proposer/"
        assert client.post(url, {"reason": ""}).status_code == 422
        assert client.post(url, {"reason": WHY}).status_code == 302
        page = client.get(f"/instruction/comptes/{town.agent.pk}/").text
        assert "Renoncer" in page
        assert 'value="confirm"' not in page
        assert 'value="confirm"' in signed_in(town.second).get(f"/instruction/comptes/{town.agent.pk}/").text
        assert client.post(url, {"reason": WHY}).status_code == 409

    def test_it_asks_for_a_second_factor(self, town: Town) -> None:
        client = Client()
        client.force_login(town.lead)
        assert client.post(f"/instruction/comptes/{town.agent.pk}/proposer/", {"reason": WHY}).status_code == 403
        assert not AccountBlock.objects.exists()


class TestDecide:
    def test_one_factor_shuts_one_account(self, town: Town) -> None:
        first = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        other = blocks.propose(town.colleague, "block", by=town.lead, reason=WHY)
        client = signed_in(town.second)
        url = "/instruction/comptes/propositions/{}/decider/"
        assert client.post(url.format(first.pk), {"action": "x"}).status_code == 422
        assert client.post(url.format(first.pk), {"action": "confirm"}).status_code == 302
        assert client.post(url.format(other.pk), {"action": "confirm"}).status_code == 403
        assert not User.objects.get(pk=town.agent.pk).is_active
        assert User.objects.get(pk=town.colleague.pk).is_active

    def test_who_proposed_gives_up_and_does_not_confirm(self, town: Town) -> None:
        block = blocks.propose(town.agent, "block", by=town.lead, reason=WHY)
        url = f"/instruction/comptes/propositions/{block.pk}/decider/"
        client = signed_in(town.lead)
        assert client.post(url, {"action": "confirm"}).status_code == 403
        assert client.post(url, {"action": "refuse"}).status_code == 302
        block.refresh_from_db()
        assert block.state == "refused"
