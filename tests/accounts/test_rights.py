import pytest
from django.contrib.auth.models import AnonymousUser
from pytest_django import DjangoAssertNumQueries

from suite.accounts.models import User
from suite.accounts.rights import Mandate, mandate, operator_scope, organizations_of
from tests.factories.accounts import (
    CommuneRowFactory,
    MembershipFactory,
    OperatorRoleFactory,
    OperatorRowFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


class TestOperatorScope:
    def test_the_public_and_the_agents_have_none(self) -> None:
        assert operator_scope(AnonymousUser()) is None
        assert operator_scope(MembershipFactory.create().user) is None

    def test_a_former_member_of_staff_has_none(self) -> None:
        assert operator_scope(OperatorRoleFactory.create(former=True).user) is None

    def test_two_places_add_up(self) -> None:
        user = UserFactory.create()
        first = OperatorRoleFactory.create(user=user, reader=True)
        second = OperatorRoleFactory.create(
            user=user, lead=True, operator=OperatorRowFactory.create(departments=["23", "87"])
        )
        scope = operator_scope(user)
        assert scope is not None
        assert (scope.national, scope.departments) == (False, frozenset({"56", "23", "87"}))
        assert scope.operators == {first.operator_id, second.operator_id}
        assert (scope.instructs, scope.leads) == (True, True)

    @pytest.mark.parametrize(
        ("trait", "instructs", "leads"), [("reader", False, False), ("lead", True, True), ("national", True, False)]
    )
    def test_a_role_says_what_one_may_do(self, trait: str, instructs: bool, leads: bool) -> None:  # noqa: FBT001 - data
        scope = operator_scope(OperatorRoleFactory.create(**{trait: True}).user)
        assert scope is not None
        assert (scope.instructs, scope.leads, scope.national) == (instructs, leads, trait == "national")

    def test_it_costs_one_query_per_request(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        user = User.objects.get(pk=OperatorRoleFactory.create().user_id)
        with django_assert_num_queries(1):
            operator_scope(user)
            operator_scope(user)


class TestOrganizations:
    def test_a_right_pending_or_active_counts_and_no_other(self) -> None:
        user = UserFactory.create()
        pending = MembershipFactory.create(user=user)
        active = MembershipFactory.create(user=user, manager=True)
        suspended = MembershipFactory.create(user=user, suspended=True)
        MembershipFactory.create(user=user, ended=True)
        assert set(organizations_of(user)) == {pending.organization, active.organization}
        assert mandate(user, pending.organization) is Mandate.ATTACHED
        assert mandate(user, suspended.organization) is Mandate.NONE

    def test_nobody_acts_for_anothers_commune(self) -> None:
        assert mandate(UserFactory.create(), MembershipFactory.create().organization) is Mandate.NONE
        assert mandate(AnonymousUser(), CommuneRowFactory.create()) is Mandate.NONE
        assert not organizations_of(AnonymousUser()).exists()
