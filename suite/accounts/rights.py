"""What a person may see and do: read here, decided nowhere else."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Organization

__all__ = ["Mandate", "OperatorScope", "mandate", "operator_scope", "organizations_of"]


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
