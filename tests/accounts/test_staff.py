"""An operator's people, and the identities that ask to take over an account."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from suite.accounts import invitations, relinks, staff
from suite.accounts.models import Identity, Membership, OperatorRole, RelinkRequest, User
from suite.accounts.refusals import RightRefused, SignInRefused
from suite.accounts.rights import organizations_of
from suite.accounts.tokens import Authentication, Person
from suite.accounts.workflow import sign_in
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.test_teams import signed_in, token
from tests.accounts.threads import together
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory, siret_of
from tests.factories.directory import CommuneFactory, OperatorFactory

pytestmark = pytest.mark.django_db
PLAIN = Authentication("old", "eidas1", ("pwd",))
STRONG = Authentication("old", "eidas1-mfa", ("pwd", "otp", "mfa"))
WHY = "Appelée au standard de la mairie le 3 mars."


@pytest.fixture
def lead(db: None) -> OperatorRole:
    place: OperatorRole = OperatorRoleFactory.create(operator=OperatorFactory.create(), lead=True)
    return place


def colleague(beside: OperatorRole, **facts: object) -> OperatorRole:
    place: OperatorRole = OperatorRoleFactory.create(operator=beside.operator, **facts)
    return place


class TestStaff:
    def test_a_lead_sees_its_operator_and_the_national_one_s_sees_all(
        self, lead: OperatorRole, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        others = [OperatorRoleFactory.create(operator=OperatorFactory.create()) for _ in range(4)]
        national = OperatorRoleFactory.create(operator=OperatorFactory.create(national_one=True), lead=True)

        own = signed_in(lead.user).get("/instruction/equipe/").content.decode()
        client = signed_in(national.user)
        with django_assert_max_num_queries(15):
            every = client.get("/instruction/equipe/").content.decode()

        assert lead.operator.name in own
        assert others[0].operator.name not in own
        assert all(one.operator.name in every for one in others)


class TestInviteStaff:
    def test_who_accepts_joins_and_signs_in_again_with_a_second_factor(self, lead: OperatorRole) -> None:
        ana = UserFactory.create(email="ana@opsn.example")
        data = {"email": ana.email, "role": "instructor"}
        assert signed_in(lead.user).post(f"/instruction/equipe/{lead.operator_id}/inviter/", data).status_code == 302
        client = signed_in(ana)

        client.post("/invitation/", {"jeton": token()})

        assert ana.operator_roles.get().role == "instructor"
        assert client.get("/instruction/")["Location"].startswith("/connexion/")

    def test_another_operator_s_lead_does_not_invite_here(self, lead: OperatorRole) -> None:
        other = OperatorRoleFactory.create(operator=OperatorFactory.create(), lead=True)
        assert signed_in(other.user).get(f"/instruction/equipe/{lead.operator_id}/inviter/").status_code == 404


class TestRevokeStaffInvitation:
    def test_its_link_is_worth_nothing_any_more(self, lead: OperatorRole) -> None:
        invitation = invitations.invite(lead.operator, "ana@opsn.example", "lead", by=lead.user)
        url = f"/instruction/equipe/invitations/{invitation.pk}/annuler/"
        client = signed_in(lead.user)
        assert [client.post(url).status_code for _ in range(2)] == [302, 409]


class TestColleague:
    def test_a_role_suspended_by_a_changed_identity_is_restored_with_a_reason(self, lead: OperatorRole) -> None:
        """Matrix, row 75: the way back."""
        place = colleague(lead)
        staff.suspend_for_provider(place.user)
        client = signed_in(lead.user)
        url = f"/instruction/equipe/membres/{place.pk}/"
        assert staff.PROVIDER_CHANGED in client.get(url).content.decode()

        assert client.post(url, {"action": "restore"}).status_code == 422
        assert client.post(url, {"action": "restore", "reason": WHY}).status_code == 302

        place.refresh_from_db()
        assert (place.active, place.suspended_for) == (True, "")
        event = Event.objects.get(kind="operator_role.restored")
        assert (event.actor, event.text.comment) == (lead.user_id, WHY)

    def test_a_suspension_ends_the_sessions_and_the_invitations(self, lead: OperatorRole) -> None:
        place = colleague(lead, lead=True)
        invitations.invite(lead.operator, "ana@opsn.example", "reader", by=place.user)
        theirs = signed_in(place.user)
        assert theirs.get("/instruction/").status_code == 200

        url = f"/instruction/equipe/membres/{place.pk}/"
        signed_in(lead.user).post(url, {"action": "suspend", "reason": "Partie du syndicat."})

        assert theirs.get("/instruction/")["Location"].startswith("/connexion/")
        ana = UserFactory.create(email="ana@opsn.example")
        assert "a été annulée" in signed_in(ana).get("/invitation/", {"jeton": token()}).content.decode()

    def test_a_superadmin_manages_but_keeps_the_last_lead(self, lead: OperatorRole) -> None:
        superadmin = UserFactory.create(is_superuser=True, is_staff=True)
        url = f"/instruction/equipe/membres/{lead.pk}/"
        response = signed_in(superadmin).post(url, {"action": "suspend", "reason": "Partie du syndicat."})

        assert response.status_code == 422
        assert "dernière personne responsable" in response.content.decode()
        colleague(lead, lead=True)
        assert signed_in(superadmin).post(url, {"action": "role", "role": "reader"}).status_code == 302

    def test_nobody_raises_itself(self, lead: OperatorRole) -> None:
        colleague(lead, lead=True)
        url = f"/instruction/equipe/membres/{lead.pk}/"
        assert signed_in(lead.user).post(url, {"action": "role", "role": "reader"}).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_two_leads_who_suspend_each_other_leave_one() -> None:
    first = OperatorRoleFactory.create(lead=True)
    second = OperatorRoleFactory.create(operator=first.operator, lead=True)
    pairs = [(first, second.user), (second, first.user)]

    together(lambda: staff.suspend((pair := pairs.pop())[0], by=pair[1], reason=WHY), 2)

    assert OperatorRole.objects.filter(role="lead", active=True).count() == 1


class TestSuperadmin:
    def test_the_command_gives_the_place_and_takes_it_back(self) -> None:
        user = UserFactory.create()
        client = signed_in(user)
        call_command("superadmin", user.email, verbosity=0)
        user.refresh_from_db()
        assert (user.is_superuser, user.is_staff) == (True, True)
        assert client.get("/demandes/").status_code == 302
        call_command("superadmin", user.email, "--retirer", verbosity=0)
        user.refresh_from_db()
        assert not user.is_superuser

    def test_it_signs_in_with_a_second_factor_only(self) -> None:
        person = newcomer("old")
        user = sign_in(person, PLAIN)
        staff.appoint_superadmin(user)
        with pytest.raises(SignInRefused, match="second_factor"):
            sign_in(person, PLAIN)
        sign_in(person, STRONG)


def newcomer(sub: str, siren: str = "130026032") -> Person:
    return Person(
        issuer="https://auth.example/api/v2",
        sub=sub,
        siret=siret_of(siren),
        email="camille@commune.example",
        given_name="Camille",
        usual_name="Durand",
        roles=("agent_public",),
        idp_id="home",
        uid="42",
    )


@pytest.fixture
def asked(db: None) -> RelinkRequest:
    """Make an account of a commune, whose holder comes back with another `sub`."""
    commune = CommuneFactory.create()
    person = newcomer("old", commune.siren or "")
    sign_in(person, PLAIN)
    MembershipFactory.create(organization=commune, manager=True)
    with pytest.raises(SignInRefused, match="email_clash"):
        sign_in(replace(person, sub="new", siret=siret_of("130026032")), PLAIN)
    return RelinkRequest.objects.get()


def national(**facts: object) -> User:
    operator = OperatorFactory.create(national_one=True) if "operator" not in facts else facts.pop("operator")
    user: User = OperatorRoleFactory.create(operator=operator, **facts).user
    return user


class TestRelinks:
    def test_a_refused_sign_in_files_one_request_with_its_contact(self, asked: RelinkRequest) -> None:
        with pytest.raises(SignInRefused, match="email_clash"):
            sign_in(replace(newcomer("new"), email="CAMILLE@commune.example"), PLAIN)
        assert (RelinkRequest.objects.count(), asked.email, asked.user.email) == (1, *["camille@commune.example"] * 2)
        assert asked.expires_at - asked.created_at <= timedelta(days=7, seconds=1)
        text = signed_in(national()).get("/instruction/rapprochements/").content.decode()
        assert asked.email in text

    def test_another_territory_does_not_see_it(self, asked: RelinkRequest) -> None:
        user = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["35"])).user
        assert asked.email not in signed_in(user).get("/instruction/rapprochements/").content.decode()
        assert signed_in(user).get(f"/instruction/rapprochements/{asked.pk}/").status_code == 404


class TestRelink:
    def test_the_territory_s_instructor_approves_and_the_account_changes_hands(self, asked: RelinkRequest) -> None:
        operator = OperatorRoleFactory.create(operator=OperatorFactory.create()).user
        theirs = signed_in(asked.user)
        url = f"/instruction/rapprochements/{asked.pk}/"
        assert theirs.get("/demandes/").status_code == 200
        assert signed_in(operator).post(url, {"action": "approve"}).status_code == 422

        response = signed_in(operator).post(url, {"action": "approve", "reason": WHY})

        assert response.status_code == 302
        assert theirs.get("/demandes/")["Location"].startswith("/connexion/"), "every session ends"
        assert not organizations_of(asked.user).exists(), "the rights are decided afresh by the new SIRET"
        told = set(Notice.objects.filter(kind="relink_approved").values_list("recipient", flat=True))
        manager = Membership.objects.get(role="manager").user
        assert told == {asked.user.email, manager.email}
        with pytest.raises(SignInRefused, match="identity_revoked"):
            sign_in(newcomer("old"), PLAIN)
        assert sign_in(newcomer("new"), PLAIN) == asked.user
        with pytest.raises(SignInRefused, match="email_clash"):
            sign_in(newcomer("third"), PLAIN)

    def test_a_tie_unused_within_the_week_is_worth_nothing(self, asked: RelinkRequest) -> None:
        relinks.approve(asked, by=national(), check=WHY)
        Identity.objects.filter(sub="new").update(first_use_before=timezone.now())
        with pytest.raises(SignInRefused, match="email_clash"):
            sign_in(newcomer("new"), PLAIN)

    def test_an_expired_request_is_not_approved(self, asked: RelinkRequest) -> None:
        RelinkRequest.objects.update(expires_at=timezone.now())
        with pytest.raises(RightRefused, match="expiré"):
            relinks.approve(asked, by=national(), check=WHY)
        assert not Identity.objects.filter(sub="new").exists()

    def test_an_operator_s_account_takes_two(self, asked: RelinkRequest) -> None:
        OperatorRoleFactory.create(user=asked.user, former=True)
        first = national()
        second = national(operator=first.operator_roles.get().operator)

        assert not relinks.approve(asked, by=first, check=WHY)
        with pytest.raises(RightRefused, match="seconde personne"):
            relinks.approve(asked, by=first, check=WHY)
        assert not Identity.objects.filter(sub="new").exists()
        assert relinks.approve(asked, by=second, check=WHY)
        assert Identity.objects.get(sub="new").user == asked.user

    def test_nobody_decides_about_its_own_account(self, asked: RelinkRequest) -> None:
        OperatorRoleFactory.create(user=asked.user, operator=OperatorFactory.create(national_one=True), lead=True)
        client = signed_in(asked.user)
        url = f"/instruction/rapprochements/{asked.pk}/"
        assert client.post(url, {"action": "approve", "reason": WHY}).status_code == 403

    def test_a_refusal_leaves_the_account_as_it_was(self, asked: RelinkRequest) -> None:
        url = f"/instruction/rapprochements/{asked.pk}/"
        client = signed_in(national())
        assert client.post(url, {"action": "refuse", "reason": WHY}).status_code == 302
        assert client.post(url, {"action": "approve", "reason": WHY}).status_code == 409
        assert sign_in(newcomer("old"), PLAIN) == asked.user


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_once_hand_over_once() -> None:
    sign_in(newcomer("old"), PLAIN)
    with pytest.raises(SignInRefused):
        sign_in(newcomer("new"), PLAIN)
    asked, by = RelinkRequest.objects.get(), national()

    done, refused = together(lambda: relinks.approve(asked, by=by, check=WHY), 3)

    assert done == [True]
    assert [type(one) for one in refused] == [RightRefused] * 2
