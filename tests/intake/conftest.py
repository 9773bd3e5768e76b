"""People around one dossier of a commune of the Morbihan."""

import pytest

from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, OperatorFactory


@pytest.fixture
def commune(db: None) -> Organization:
    return CommuneFactory.create(name="Rochefort-en-Terre", code="56196", department__code="56", postcodes=["56220"])


@pytest.fixture
def anct(db: None) -> Operator:
    return OperatorFactory.create(national_one=True, email="anct@anct.example")


@pytest.fixture
def agent(commune: Organization) -> User:
    """Somebody whose SIRET is the commune's, with an address at the domain that the commune declares: M2."""
    DeclaredContactFactory.create(organization=commune)
    return MembershipFactory.create(organization=commune).user


@pytest.fixture
def instructor(anct: Operator) -> User:
    return staff(anct, OperatorRole.Role.INSTRUCTOR)


@pytest.fixture
def lead(anct: Operator) -> User:
    return staff(anct, OperatorRole.Role.LEAD)


@pytest.fixture
def stranger(db: None) -> User:
    return UserFactory.create()


def staff(operator: Operator, role: str) -> User:
    """Return somebody of an operator's staff."""
    return OperatorRoleFactory.create(operator=operator, role=role).user
