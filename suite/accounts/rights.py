"""What a person may see and do: read here, decided nowhere else. `permissions` says what each role may."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Organization

LIVE = (Membership.State.PENDING, Membership.State.ACTIVE)


class Mandate(IntEnum):
    """How well a person has proved that it acts for an organization (`requests.md`, 3)."""

    NONE = 0  # M0: a declaration; lets one draft
    ATTACHED = 1  # M1: its SIRET, per its identity provider; lets one submit and follow
    PROVED = 2  # M2: a code by post, or a signed document
    DOUBLE = 3  # M3: two independent channels


@dataclass(frozen=True)
class Place:
    """One place in the staff of one operator."""

    operator: UUID
    role: str
    national: bool
    departments: frozenset[str]


@dataclass(frozen=True)
class OperatorScope:
    """Where a member of an operator's staff may look, and in which capacity. A superadmin looks everywhere."""

    places: tuple[Place, ...]
    superadmin: bool = False

    @property
    def national(self) -> bool:
        """Whether nothing is out of sight."""
        return self.superadmin or any(place.national for place in self.places)

    @property
    def departments(self) -> frozenset[str]:
        """The territory of all the operators."""
        return frozenset(code for place in self.places for code in place.departments)

    @property
    def operators(self) -> frozenset[UUID]:
        """The operators themselves."""
        return frozenset(place.operator for place in self.places)

    @property
    def roles(self) -> frozenset[str]:
        """The roles held at any of them; none for a superadmin, who looks and decides nothing."""
        return frozenset() if self.superadmin else frozenset(place.role for place in self.places)

    @property
    def instructs(self) -> bool:
        """Whether one of the roles decides on dossiers; a reader only looks."""
        return bool(self.roles & {OperatorRole.Role.INSTRUCTOR, OperatorRole.Role.LEAD})

    @property
    def leads(self) -> bool:
        """Whether one of the roles may give a second approval."""
        return OperatorRole.Role.LEAD in self.roles

    def roles_over(self, operators: Collection[UUID | None], departments: Collection[str] = ()) -> frozenset[str]:
        """Return the roles that count there: of the national operator, of one of `operators`, or of the territory."""
        if self.superadmin:
            return frozenset()
        return frozenset(
            place.role
            for place in self.places
            if place.national or place.operator in operators or place.departments.intersection(departments)
        )


def operator_scope(user: User | AnonymousUser) -> OperatorScope | None:
    """Return the scope of an operator's staff or a superadmin, None for everybody else. One query per request."""
    if not isinstance(user, User):
        return None
    if not hasattr(user, "_operator_scope"):
        places = tuple(
            Place(row.operator_id, row.role, row.operator.national, frozenset(row.operator.departments))
            for row in user.operator_roles.filter(active=True).select_related("operator")
        )
        user._operator_scope = (  # type: ignore[attr-defined]  # noqa: SLF001 - a cache for the request's life
            OperatorScope(places, superadmin=user.is_superuser) if places or user.is_superuser else None
        )
    scope: OperatorScope | None = user._operator_scope  # type: ignore[attr-defined]  # noqa: SLF001
    return scope


def is_privileged(user: User) -> bool:
    """Whether the account holds power over others' communes: it signs in with a second factor."""
    return user.is_superuser or user.operator_roles.filter(active=True).exists()


def organizations_of(user: User | AnonymousUser) -> QuerySet[Organization]:
    """Return the organizations the person may act for: a right pending its confirmation counts, a suspended one not."""
    if not isinstance(user, User):
        return Organization.objects.none()
    return Organization.objects.filter(memberships__user=user, memberships__state__in=LIVE).distinct()


def lost_organizations(user: User) -> QuerySet[Organization]:
    """Return the organizations where the person had a right and has none today: what it wrote there stays there."""
    return Organization.objects.filter(
        ~Q(pk__in=organizations_of(user).values("pk")), memberships__user=user
    ).distinct()


def live_membership(user: User | AnonymousUser, organization: Organization) -> Membership | None:
    """Return the right the person has in the organization today."""
    if not isinstance(user, User):
        return None
    return user.memberships.filter(organization=organization, state__in=LIVE).first()


def mandate(user: User | AnonymousUser, organization: Organization) -> Mandate:
    """Return how well the person's right to act for the organization is proved."""
    return Mandate.ATTACHED if organizations_of(user).filter(pk=organization.pk).exists() else Mandate.NONE
