"""A commune served by its operator, with the people around it."""

import pytest

from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.mandates import MandateProofFactory


@pytest.fixture
def operator(db: None) -> Operator:
    return OperatorFactory.create(email="opsn@operateur.example")


@pytest.fixture
def commune(operator: Operator) -> Organization:
    """Return a commune that the operator serves."""
    found: Organization = CommuneFactory.create(name="Sainte-Essai")
    operator.organizations.add(found)
    return found


@pytest.fixture
def manager(commune: Organization) -> User:
    """Somebody who manages the commune's team with a mandate M3: a letter besides the right."""
    user = MembershipFactory.create(organization=commune, manager=True).user
    MandateProofFactory.create(organization=commune, user=user, letter=True)
    return user


@pytest.fixture
def secretary(commune: Organization) -> User:
    """Somebody attached to the commune by its SIRET only: M1."""
    return MembershipFactory.create(organization=commune).user


@pytest.fixture
def lead(operator: Operator) -> User:
    return OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.LEAD).user
