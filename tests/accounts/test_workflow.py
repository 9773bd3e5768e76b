from dataclasses import replace

import pytest
from django.utils import timezone

from suite.accounts.models import Identity, Membership, OperatorRole, User
from suite.accounts.refusals import SignInRefused
from suite.accounts.rights import Mandate, mandate, organizations_of
from suite.accounts.tokens import Authentication, Person
from suite.accounts.workflow import activate, record_refusal, sign_in
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.threads import together
from tests.factories.accounts import (
    CommuneRowFactory,
    IdentityFactory,
    MembershipFactory,
    OperatorRoleFactory,
    UserFactory,
    siret_of,
)

ISSUER = "https://auth.example/api/v2"
PLAIN = Authentication("somebody", "eidas1", ("pwd",))
STRONG = Authentication("somebody", "eidas1-mfa", ("pwd", "otp", "mfa"))
ELSEWHERE = siret_of("130025265")


@pytest.fixture
def commune(db: None) -> Organization:
    return CommuneRowFactory.create()


@pytest.fixture
def person(commune: Organization) -> Person:
    return Person(
        issuer=ISSUER,
        sub="somebody",
        siret=siret_of(commune.siren or ""),
        email="camille@commune.example",
        given_name="Camille",
        usual_name="L’Hostis",
        roles=("agent_public",),
        idp_id="home",
        uid="42",
    )


def kinds(stream: str) -> list[str]:
    return list(Event.objects.filter(stream=stream).order_by("pk").values_list("kind", flat=True))


class TestSignIn:
    def test_the_first_sign_in_makes_an_account_that_no_password_opens(self, person: Person) -> None:
        user = sign_in(person, PLAIN)
        assert (user.email, user.get_full_name()) == (person.email, "Camille L’Hostis")
        assert not user.has_usable_password()
        assert Identity.objects.get(issuer=ISSUER, sub="somebody").user == user
        assert kinds("account") == ["account.created", "account.signed_in"]

    def test_the_second_finds_it_by_issuer_and_sub_whatever_the_email(self, person: Person) -> None:
        first = sign_in(person, PLAIN)
        again = sign_in(replace(person, email="camille.lhostis@commune.example", usual_name="Martin"), PLAIN)
        again.refresh_from_db()
        assert (again.pk, again.email, again.usual_name) == (first.pk, "camille.lhostis@commune.example", "Martin")

    def test_another_issuer_is_another_person(self, person: Person) -> None:
        sign_in(person, PLAIN)
        with pytest.raises(SignInRefused, match="email_clash"):
            sign_in(replace(person, issuer="https://other.example/api/v2"), PLAIN)

    def test_r43_an_unknown_identity_with_a_known_email_is_refused_and_reported_once(self, person: Person) -> None:
        sign_in(person, PLAIN)
        for _ in range(2):
            with pytest.raises(SignInRefused, match="email_clash"):
                sign_in(replace(person, sub="somebody else", email=person.email.upper()), PLAIN)
        assert User.objects.count() == Identity.objects.count() == 1
        notice = Notice.objects.get()
        assert person.siret in notice.body_text
        assert "CAMILLE@COMMUNE.EXAMPLE" in notice.body_html

    def test_the_email_of_a_closed_account_is_not_given_away(self, person: Person) -> None:
        UserFactory.create(email=person.email, inactive=True)
        with pytest.raises(SignInRefused, match="email_clash"):
            sign_in(person, PLAIN)

    def test_a_known_identity_taking_a_known_email_keeps_its_own_account(self, person: Person) -> None:
        user = sign_in(person, PLAIN)
        UserFactory.create(email="maire@commune.example")
        assert sign_in(replace(person, email="maire@commune.example"), PLAIN) == user
        assert "account.email_clash" in kinds("account")

    def test_a_closed_account_is_refused(self, person: Person) -> None:
        user = sign_in(person, PLAIN)
        User.objects.filter(pk=user.pk).update(is_active=False)
        before = Event.objects.count()
        with pytest.raises(SignInRefused, match="inactive"):
            sign_in(replace(person, usual_name="Autre"), PLAIN)
        user.refresh_from_db()
        assert user.usual_name == "L’Hostis"
        assert Event.objects.count() == before

    @pytest.mark.django_db
    def test_a_refusal_is_journaled_without_the_sub(self) -> None:
        record_refusal(ISSUER, "somebody", "not_public")
        event = Event.objects.get(stream="sign-in")
        assert event.payload == {"reason": "not_public"}
        assert "somebody" not in str(event.subject)


class TestOperators:
    @pytest.mark.parametrize(
        "authentication",
        [
            PLAIN,
            Authentication("somebody", "eidas1-mfa", ("pwd", "mail", "mfa")),
            Authentication("somebody", "eidas1-mfa", ("mail",)),
            Authentication("somebody", "eidas0-mfa", ("pwd", "otp", "mfa")),
        ],
        ids=lambda value: f"{value.acr} {value.amr}",
    )
    def test_an_operator_without_a_second_factor_is_refused(
        self, person: Person, authentication: Authentication
    ) -> None:
        OperatorRoleFactory.create(user=sign_in(person, PLAIN))
        with pytest.raises(SignInRefused, match="second_factor"):
            sign_in(person, authentication)

    @pytest.mark.parametrize("acr", ["eidas1-mfa", "eidas2", "eidas3"])
    def test_an_operator_with_one_comes_in(self, person: Person, acr: str) -> None:
        role = OperatorRoleFactory.create(user=sign_in(person, PLAIN))
        assert sign_in(person, Authentication("somebody", acr, ("pwd", "otp"))) == role.user

    @pytest.mark.parametrize("change", [{"idp_id": "another home"}, {"uid": "43"}], ids=str)
    def test_a_change_of_home_provider_suspends_the_place_of_an_operator(
        self, person: Person, change: dict[str, str]
    ) -> None:
        OperatorRoleFactory.create(user=sign_in(person, PLAIN))
        sign_in(replace(person, **change), STRONG)  # type: ignore[arg-type]  # two strings
        assert not OperatorRole.objects.get().active
        assert Event.objects.get(kind="account.provider_changed").payload == {
            "changed": list(change),
            "operator_roles_suspended": 1,
        }


class TestRights:
    def test_the_siret_of_a_commune_gives_a_pending_right(self, person: Person, commune: Organization) -> None:
        user = sign_in(person, PLAIN)
        membership = Membership.objects.get()
        assert (membership.organization, membership.role, membership.state, membership.source, membership.siret) == (
            commune,
            "requester",
            "pending",
            "rule",
            person.siret,
        )
        assert mandate(user, commune) is Mandate.ATTACHED
        assert kinds("membership") == ["membership.given"]

    def test_signing_in_again_gives_nothing_more(self, person: Person) -> None:
        sign_in(person, PLAIN)
        sign_in(person, PLAIN)
        assert kinds("membership") == ["membership.given"]

    @pytest.mark.parametrize(("kind", "nature", "given"), [("epci", "CC", 1), ("epci", "CA", 0), ("epci", "METRO", 0)])
    def test_among_epci_only_a_communaute_de_communes_is_a_requester(
        self, person: Person, commune: Organization, kind: str, nature: str, given: int
    ) -> None:
        Organization.objects.filter(pk=commune.pk).update(kind=kind, nature=nature)
        sign_in(person, PLAIN)
        assert Membership.objects.count() == given

    def test_a_merged_commune_gives_no_right(self, person: Person, commune: Organization) -> None:
        successor = CommuneRowFactory.create()
        Organization.objects.filter(pk=commune.pk).update(successor=successor, closed_on=timezone.localdate())
        sign_in(person, PLAIN)
        assert not Membership.objects.exists()

    def test_another_siret_suspends_the_right_and_the_first_brings_it_back(
        self, person: Person, commune: Organization
    ) -> None:
        user = sign_in(person, PLAIN)
        sign_in(replace(person, siret=ELSEWHERE), PLAIN)
        assert Membership.objects.get().state == "suspended"
        assert not organizations_of(user).exists()
        assert mandate(user, commune) is Mandate.NONE
        sign_in(person, PLAIN)
        assert Membership.objects.get().state == "pending"
        assert kinds("membership") == ["membership.given", "membership.suspended", "membership.resumed"]
        assert kinds("account").count("account.siret_changed") == 2

    def test_a_manager_comes_back_a_manager(self, person: Person, commune: Organization) -> None:
        user = sign_in(person, PLAIN)
        activate(user, commune, by=UserFactory.create())
        sign_in(replace(person, siret=ELSEWHERE), PLAIN)
        assert not organizations_of(user).exists()
        sign_in(person, PLAIN)
        membership = Membership.objects.get()
        assert (membership.role, membership.state) == ("manager", "active")

    def test_what_a_person_gave_survives_another_siret(self, person: Person) -> None:
        user = sign_in(person, PLAIN)
        invited = MembershipFactory.create(user=user, invited=True)
        sign_in(replace(person, siret=ELSEWHERE), PLAIN)
        assert list(organizations_of(user)) == [invited.organization]


class TestActivate:
    @pytest.mark.django_db
    @pytest.mark.parametrize("state", ["pending", "suspended"])
    def test_a_right_becomes_a_managers(self, state: str) -> None:
        by, membership = UserFactory.create(), MembershipFactory.create(state=state)
        activated = activate(membership.user, membership.organization, by=by)
        assert (activated.pk, activated.role, activated.state) == (membership.pk, "manager", "active")
        assert (activated.source, activated.decided_by, activated.resumes_to) == ("rule", by, "")
        assert Event.objects.get(kind="membership.activated").actor == by.pk

    def test_somebody_who_had_no_right_receives_a_persons(self, commune: Organization) -> None:
        membership = activate(UserFactory.create(), commune, by=UserFactory.create())
        assert (membership.role, membership.state, membership.source) == ("manager", "active", "person")

    @pytest.mark.django_db
    def test_an_ended_right_is_not_revived_but_replaced(self) -> None:
        ended = MembershipFactory.create(ended=True)
        assert activate(ended.user, ended.organization, by=UserFactory.create()).pk != ended.pk

    def test_doing_it_again_changes_nothing(self, commune: Organization) -> None:
        user, by = UserFactory.create(), UserFactory.create()
        assert activate(user, commune, by=by) == activate(user, commune, by=UserFactory.create())
        assert Event.objects.filter(kind="membership.activated").count() == 1
        assert Membership.objects.get().decided_by == by


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_two_first_sign_ins_of_one_person_make_one_account(self, person: Person) -> None:
        accounts, failures = together(lambda: sign_in(person, PLAIN).pk, 4)
        assert failures == []
        assert len(set(accounts)) == 1
        assert Identity.objects.count() == Membership.objects.count() == 1

    def test_two_identities_with_one_address_make_one_account_and_one_refusal(self, person: Person) -> None:
        subs = iter(["first", "second"])
        accounts, failures = together(lambda: sign_in(replace(person, sub=next(subs)), PLAIN).pk, 2)
        assert len(accounts) == 1
        assert [str(failure) for failure in failures] == ["email_clash"]

    def test_two_activations_make_one_manager(self, commune: Organization) -> None:
        user, by = UserFactory.create(), UserFactory.create()
        memberships, failures = together(lambda: activate(user, commune, by=by).pk, 2)
        assert failures == []
        assert len(set(memberships)) == 1
        assert Event.objects.filter(kind="membership.activated").count() == 1


class TestOperatorsOfTheDemonstration:
    def test_an_identity_made_beforehand_is_found(self, person: Person) -> None:
        identity = IdentityFactory.create(issuer=ISSUER, sub="somebody", user__email=person.email)
        assert sign_in(person, PLAIN) == identity.user
