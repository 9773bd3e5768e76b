import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from suite.accounts import codes
from suite.accounts.mandate_models import MandateProof, Objection
from suite.accounts.mandates import REQUIRED, Act, Mandate, is_own_domain, level_of, mandate, missing, verdict
from suite.accounts.models import Membership, User
from suite.directory.models import Organization
from tests.factories.accounts import CommuneRowFactory, MembershipFactory, UserFactory
from tests.factories.directory import DeclaredContactFactory
from tests.factories.mandates import MandateProofFactory

Route = MandateProof.Route


@pytest.fixture
def commune(db: None) -> Organization:
    return CommuneRowFactory.create()


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(email="camille@commune.example")


class TestLevel:
    @pytest.mark.parametrize(
        ("routes", "attached", "own_domain", "level"),
        [
            ((), False, False, "M0"),
            ((), True, False, "M1"),
            ((Route.EMAIL,), False, False, "M1"),
            ((Route.EMAIL,), True, False, "M1"),
            ((), True, True, "M2"),
            ((Route.LETTER,), False, False, "M2"),
            ((Route.DOCUMENT,), False, False, "M2"),
            ((Route.LETTER, Route.DOCUMENT), False, False, "M2"),
            ((Route.LETTER,), True, False, "M3"),
            ((Route.DOCUMENT,), True, False, "M3"),
            ((Route.EMAIL, Route.LETTER), False, False, "M3"),
            ((Route.EMAIL, Route.DOCUMENT), False, False, "M3"),
        ],
    )
    def test_the_routes_make_the_level(
        self,
        routes: tuple[str, ...],
        attached: bool,  # noqa: FBT001 - a parameter
        own_domain: bool,  # noqa: FBT001 - idem
        level: str,
    ) -> None:
        assert level_of(routes, attached=attached, own_domain=own_domain).code == level


class TestMandate:
    def test_nobody_has_none(self, commune: Organization, user: User) -> None:
        assert mandate(user, commune) == Mandate.NONE

    def test_it_costs_one_query(
        self, commune: Organization, user: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        MembershipFactory.create(user=user, organization=commune)
        DeclaredContactFactory.create(organization=commune)
        MandateProofFactory.create(user=user, organization=commune, letter=True)
        with django_assert_max_num_queries(1):
            assert mandate(user, commune) == Mandate.DOUBLE

    def test_an_address_at_the_declared_domain_raises_a_siret(self, commune: Organization, user: User) -> None:
        MembershipFactory.create(user=user, organization=commune)
        DeclaredContactFactory.create(organization=commune, emails=["Mairie@Commune.Example"])
        assert mandate(user, commune) == Mandate.PROVED

    def test_an_invited_colleague_s_address_proves_no_more(self, commune: Organization, user: User) -> None:
        MembershipFactory.create(user=user, organization=commune, invited=True)
        DeclaredContactFactory.create(organization=commune)
        assert mandate(user, commune) == Mandate.ATTACHED

    def test_a_public_provider_is_no_domain_of_a_commune(self) -> None:
        assert not is_own_domain("camille@orange.fr", ["mairie@orange.fr"])
        assert not is_own_domain("", ["mairie@commune.example"])
        assert not is_own_domain("camille@faux.commune.example", ["mairie@commune.example"])

    @pytest.mark.parametrize("state", [Membership.State.SUSPENDED, Membership.State.ENDED])
    def test_a_right_that_does_not_hold_proves_nothing(self, commune: Organization, user: User, state: str) -> None:
        MembershipFactory.create(user=user, organization=commune, state=state)
        assert mandate(user, commune) == Mandate.NONE

    @pytest.mark.parametrize("state", sorted(set(MandateProof.State) - {MandateProof.State.PROVED}))
    def test_only_an_established_proof_counts(self, commune: Organization, user: User, state: str) -> None:
        MandateProofFactory.create(user=user, organization=commune, letter=True, state=state)
        assert mandate(user, commune) == Mandate.NONE

    def test_the_proof_of_another_commune_or_person_counts_for_nothing(self, commune: Organization, user: User) -> None:
        MandateProofFactory.create(user=user, letter=True)
        MandateProofFactory.create(organization=commune, letter=True)
        assert mandate(user, commune) == Mandate.NONE

    def test_a_proof_ends_after_twelve_months(self, commune: Organization, user: User) -> None:
        MandateProofFactory.create(user=user, organization=commune, letter=True)
        with time_machine.travel(timezone.now() + dt.timedelta(days=364)):
            assert mandate(user, commune) == Mandate.PROVED
        with time_machine.travel(timezone.now() + dt.timedelta(days=366)):
            assert mandate(user, commune) == Mandate.NONE

    def test_an_election_ends_what_an_elected_person_proved_a_month_later(
        self, commune: Organization, user: User, settings: Settings
    ) -> None:
        settings.MUNICIPAL_ELECTIONS = ["2027-03-21"]
        proved = dt.datetime(2027, 1, 10, tzinfo=dt.UTC)
        MandateProofFactory.create(user=user, organization=commune, letter=True, proved_at=proved, elected=True)
        secretary = UserFactory.create()
        MandateProofFactory.create(user=secretary, organization=commune, document=True, proved_at=proved)
        again = UserFactory.create()
        MandateProofFactory.create(
            user=again, organization=commune, document=True, proved_at=proved + dt.timedelta(days=90), elected=True
        )
        with time_machine.travel(dt.datetime(2027, 4, 20, 12, tzinfo=dt.UTC)):
            assert mandate(user, commune) == Mandate.PROVED
        with time_machine.travel(dt.datetime(2027, 4, 21, 12, tzinfo=dt.UTC)):
            assert mandate(user, commune) == Mandate.NONE
            assert mandate(secretary, commune) == Mandate.PROVED
            assert mandate(again, commune) == Mandate.PROVED

    def test_an_objection_takes_it_all(self, commune: Organization, user: User) -> None:
        MembershipFactory.create(user=user, organization=commune)
        proof = MandateProofFactory.create(user=user, organization=commune, letter=True)
        Objection.objects.create(proof=proof, organization=commune, user=user)
        assert mandate(user, commune) == Mandate.NONE


class TestRequired:
    def test_every_act_has_its_level(self) -> None:
        assert {act: REQUIRED[act].level.code for act in Act} == {
            Act.DRAFT: "M0",
            Act.SUBMIT: "M1",
            Act.APPROVE_SHARED: "M2",
            Act.APPROVE_NEW: "M2",
            Act.EXPORT: "M2",
            Act.APPROVE_EXISTING: "M2",
            Act.EXTEND: "M1",
            Act.CHANGE_ADMINISTRATOR: "M3",
            Act.CLOSE: "M3",
        }

    def test_an_operator_s_check_lowers_a_shared_name_only(self) -> None:
        assert not missing(Act.APPROVE_SHARED, Mandate.ATTACHED, checked=True)
        assert missing(Act.APPROVE_SHARED, Mandate.ATTACHED)
        assert missing(Act.APPROVE_SHARED, Mandate.NONE, checked=True)
        assert missing(Act.APPROVE_NEW, Mandate.ATTACHED, checked=True)

    def test_the_rarest_acts_take_two_people_and_time(self) -> None:
        assert REQUIRED[Act.CHANGE_ADMINISTRATOR].four_eyes
        assert REQUIRED[Act.CHANGE_ADMINISTRATOR].delay == dt.timedelta(hours=48)
        assert REQUIRED[Act.CLOSE].delay == dt.timedelta(days=30)

    def test_a_refusal_says_the_remedy(self) -> None:
        said = missing(Act.APPROVE_NEW, Mandate.ATTACHED)
        assert "M1" in said
        assert "M2" in said
        assert "code par courrier" in said


class TestVerdict:
    """What a caller asks before an act: may it, else why, and by which other routes."""

    def test_a_member_is_led_to_the_strong_routes_for_the_gravest_acts(
        self, commune: Organization, user: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        MembershipFactory.create(user=user, organization=commune)
        with django_assert_max_num_queries(3):
            said = verdict(Act.CLOSE, user, commune)
        assert not said.allowed
        assert "il faut M3 pour fermer le service" in said.sentence
        assert set(said.routes) == {Route.LETTER, Route.DOCUMENT}
        assert said.page == f"/habilitation/{commune.code}/"
        assert said.contact
        assert (said.four_eyes, said.delay) == (True, dt.timedelta(days=30))

    def test_a_stranger_with_a_letter_lacks_the_other_channel(self, commune: Organization, user: User) -> None:
        MandateProofFactory.create(organization=commune, user=user, letter=True)
        assert verdict(Act.CLOSE, user, commune).routes == (Route.EMAIL,)

    def test_a_stranger_lacks_both(self, commune: Organization, user: User) -> None:
        assert set(verdict(Act.CHANGE_ADMINISTRATOR, user, commune).routes) == set(Route)
        assert verdict(Act.SUBMIT, user, commune).routes[0] == Route.EMAIL
        assert set(verdict(Act.APPROVE_NEW, user, commune).routes) == {Route.LETTER, Route.DOCUMENT}

    def test_two_channels_are_enough(self, commune: Organization, user: User) -> None:
        MembershipFactory.create(user=user, organization=commune)
        MandateProofFactory.create(organization=commune, user=user, document=True)
        said = verdict(Act.CHANGE_ADMINISTRATOR, user, commune)
        assert (said.allowed, said.sentence, said.routes) == (True, "", ())

    def test_while_contested_no_route_is_offered_but_a_person_is(self, commune: Organization, user: User) -> None:
        proof = MandateProofFactory.create(organization=commune, user=user, letter=True)
        Objection.objects.create(proof=proof, organization=commune, user=user)
        said = verdict(Act.SUBMIT, user, commune)
        assert (said.allowed, said.routes) == (False, ())
        assert said.contact


class TestCodes:
    def test_a_code_has_no_character_that_is_read_for_another(self) -> None:
        assert not set("0O1ILZ2S5B8UV") & set(codes.ALPHABET)
        assert all(set(codes.make(8)) <= set(codes.ALPHABET) for _ in range(50))
        assert len({codes.make(8) for _ in range(200)}) == 200

    def test_what_is_stored_depends_on_the_row(self) -> None:
        assert codes.digest("ACDE FGHJ", "one") == codes.digest("acde-fghj", "one") != codes.digest("ACDEFGHJ", "two")

    def test_a_code_that_is_gone_matches_nothing(self) -> None:
        assert not codes.matches("", "", "one")

    def test_a_sealed_text_opens_with_the_key_only(self, settings: Settings) -> None:
        sealed = codes.seal("ACDEFGHJKM")
        assert "ACDEFGHJKM" not in sealed
        assert codes.unseal(sealed) == "ACDEFGHJKM"
        settings.SECRET_KEY = "another-key-of-the-site-0123456789-0123456789"
        assert codes.unseal(sealed) == ""

    @pytest.mark.parametrize(
        ("email", "shown"),
        [("mairie@commune.fr", "m•••@commune.fr"), ("m@commune.fr", "m•••@commune.fr"), ("", "•••@")],
    )
    def test_an_address_is_shown_masked(self, email: str, shown: str) -> None:
        assert codes.mask(email) == shown
