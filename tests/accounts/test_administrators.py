"""Who manages a collectivité: asked by one, confirmed by another, announced to all, done after 48 hours."""

import datetime as dt
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from suite.accounts import administrators, tasks
from suite.accounts.administrator_models import DELAY, AdministratorChange
from suite.accounts.mandate_models import MandateProof, Objection
from suite.accounts.models import Membership, RelinkRequest, User
from suite.accounts.refusals import RightRefused
from suite.accounts.relinks import approve
from suite.accounts.workflow import activate
from suite.directory.models import DeclaredContact, Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.accounts.threads import together
from tests.factories.accounts import (
    AdministratorChangeFactory,
    MembershipFactory,
    OperatorRoleFactory,
    UserFactory,
)
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.mandates import MandateProofFactory

pytestmark = pytest.mark.django_db
State = AdministratorChange.State
OFFICIAL = "mairie@rochefort.example"
WHY = "Elle prend la suite au secrétariat."
CHECK = "Mairie appelée ce matin au numéro de l’annuaire."


class Town:
    """A commune, its manager who proved its mandate twice, its secretary, and the staff of its operator."""

    def __init__(self) -> None:
        self.commune: Organization = CommuneFactory.create()
        DeclaredContact.objects.create(
            organization=self.commune, emails=[OFFICIAL], source="test", observed_on=dt.date(2026, 1, 1)
        )
        self.operator: Operator = OperatorFactory.create(email="equipe@opsn.example")
        self.operator.organizations.add(self.commune)
        self.manager: User = self.member(manager=True)
        MandateProofFactory.create(organization=self.commune, user=self.manager, letter=True)
        self.secretary: User = self.member(state=Membership.State.ACTIVE)
        self.instructor: User = OperatorRoleFactory.create(operator=self.operator).user
        self.lead: User = OperatorRoleFactory.create(operator=self.operator, lead=True).user
        self.other_lead: User = OperatorRoleFactory.create(operator=self.operator, lead=True).user

    def member(self, **facts: Any) -> User:
        user: User = MembershipFactory.create(organization=self.commune, **facts).user
        return user

    def ask(self, kind: str = "give", **facts: Any) -> AdministratorChange:
        known = {"person": self.secretary, "by": self.manager, "reason": WHY}
        return administrators.ask(self.commune, kind, **{**known, **facts})

    def confirmed(self, kind: str = "give", **facts: Any) -> AdministratorChange:
        change = self.ask(kind, **facts)
        administrators.confirm(change, by=self.lead, check=CHECK)
        return change

    def role(self, user: User) -> tuple[str, str]:
        right = Membership.objects.filter(organization=self.commune, user=user).latest("created_at")
        return right.role, right.state


@pytest.fixture
def town(db: None) -> Town:
    return Town()


def signed_in(user: User, *, factor: bool = True) -> Client:
    client = Client()
    client.force_login(user)
    if factor:
        elevate(client)
    return client


def later() -> Any:
    """Go to the end of the delay, and let the beat look."""
    return time_machine.travel(timezone.now() + DELAY + dt.timedelta(minutes=1), tick=False)


def told(kind: str) -> set[str]:
    return set(Notice.objects.filter(kind=kind).values_list("recipient", flat=True))


def link() -> str:
    body = Notice.objects.filter(kind="administrator_announced").latest("created_at").body_text
    found = re.search(r"(/gestionnaires/objection/\w+/)", body)
    assert found
    return found[1]


class TestLaw:
    """What the verbs and the database hold whoever asks."""

    def test_a_manager_is_named_by_two_people_after_48_hours(self, town: Town) -> None:
        change = town.ask()
        assert told("administrator_to_decide") == {"equipe@opsn.example"}
        administrators.confirm(change, by=town.lead, check=CHECK)
        tasks.sweep_decisions()
        assert town.role(town.secretary) == ("requester", "active"), "nothing happens before the delay"
        with later():
            tasks.sweep_decisions()
            tasks.sweep_decisions()
        assert town.role(town.secretary) == ("manager", "active")
        everybody = {town.manager.email, town.secretary.email, OFFICIAL}
        assert told("administrator_announced") == told("administrator_told") == everybody
        kinds = Event.objects.filter(stream="administrator").order_by("seq").values_list("kind", "actor")
        assert list(kinds) == [
            ("administrator.asked", town.manager.pk),
            ("administrator.confirmed", town.lead.pk),
            ("administrator.done", None),
        ]

    @pytest.mark.parametrize("who", ["instructor", "secretary", "manager"])
    def test_only_a_lead_of_the_operator_is_the_second_person(self, town: Town, who: str) -> None:
        with pytest.raises(RightRefused):
            administrators.confirm(town.ask(), by=getattr(town, who), check=CHECK)

    def test_the_lead_who_asked_does_not_confirm(self, town: Town) -> None:
        change = town.ask(by=town.lead, speaker=town.manager)
        with pytest.raises(RightRefused, match="autre personne"):
            administrators.confirm(change, by=town.lead, check=CHECK)
        administrators.confirm(change, by=town.other_lead, check=CHECK)

    def test_a_lead_who_belongs_to_the_commune_does_not_confirm(self, town: Town) -> None:
        MembershipFactory.create(organization=town.commune, user=town.lead)
        with pytest.raises(RightRefused, match="rattaché"):
            administrators.confirm(town.ask(), by=town.lead, check=CHECK)

    @pytest.mark.parametrize("same", ["asked_by", "person", "speaker"])
    def test_the_database_refuses_a_second_person_who_is_a_party(self, same: str) -> None:
        change = AdministratorChangeFactory.create()
        facts = {"state": "confirmed", "confirmed_at": timezone.now(), "due_at": timezone.now() + DELAY}
        with pytest.raises(IntegrityError, match="four_eyes"), transaction.atomic():
            AdministratorChange.objects.filter(pk=change.pk).update(confirmed_by=getattr(change, same), **facts)

    def test_the_database_refuses_a_shorter_delay_and_an_early_end(self) -> None:
        change = AdministratorChangeFactory.create(confirmed=True)
        assert change.confirmed_at
        assert change.due_at
        rows = AdministratorChange.objects.filter(pk=change.pk)
        assert change.confirmed_at
        assert change.due_at
        with pytest.raises(IntegrityError, match="48_hours"), transaction.atomic():
            rows.update(due_at=change.confirmed_at + dt.timedelta(hours=47))
        early = change.due_at - dt.timedelta(minutes=1)
        with pytest.raises(IntegrityError, match="not_done_early"), transaction.atomic():
            rows.update(state="done", ended_at=early)

    def test_a_mandate_proved_once_is_not_enough_and_the_remedy_is_said(self, town: Town) -> None:
        MandateProof.objects.all().delete()
        with pytest.raises(RightRefused, match=r"il faut M3.*une autre voie"):
            town.ask()

    def test_a_mandate_that_fails_meanwhile_stops_it(self, town: Town) -> None:
        change = town.confirmed()
        MandateProof.objects.update(state=MandateProof.State.OBJECTED)
        with later():
            tasks.sweep_decisions()
        change.refresh_from_db()
        assert change.state == "lapsed"
        assert "M3" in change.ending
        assert town.role(town.secretary)[0] == "requester"

    def test_an_objection_to_the_mandate_stops_it_too(self, town: Town) -> None:
        town.confirmed()
        Objection.objects.create(proof=MandateProof.objects.get(), organization=town.commune, user=town.manager)
        with later():
            tasks.sweep_decisions()
        assert town.role(town.secretary)[0] == "requester"

    def test_somebody_who_left_meanwhile_is_not_named(self, town: Town) -> None:
        change = town.confirmed()
        Membership.objects.filter(user=town.secretary).update(state=Membership.State.ENDED)
        with later():
            tasks.sweep_decisions()
        change.refresh_from_db()
        assert change.state == "lapsed"

    def test_a_stranger_is_invited_first(self, town: Town) -> None:
        with pytest.raises(RightRefused, match="inviter"):
            town.ask(person=UserFactory.create())

    def test_the_last_manager_is_kept(self, town: Town) -> None:
        with pytest.raises(RightRefused, match="dernière personne"):
            town.ask("remove", person=town.manager)

    def test_a_removed_manager_stays_in_the_team_and_its_sessions_end(self, town: Town) -> None:
        second = town.member(manager=True)
        theirs = signed_in(second)
        town.confirmed("remove", person=second)
        with later():
            tasks.sweep_decisions()
        assert town.role(second) == ("requester", "active")
        assert theirs.get("/demandes/").status_code == 302

    def test_a_second_address_is_changed_and_told_from_then_on(self, town: Town) -> None:
        town.confirmed("email", person=town.manager, email="perso@ailleurs.example")
        assert "perso@ailleurs.example" in told("administrator_announced")
        with later():
            tasks.sweep_decisions()
            assert Membership.objects.get(user=town.manager).recovery_email == "perso@ailleurs.example"
            Notice.objects.all().delete()
            town.confirmed()
        assert "perso@ailleurs.example" in told("administrator_announced")

    def test_a_commune_that_lost_its_only_manager_is_recovered_through_its_operator(self, town: Town) -> None:
        User.objects.filter(pk=town.manager.pk).update(is_active=False)
        with pytest.raises(RightRefused, match="M3"):
            town.ask("recover", by=town.instructor, replaced=town.manager)
        MandateProofFactory.create(organization=town.commune, user=town.secretary, document=True)
        town.confirmed("recover", by=town.instructor, replaced=town.manager)
        assert town.manager.email in told("administrator_announced"), "who is replaced may object"
        with later():
            tasks.sweep_decisions()
        assert town.role(town.secretary) == ("manager", "active")
        assert town.role(town.manager) == ("manager", "ended")

    def test_while_somebody_manages_it_is_said_who_is_replaced(self, town: Town) -> None:
        MandateProofFactory.create(organization=town.commune, user=town.secretary, letter=True)
        with pytest.raises(RightRefused, match="qui est remplacé"):
            town.ask("recover", by=town.instructor)

    def test_a_request_that_nobody_confirms_lapses(self, town: Town) -> None:
        change = town.ask()
        with time_machine.travel(timezone.now() + dt.timedelta(days=7, minutes=1), tick=False):
            with pytest.raises(RightRefused, match="entre-temps"):
                administrators.confirm(change, by=town.lead, check=CHECK)
            tasks.sweep_decisions()
        change.refresh_from_db()
        assert change.state == "lapsed"

    def test_one_change_at_a_time_for_one_person(self, town: Town) -> None:
        town.ask()
        with pytest.raises(RightRefused, match="déjà en cours"):
            town.ask()

    def test_a_relinked_account_manages_again_only_after_its_own_change(self, town: Town) -> None:
        asked = RelinkRequest.objects.create(
            user=town.manager, issuer="https://auth.example", sub="new", email=town.manager.email,
            siret="13002603200016", expires_at=timezone.now() + dt.timedelta(days=7),
        )  # fmt: skip
        approve(asked, by=town.lead, check=CHECK)
        assert town.role(town.manager)[0] == "requester"
        assert "se redemande" in Notice.objects.filter(kind="relink_approved").latest("created_at").body_text
        town.confirmed("recover", person=town.manager, by=town.instructor)
        with later():
            tasks.sweep_decisions()
        assert town.role(town.manager) == ("manager", "active")

    def test_the_first_manager_comes_of_the_approval_and_the_second_does_not(self, town: Town) -> None:
        assert activate(town.secretary, town.commune, by=town.lead).role == "requester"
        empty = CommuneFactory.create()
        assert activate(town.secretary, empty, by=town.lead).role == "manager"


@pytest.mark.django_db(transaction=True)
def test_two_managers_removed_at_the_same_instant_leave_one() -> None:
    town = Town()
    second = town.member(manager=True)
    third = town.member(state=Membership.State.ACTIVE)
    MandateProofFactory.create(organization=town.commune, user=third, letter=True)
    rows = [
        AdministratorChangeFactory.create(
            organization=town.commune, person=person, speaker=third, asked_by=town.instructor, confirmed=True
        ).pk
        for person in (town.manager, second)
    ]
    _, failures = together(lambda: administrators.carry_out(rows.pop()), 2)
    assert not failures
    assert administrators.managers(town.commune).count() == 1
    assert sorted(AdministratorChange.objects.values_list("state", flat=True)) == ["done", "lapsed"]


@pytest.mark.django_db(transaction=True)
def test_an_objection_and_the_end_of_the_delay_at_once_are_one_or_the_other() -> None:
    town = Town()
    change = town.ask()
    administrators.confirm(change, by=town.lead, check=CHECK)
    past = timezone.now() - DELAY
    AdministratorChange.objects.update(confirmed_at=past, due_at=past + DELAY)
    acts: list[Callable[[], object]] = [
        partial(administrators.carry_out, change.pk),
        partial(administrators.object_to, change),
    ]

    def act() -> object:
        return acts.pop()()

    _, failures = together(act, 2)
    assert not failures
    change = AdministratorChange.objects.get()
    assert (change.state, town.role(town.secretary)[0]) in {("done", "manager"), ("objected", "requester")}


class TestAsk:
    def url(self, town: Town) -> str:
        return f"/mon-equipe/{town.commune.pk}/gestionnaires/"

    def test_a_manager_asks_and_follows(
        self, town: Town, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = signed_in(town.manager)
        with django_assert_max_num_queries(15):
            page = client.get(self.url(town), {"person": str(town.secretary.pk), "kind": "give"})
        assert f'value="{town.secretary.pk}" selected' in page.text
        assert 'name="speaker"' not in page.text
        sent = {"kind": "give", "person": str(town.secretary.pk), "reason": WHY}
        response = client.post(self.url(town), sent)
        change = AdministratorChange.objects.get()
        assert response["Location"] == f"/gestionnaires/{change.pk}/"
        assert change.speaker == town.manager
        assert "À confirmer" in client.get(response["Location"]).text
        assert "Nommer un gestionnaire" in client.get(f"/mon-equipe/{town.commune.pk}/").text

    def test_without_a_second_factor_nothing_is_asked(self, town: Town) -> None:
        sent = {"kind": "give", "person": str(town.secretary.pk), "reason": WHY}
        assert signed_in(town.manager, factor=False).post(self.url(town), sent).status_code == 403
        assert not AdministratorChange.objects.exists()

    def test_an_address_is_not_changed_under_a_code_by_mail(self, town: Town) -> None:
        client = signed_in(town.manager, factor=False)
        elevate(client, by_mail=True)
        sent = {"kind": "email", "person": str(town.manager.pk), "email": "a@b.example", "reason": WHY}
        assert client.post(self.url(town), sent).status_code == 403
        assert client.post(self.url(town), {**sent, "kind": "give", "email": ""}).status_code == 422

    def test_a_mandate_that_is_not_enough_shows_the_other_routes(self, town: Town) -> None:
        MandateProof.objects.all().delete()
        page = signed_in(town.manager).get(self.url(town))
        assert f"/habilitation/{town.commune.code}/" in page.text
        sent = {"kind": "give", "person": str(town.secretary.pk), "reason": WHY}
        refused = signed_in(town.manager).post(self.url(town), sent)
        assert refused.status_code == 422
        assert "il faut M3" in refused.text
        assert WHY in refused.text, "what was typed is shown again"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"kind": ""}, "Choisissez ce que vous demandez"),
            ({"kind": "superadmin"}, "Choisissez ce que vous demandez"),
            ({"person": "nobody"}, "choisissez une personne"),
            ({"reason": "court"}, "au moins 10"),
            ({"kind": "email"}, "Écrivez la nouvelle adresse de secours"),
            ({"email": "a@b.example"}, "effacez-la"),
            ({"kind": "email", "email": "a"}, "pas complète"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_said(self, town: Town, wrong: dict[str, str], said: str) -> None:
        sent = {"kind": "give", "person": str(town.secretary.pk), "reason": WHY, **wrong}
        page = signed_in(town.manager).post(self.url(town), sent)
        assert page.status_code == 422
        assert said in page.text
        assert not AdministratorChange.objects.exists()

    def test_somebody_of_another_commune_cannot_be_named(self, town: Town) -> None:
        stranger = MembershipFactory.create().user
        sent = {"kind": "give", "person": str(stranger.pk), "reason": WHY}
        assert signed_in(town.manager).post(self.url(town), sent).status_code == 422

    def test_the_operator_asks_in_the_name_of_somebody(self, town: Town) -> None:
        client = signed_in(town.instructor)
        sent = {"kind": "give", "person": str(town.secretary.pk), "reason": WHY, "speaker": str(town.manager.pk)}
        assert client.post(self.url(town), sent).status_code == 302
        assert AdministratorChange.objects.get().speaker == town.manager


class TestQueue:
    def test_the_operator_sees_its_own_and_no_other(
        self, town: Town, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        change = town.ask()
        elsewhere = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["35"])).user
        client = signed_in(town.instructor)
        with django_assert_max_num_queries(15):
            assert str(change.pk) in client.get("/instruction/gestionnaires/").text
        assert str(change.pk) not in signed_in(elsewhere).get("/instruction/gestionnaires/").text


class TestDetail:
    def test_it_offers_what_each_may_do(
        self, town: Town, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        url = f"/gestionnaires/{town.ask().pk}/"
        pages = {
            who: signed_in(getattr(town, who)).get(url).text for who in ("manager", "instructor", "lead", "secretary")
        }
        offered = {who: set(re.findall(rf'{url}(\w+)/"', page)) for who, page in pages.items()}
        assert offered == {
            "manager": {"annuler"},
            "instructor": {"refuser", "annuler"},
            "lead": {"confirmer", "refuser", "annuler"},
            "secretary": set(),
        }
        assert "m•••@rochefort.example" in pages["lead"]
        client = signed_in(town.lead)
        with django_assert_max_num_queries(15):
            client.get(url)

    def test_another_commune_does_not_see_it(self, town: Town) -> None:
        stranger = MembershipFactory.create(manager=True).user
        assert signed_in(stranger).get(f"/gestionnaires/{town.ask().pk}/").status_code == 404


class TestConfirm:
    def test_one_second_factor_confirms_one_change(self, town: Town) -> None:
        third = town.member(state=Membership.State.ACTIVE)
        first, second = town.ask(), town.ask(person=third)
        client = signed_in(town.lead)
        assert client.post(f"/gestionnaires/{first.pk}/confirmer/", {"reason": ""}).status_code == 422
        assert client.post(f"/gestionnaires/{first.pk}/confirmer/", {"reason": CHECK}).status_code == 302
        assert client.post(f"/gestionnaires/{second.pk}/confirmer/", {"reason": CHECK}).status_code == 403
        second.refresh_from_db()
        assert second.state == "asked"

    def test_the_factor_of_the_sign_in_or_by_mail_does_not_confirm(self, town: Town) -> None:
        url = f"/gestionnaires/{town.ask().pk}/confirmer/"
        for weak in ({"asked": False}, {"by_mail": True}):
            client = signed_in(town.lead, factor=False)
            elevate(client, **weak)
            assert client.post(url, {"reason": CHECK}).status_code == 403
        assert AdministratorChange.objects.get().state == "asked"

    def test_what_was_typed_comes_back_after_the_factor(self, town: Town) -> None:
        url = f"/gestionnaires/{town.ask().pk}/confirmer/"
        client = signed_in(town.lead, factor=False)
        page = client.post(url, {"reason": CHECK})
        found = re.search(r"reprise%3D([\w-]+)", page.text)
        assert found
        elevate(client)
        back = client.get(url, {"reprise": found[1]})
        assert CHECK in back.text
        assert client.get(url).status_code == 405

    def test_the_second_lead_learns_that_it_is_done(self, town: Town) -> None:
        change = town.ask()
        assert signed_in(town.lead).post(f"/gestionnaires/{change.pk}/confirmer/", {"reason": CHECK}).status_code == 302
        late = signed_in(town.other_lead).post(f"/gestionnaires/{change.pk}/confirmer/", {"reason": CHECK})
        assert late.status_code == 409
        assert "entre-temps" in late.text


class TestRefuse:
    def test_it_ends_there_and_everybody_is_told_why(self, town: Town) -> None:
        change = town.ask()
        sent = {"reason": "La mairie n’est pas au courant."}
        assert signed_in(town.instructor).post(f"/gestionnaires/{change.pk}/refuser/", sent).status_code == 302
        change.refresh_from_db()
        assert change.state == "refused"
        assert town.manager.email in told("administrator_told")
        assert "pas au courant" in Notice.objects.filter(kind="administrator_told").latest("created_at").body_text

    def test_who_asked_does_not_refuse(self, town: Town) -> None:
        change = town.ask(by=town.instructor, speaker=town.manager)
        sent = {"reason": "J’ai changé d’avis."}
        assert signed_in(town.instructor).post(f"/gestionnaires/{change.pk}/refuser/", sent).status_code == 403


class TestCancel:
    def test_another_manager_gives_it_up_before_the_end_of_the_delay(self, town: Town) -> None:
        second = town.member(manager=True)
        change = town.confirmed()
        sent = {"reason": "Nous y renonçons finalement."}
        assert signed_in(second).post(f"/gestionnaires/{change.pk}/annuler/", sent).status_code == 302
        with later():
            tasks.sweep_decisions()
        assert town.role(town.secretary)[0] == "requester"
        again = signed_in(second).post(f"/gestionnaires/{change.pk}/annuler/", sent)
        assert again.status_code == 409

    def test_a_requester_does_not(self, town: Town) -> None:
        url = f"/gestionnaires/{town.confirmed().pk}/annuler/"
        assert signed_in(town.secretary).post(url, {"reason": WHY}).status_code == 403


class TestObject:
    def test_whoever_holds_the_link_freezes_it_without_an_account(self, town: Town) -> None:
        change = town.confirmed()
        url, visitor = link(), Client()
        assert "Suspendre ce changement" in visitor.get(url).text
        change.refresh_from_db()
        assert change.state == "confirmed", "looking changes nothing"
        assert "C’est noté" in visitor.post(url).text
        assert "C’est noté" in visitor.post(url).text
        with later():
            tasks.sweep_decisions()
        change.refresh_from_db()
        assert change.state == "objected"
        assert town.role(town.secretary)[0] == "requester"
        assert Event.objects.filter(kind="administrator.objected").count() == 1
        assert OFFICIAL in told("administrator_told")

    def test_after_the_end_it_says_that_it_is_too_late(self, town: Town) -> None:
        town.confirmed()
        url = link()
        with later():
            tasks.sweep_decisions()
            page = Client().post(url)
        assert "n’est plus en attente" in page.text
        assert town.role(town.secretary)[0] == "manager"

    @pytest.mark.parametrize("token", ["rien", "A" * 24, "%00" * 24])
    def test_an_unknown_link_is_not_found(self, token: str) -> None:
        assert Client().get(f"/gestionnaires/objection/{token}/").status_code == 404

    def test_the_page_is_kept_out_of_search_engines(self, town: Town) -> None:
        town.confirmed()
        assert Client().get(link())["X-Robots-Tag"] == "noindex"


class TestSettle:
    @pytest.fixture
    def objected(self, town: Town) -> AdministratorChange:
        change = town.confirmed()
        administrators.object_to(change)
        return change

    def test_a_third_person_finds_it_founded_and_nothing_is_done(
        self, town: Town, objected: AdministratorChange
    ) -> None:
        url = f"/gestionnaires/{objected.pk}/trancher/"
        assert signed_in(town.lead).post(url, {"outcome": "uphold", "reason": CHECK}).status_code == 403
        client = signed_in(town.other_lead)
        assert "Trancher" in client.get(f"/gestionnaires/{objected.pk}/").text
        assert client.post(url, {"outcome": "", "reason": CHECK}).status_code == 422
        assert client.post(url, {"outcome": "uphold", "reason": CHECK}).status_code == 302
        objected.refresh_from_db()
        assert (objected.state, objected.ending) == ("cancelled", CHECK)

    def test_a_mistake_starts_48_hours_again_with_another_link(self, town: Town, objected: AdministratorChange) -> None:
        old = link()
        with time_machine.travel(timezone.now() + dt.timedelta(hours=40), tick=False):
            administrators.dismiss(objected, by=town.other_lead, finding=CHECK)
            assert objected.due_at == timezone.now() + DELAY
            assert Client().get(old).status_code == 404
            assert Client().get(link()).status_code == 200
        with later():
            tasks.sweep_decisions()
        assert town.role(town.secretary)[0] == "requester"

    def test_the_database_refuses_that_a_party_settles(self, town: Town, objected: AdministratorChange) -> None:
        rows = AdministratorChange.objects.filter(pk=objected.pk)
        for user in (town.manager, town.secretary, town.lead):
            with pytest.raises(IntegrityError, match="settled_by_another"), transaction.atomic():
                rows.update(settled_by=user)
