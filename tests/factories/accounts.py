"""People, the accounts they sign in with, and what they may do."""

import factory
from django.conf import settings
from django.utils import timezone
from factory.django import DjangoModelFactory

from suite.accounts import codes
from suite.accounts.administrator_models import DELAY, AdministratorChange
from suite.accounts.models import Identity, Membership, OperatorRole, User
from suite.directory.models import Operator, Organization


def siret_of(siren: str) -> str:
    """Return the SIRET of the first establishment of a SIREN: 0001 and the digit that makes the sum of Luhn a ten."""
    body = f"{siren}0001"
    doubled = [int(digit) * (2 if index % 2 == 0 else 1) for index, digit in enumerate(reversed(body))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return f"{body}{-total % 10}"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda number: f"agent{number}@commune.example")
    given_name = "Camille"
    usual_name = factory.Sequence(lambda number: f"Essai{number}")
    password = "!"

    class Params:
        inactive = factory.Trait(is_active=False)
        staff = factory.Trait(is_staff=True)


class IdentityFactory(DjangoModelFactory[Identity]):
    class Meta:
        model = Identity

    user = factory.SubFactory(UserFactory)
    issuer = factory.LazyFunction(lambda: settings.OIDC_OP_ISSUER)
    sub = factory.Faker("uuid4")
    siret = "13002603200016"
    roles = factory.LazyFunction(lambda: ["agent_public"])


class CommuneRowFactory(DjangoModelFactory[Organization]):
    """The barest commune a right can hang on; the directory's own factory knows the situations."""

    class Meta:
        model = Organization

    kind = Organization.Kind.COMMUNE
    code = factory.Sequence(lambda number: f"Z{number:04}")
    siren = factory.Sequence(lambda number: f"21{number:07}")
    name = factory.Sequence(lambda number: f"Essai-sur-Rive {number}")
    nature = "COM"
    zone = "metro"
    population = 800
    population_year = 2023


class OperatorRowFactory(DjangoModelFactory[Operator]):
    """The barest operator a role can hang on; the directory's own factory knows the situations."""

    class Meta:
        model = Operator
        skip_postgeneration_save = True

    name = factory.Sequence(lambda number: f"Opérateur d’essai {number}")
    name_with_article = factory.LazyAttribute(lambda operator: f"l’{operator.name}")
    departments = factory.LazyFunction(lambda: ["56"])


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    organization = factory.SubFactory(CommuneRowFactory)
    role = Membership.Role.REQUESTER
    state = Membership.State.PENDING
    source = Membership.Source.RULE
    siret = factory.LazyAttribute(lambda membership: siret_of(membership.organization.siren or "000000000"))

    class Params:
        manager = factory.Trait(
            role=Membership.Role.MANAGER, state=Membership.State.ACTIVE, source=Membership.Source.PERSON
        )
        suspended = factory.Trait(state=Membership.State.SUSPENDED)
        ended = factory.Trait(state=Membership.State.ENDED)
        invited = factory.Trait(source=Membership.Source.PERSON, state=Membership.State.ACTIVE, siret="")


class AdministratorChangeFactory(DjangoModelFactory[AdministratorChange]):
    """Asked by somebody of the collectivité; confirmed, its delay is over, and its link is the letter A 24 times."""

    class Meta:
        model = AdministratorChange

    organization = factory.SubFactory(CommuneRowFactory)
    kind = AdministratorChange.Kind.REMOVE
    person = factory.SubFactory(UserFactory)
    asked_by = factory.SubFactory(UserFactory)
    speaker = factory.SelfAttribute("asked_by")
    reason = "A quitté la mairie au printemps."
    objection_digest = factory.LazyFunction(lambda: codes.digest("A" * codes.OBJECTION_LENGTH, "administrator"))

    class Params:
        confirmed = factory.Trait(
            state=AdministratorChange.State.CONFIRMED,
            confirmed_by=factory.SubFactory(UserFactory),
            confirmed_at=factory.LazyFunction(lambda: timezone.now() - DELAY),
            due_at=factory.LazyAttribute(lambda change: change.confirmed_at + DELAY),
        )


class OperatorRoleFactory(DjangoModelFactory[OperatorRole]):
    class Meta:
        model = OperatorRole

    user = factory.SubFactory(UserFactory)
    operator = factory.SubFactory(OperatorRowFactory)
    role = OperatorRole.Role.INSTRUCTOR

    class Params:
        reader = factory.Trait(role=OperatorRole.Role.READER)
        lead = factory.Trait(role=OperatorRole.Role.LEAD)
        former = factory.Trait(active=False)
        national = factory.Trait(
            operator=factory.SubFactory(OperatorRowFactory, national=True, departments=factory.LazyFunction(list))
        )
