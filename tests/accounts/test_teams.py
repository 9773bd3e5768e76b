"""A commune's people: the verbs and their pages."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from suite.accounts import invitations, teams
from suite.accounts.models import AccessRequest, Invitation, Membership, Tally, User
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import organizations_of
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.accounts.threads import together
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory

pytestmark = pytest.mark.django_db
State = Membership.State


@pytest.fixture
def manager(db: None) -> Membership:
    membership: Membership = MembershipFactory.create(organization=CommuneFactory.create(), manager=True)
    return membership


@pytest.fixture
def commune(manager: Membership) -> Organization:
    return manager.organization


def colleague(commune: Organization, **facts: object) -> Membership:
    membership: Membership = MembershipFactory.create(organization=commune, **{"state": State.ACTIVE, **facts})
    return membership


def signed_in(user: User) -> Client:
    """Sign in with a second factor, which acts on others' rights ask for."""
    client = Client()
    client.force_login(user)
    elevate(client)
    return client


def link() -> str:
    """Return the path of the link in the last message sent."""
    body = Notice.objects.filter(kind="invitation").latest("created_at").body_text
    found = re.search(r"(/invitation/\?jeton=\S+)", body)
    assert found
    return found[1]


def token() -> str:
    return link().partition("=")[2]


class TestTeams:
    def test_an_only_team_is_its_page_and_several_are_listed(self, manager: Membership, commune: Organization) -> None:
        client = signed_in(manager.user)
        assert client.get("/mon-equipe/")["Location"] == f"/mon-equipe/{commune.pk}/"

        other = MembershipFactory.create(user=manager.user)

        text = client.get("/mon-equipe/").content.decode()
        assert commune.name in text
        assert other.organization.name in text


class TestTeam:
    def test_it_says_who_has_which_right_and_why(
        self, manager: Membership, commune: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        by_rule = colleague(commune, state=State.PENDING)
        for _ in range(5):
            colleague(commune)
        client = signed_in(manager.user)
        with django_assert_max_num_queries(15):
            text = client.get(f"/mon-equipe/{commune.pk}/").content.decode()

        assert by_rule.user.email in text
        assert f"Son SIRET, {by_rule.siret}" in text

    def test_a_reader_sees_it_and_no_button(self, commune: Organization) -> None:
        text = signed_in(colleague(commune, role="reader").user).get(f"/mon-equipe/{commune.pk}/").content.decode()
        assert "Inviter un collègue" not in text

    def test_another_commune_s_people_do_not_see_it(self, commune: Organization) -> None:
        stranger = MembershipFactory.create(manager=True).user
        assert signed_in(stranger).get(f"/mon-equipe/{commune.pk}/").status_code == 404

    def test_the_operator_who_serves_another_commune_of_the_territory_sees_it_no_more(
        self, commune: Organization
    ) -> None:
        here, elsewhere = OperatorFactory.create(), OperatorFactory.create()
        user = OperatorRoleFactory.create(operator=here, lead=True).user
        assert signed_in(user).get(f"/mon-equipe/{commune.pk}/").status_code == 200
        elsewhere.organizations.add(commune)
        assert signed_in(user).get(f"/mon-equipe/{commune.pk}/").status_code == 404


class TestInvite:
    def test_the_link_is_sent_and_only_its_digest_kept(self, manager: Membership, commune: Organization) -> None:
        response = signed_in(manager.user).post(
            f"/mon-equipe/{commune.pk}/inviter/", {"email": "ana@mairie.example", "role": "reader"}
        )

        assert response.status_code == 302
        invitation = Invitation.objects.get()
        assert len(token()) == 43  # 256 bits
        assert token() not in str(Invitation.objects.values_list())
        assert invitation.digest == invitations.digest(token())
        assert Event.objects.filter(stream="invitation", actor=manager.user_id, kind="invitation.sent").exists()

    def test_what_is_wrong_is_said_and_kept(self, manager: Membership, commune: Organization) -> None:
        response = signed_in(manager.user).post(
            f"/mon-equipe/{commune.pk}/inviter/", {"email": "ana", "role": "emperor"}
        )

        text = response.content.decode()
        assert response.status_code == 422
        assert 'value="ana"' in text
        assert "Cette adresse n’est pas complète" in text
        assert "Ce rôle n’est pas de ceux que vous pouvez donner" in text

    def test_a_second_invitation_to_an_address_replaces_the_first(
        self, manager: Membership, commune: Organization
    ) -> None:
        invitations.invite(commune, "ana@mairie.example", "reader", by=manager.user)
        first = token()
        invitations.invite(commune, "ana@mairie.example", "requester", by=manager.user)
        found = invitations.find(first)
        assert found
        assert found.revoked_at

    def test_too_many_in_a_day_wait_and_a_colleague_is_not_held_up(
        self, manager: Membership, commune: Organization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invitations, "TO_A_PLACE", 1)
        url = f"/mon-equipe/{commune.pk}/inviter/"
        client = signed_in(manager.user)
        answers = [client.post(url, {"email": f"a{n}@mairie.example", "role": "reader"}).status_code for n in range(2)]
        other = signed_in(colleague(commune, role="manager").user)

        assert answers == [302, 429]
        assert other.post(url, {"email": "b@mairie.example", "role": "reader"}).status_code == 302
        assert Tally.objects.exists()


class TestRevokeInvitation:
    def test_its_link_is_worth_nothing_any_more(self, manager: Membership, commune: Organization) -> None:
        invitation = invitations.invite(commune, "ana@mairie.example", "reader", by=manager.user)
        url = f"/mon-equipe/invitations/{invitation.pk}/annuler/"
        client = signed_in(manager.user)

        assert client.post(url).status_code == 302
        assert client.post(url).status_code == 409
        ana = UserFactory.create(email="ana@mairie.example")
        assert "a été annulée" in signed_in(ana).get(link()).content.decode()

    def test_a_staff_invitation_is_not_reached_from_here(self, manager: Membership) -> None:
        lead = OperatorRoleFactory.create(lead=True)
        invitation = invitations.invite(lead.operator, "ana@mairie.example", "reader", by=lead.user)
        client = signed_in(manager.user)
        assert client.post(f"/mon-equipe/invitations/{invitation.pk}/annuler/").status_code == 404


class TestInvitation:
    @pytest.fixture
    def ana(self, manager: Membership, commune: Organization) -> User:
        user: User = UserFactory.create(email="ana@mairie.example")
        invitations.invite(commune, "ana@mairie.example", "requester", by=manager.user)
        return user

    def test_reading_it_consumes_nothing_and_accepting_gives_the_right(self, ana: User, commune: Organization) -> None:
        client = signed_in(ana)
        for _ in range(3):
            assert client.get(link()).status_code == 200
        assert not organizations_of(ana).exists()

        response = client.post("/invitation/", {"jeton": token()})

        assert response["Location"] == f"/mon-equipe/{commune.pk}/"
        membership = ana.memberships.get()
        assert (membership.role, membership.state, membership.source) == ("requester", "active", "person")

    def test_the_right_survives_a_sign_in_with_another_siret(self, ana: User, commune: Organization) -> None:
        signed_in(ana).post("/invitation/", {"jeton": token()})
        teams.reevaluate(ana, "13002603200016", by=ana)
        assert list(organizations_of(ana)) == [commune]

    def test_a_visitor_signs_in_first_and_finds_it_again(self, ana: User) -> None:
        response = Client().get(link())
        assert response["Location"].startswith("/connexion/?next=/invitation/%3Fjeton%3D")

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            ({"expires_at": timezone.now() - timedelta(seconds=1)}, "a expiré"),
            ({"revoked_at": timezone.now()}, "a été annulée"),
            ({"email": "Ana@mairie.example"}, "une autre adresse"),
            ({"email": "bob@mairie.example"}, "une autre adresse"),
        ],
        ids=["expired", "revoked", "other case", "other address"],
    )
    def test_r44_a_spoiled_link_is_explained_and_gives_nothing(
        self, ana: User, spoil: dict[str, object], words: str
    ) -> None:
        Invitation.objects.update(**spoil)
        client = signed_in(ana)

        for response in (client.get(link()), client.post("/invitation/", {"jeton": token()})):
            assert response.status_code == 410
            assert words in response.content.decode()
        assert not ana.memberships.exists()

    def test_r44_a_link_serves_once(self, ana: User) -> None:
        client = signed_in(ana)
        client.post("/invitation/", {"jeton": token()})
        Membership.objects.all().update(state=State.ENDED)

        response = client.post("/invitation/", {"jeton": token()})

        assert response.status_code == 410
        assert "déjà servi" in response.content.decode()
        assert not organizations_of(ana).exists()

    @pytest.mark.parametrize("jeton", ["", "rien", "x" * 5000, "\x00"])
    def test_an_unknown_link_is_explained(self, ana: User, jeton: str) -> None:
        assert signed_in(ana).get("/invitation/", {"jeton": jeton}).status_code == 410

    def test_it_dies_with_the_right_of_who_invited(self, ana: User, commune: Organization) -> None:
        inviter = Membership.objects.get(user=Invitation.objects.get().invited_by)
        Membership.objects.filter(pk=inviter.pk).update(role="reader")
        assert "ne gère plus cette équipe" in signed_in(ana).get(link()).content.decode()

    def test_one_that_offered_to_manage_lets_in_and_no_more(self, ana: User) -> None:
        Invitation.objects.update(role="manager")
        signed_in(ana).post("/invitation/", {"jeton": token()})
        assert ana.memberships.get().role == "requester"

    def test_it_lowers_nobody(self, ana: User, commune: Organization) -> None:
        MembershipFactory.create(user=ana, organization=commune, manager=True)
        signed_in(ana).post("/invitation/", {"jeton": token()})
        assert ana.memberships.get().role == "manager"


@pytest.mark.django_db(transaction=True)
def test_a_link_claimed_twice_at_once_serves_once() -> None:
    manager = MembershipFactory.create(manager=True)
    ana = UserFactory.create(email="ana@mairie.example")
    invitation = invitations.invite(manager.organization, ana.email, "reader", by=manager.user)

    done, refused = together(lambda: invitations.accept(Invitation.objects.get(pk=invitation.pk), by=ana), 4)

    assert len(done) == 1
    assert [type(one) for one in refused] == [RightRefused] * 3


class TestMember:
    def test_a_manager_changes_a_role_and_the_person_is_told(self, manager: Membership, commune: Organization) -> None:
        other = colleague(commune)
        response = signed_in(manager.user).post(
            f"/mon-equipe/membres/{other.pk}/", {"action": "role", "role": "reader"}
        )

        assert response.status_code == 302
        other.refresh_from_db()
        assert (other.role, other.decided_by) == ("reader", manager.user)
        assert Notice.objects.get(kind="membership_changed").recipient == other.user.email

    def test_a_suspension_asks_why_ends_the_sessions_and_comes_back(
        self, manager: Membership, commune: Organization
    ) -> None:
        other = colleague(commune)
        theirs, ours = signed_in(other.user), signed_in(manager.user)
        assert theirs.get(f"/mon-equipe/{commune.pk}/").status_code == 200
        url = f"/mon-equipe/membres/{other.pk}/"

        assert ours.post(url, {"action": "suspend"}).status_code == 422
        assert ours.post(url, {"action": "suspend", "reason": "Parti de la mairie."}).status_code == 302
        assert theirs.get(f"/mon-equipe/{commune.pk}/")["Location"].startswith("/connexion/")
        assert not organizations_of(other.user).exists()
        teams.reevaluate(other.user, other.siret, by=other.user)
        assert not organizations_of(other.user).exists(), "a sign-in gives back what a person took away"
        assert ours.post(url, {"action": "resume"}).status_code == 302
        assert organizations_of(other.user).exists()

    def test_an_end_is_for_good(self, manager: Membership, commune: Organization) -> None:
        other = colleague(commune)
        url = f"/mon-equipe/membres/{other.pk}/"
        assert signed_in(manager.user).post(url, {"action": "end", "reason": "Parti de la mairie."}).status_code == 302
        assert signed_in(manager.user).get(url).status_code == 404
        assert Event.objects.filter(kind="membership.ended", actor=manager.user_id).exists()

    @pytest.mark.parametrize("action", ["role", "suspend", "end"])
    def test_a_manager_is_not_changed_from_here(self, manager: Membership, commune: Organization, action: str) -> None:
        commune.operators.add(operator := OperatorFactory.create())
        lead = OperatorRoleFactory.create(operator=operator, lead=True).user
        data = {"action": action, "role": "reader", "reason": "Un motif assez long."}

        response = signed_in(lead).post(f"/mon-equipe/membres/{manager.pk}/", data)

        assert response.status_code == 422
        assert "Demander un changement de gestionnaire" in response.content.decode()
        manager.refresh_from_db()
        assert (manager.role, manager.state) == ("manager", "active")

    def test_nobody_changes_its_own_right(self, manager: Membership, commune: Organization) -> None:
        colleague(commune, role="manager")
        url = f"/mon-equipe/membres/{manager.pk}/"
        assert signed_in(manager.user).post(url, {"action": "role", "role": "reader"}).status_code == 422

    def test_an_unknown_action_is_refused(self, manager: Membership, commune: Organization) -> None:
        url = f"/mon-equipe/membres/{colleague(commune).pk}/"
        assert signed_in(manager.user).post(url, {"action": "x"}).status_code == 422

    def test_nobody_is_made_a_manager_from_here(self, manager: Membership, commune: Organization) -> None:
        other = colleague(commune)
        url = f"/mon-equipe/membres/{other.pk}/"
        response = signed_in(manager.user).post(url, {"action": "role", "role": "manager"})
        assert response.status_code == 422
        with pytest.raises(RightRefused, match="48 heures"):
            teams.change_role(other, "manager", by=manager.user)
        other.refresh_from_db()
        assert other.role == "requester"

    def test_a_suspended_manager_comes_back_without_managing(self, manager: Membership, commune: Organization) -> None:
        other = colleague(commune, role="manager", state=State.SUSPENDED)
        teams.resume(other, by=manager.user)
        other.refresh_from_db()
        assert (other.state, other.role) == ("active", "requester")


class TestJoin:
    def test_who_speaks_for_the_commune_is_told_once(self, manager: Membership, commune: Organization) -> None:
        reader = colleague(commune, role="reader")
        client = signed_in(UserFactory.create())
        for _ in range(2):
            url = f"/mon-equipe/{commune.pk}/rejoindre/"
            assert client.post(url, {"message": "Je suis l’adjointe au maire."}).status_code == 302
        recipients = set(Notice.objects.filter(kind="access_request").values_list("recipient", flat=True))

        assert AccessRequest.objects.count() == 1
        assert recipients == {manager.user.email}
        assert reader.user.email not in recipients
        assert "est transmise" in client.get(f"/mon-equipe/{commune.pk}/rejoindre/").content.decode()

    def test_without_anybody_the_operator_is_told(self) -> None:
        commune = CommuneFactory.create()
        OperatorFactory.create(email="operateur@opsn.example")
        teams.ask(commune, "Je suis la secrétaire.", by=UserFactory.create())
        assert Notice.objects.get().recipient == "operateur@opsn.example"

    def test_a_sixth_request_of_the_day_waits(self) -> None:
        client = signed_in(UserFactory.create())
        statuses = [
            client.post(
                f"/mon-equipe/{CommuneFactory.create().pk}/rejoindre/", {"message": "Bonjour, c’est moi."}
            ).status_code
            for _ in range(6)
        ]
        assert statuses == [302] * 5 + [429]

    def test_words_are_asked(self, commune: Organization) -> None:
        response = signed_in(UserFactory.create()).post(f"/mon-equipe/{commune.pk}/rejoindre/", {"message": ""})
        assert response.status_code == 422


class TestAnswer:
    def ask(self, commune: Organization) -> AccessRequest:
        return teams.ask(commune, "Je suis l’adjointe au maire.", by=UserFactory.create())

    def test_a_manager_lets_in_with_a_role(self, manager: Membership, commune: Organization) -> None:
        asked = self.ask(commune)
        url = f"/mon-equipe/demandes/{asked.pk}/"
        client = signed_in(manager.user)

        assert client.post(url, {"action": "admit", "role": "manager"}).status_code == 422
        assert client.post(url, {"action": "admit", "role": "requester"}).status_code == 302
        assert asked.user.memberships.get().role == "requester"
        assert client.post(url, {"action": "admit", "role": "reader"}).status_code == 409
        assert Notice.objects.filter(kind="access_answered", recipient=asked.user.email).exists()

    def test_a_requester_gives_no_more_than_its_own_role(self, commune: Organization) -> None:
        asked = self.ask(commune)
        client = signed_in(colleague(commune).user)
        url = f"/mon-equipe/demandes/{asked.pk}/"

        assert client.post(url, {"action": "admit", "role": "manager"}).status_code == 422
        assert not asked.user.memberships.exists()
        assert client.post(url, {"action": "admit", "role": "requester"}).status_code == 302

    def test_a_refusal_gives_nothing(self, manager: Membership, commune: Organization) -> None:
        asked = self.ask(commune)
        signed_in(manager.user).post(reverse("accounts:answer", args=[asked.pk]), {"action": "decline"})
        assert not asked.user.memberships.exists()
