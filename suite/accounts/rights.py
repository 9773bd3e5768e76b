"""What a person may see and do: read here, decided nowhere else."""

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Organization


class Mandate(IntEnum):
    """How well a person has proved that it acts for an organization (`requests.md`, 3)."""

    NONE = 0  # M0: a declaration; lets one draft
    ATTACHED = 1  # M1: its SIRET, per its identity provider; lets one submit and follow
    PROVED = 2  # M2: a code by post, or a signed document
    DOUBLE = 3  # M3: two independent channels


@dataclass(frozen=True)
class OperatorScope:
    """Where a member of an operator's staff may look, and in which capacity."""

    national: bool
    departments: frozenset[str]
    operators: frozenset[UUID]
    roles: frozenset[str]

    @property
    def instructs(self) -> bool:
        """Whether one of the roles decides on dossiers; a reader only looks."""
        return bool(self.roles & {OperatorRole.Role.INSTRUCTOR, OperatorRole.Role.LEAD})

    @property
    def leads(self) -> bool:
        """Whether one of the roles may give a second approval."""
        return OperatorRole.Role.LEAD in self.roles


def operator_scope(user: User | AnonymousUser) -> OperatorScope | None:
    """Return the scope of an operator's staff, None for everybody else. One query per request at most."""
    if not isinstance(user, User):
        return None
    if not hasattr(user, "_operator_scope"):
        places = list(user.operator_roles.filter(active=True).select_related("operator"))
        user._operator_scope = (  # type: ignore[attr-defined]  # noqa: SLF001 - a cache for the request's life
            OperatorScope(
                national=any(place.operator.national for place in places),
                departments=frozenset(code for place in places for code in place.operator.departments),
                operators=frozenset(place.operator_id for place in places),
                roles=frozenset(place.role for place in places),
            )
            if places
            else None
        )
    scope: OperatorScope | None = user._operator_scope  # type: ignore[attr-defined]  # noqa: SLF001
    return scope


def organizations_of(user: User | AnonymousUser) -> QuerySet[Organization]:
    """Return the organizations the person may act for: a right pending its confirmation counts, a suspended one not."""
    if not isinstance(user, User):
        return Organization.objects.none()
    return Organization.objects.filter(
        memberships__user=user,
        memberships__state__in=[Membership.State.PENDING, Membership.State.ACTIVE],
    ).distinct()


def mandate(user: User | AnonymousUser, organization: Organization) -> Mandate:
    """Return how well the person's right to act for the organization is proved."""
    return Mandate.ATTACHED if organizations_of(user).filter(pk=organization.pk).exists() else Mandate.NONE
