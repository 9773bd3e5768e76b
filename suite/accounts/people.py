"""Which accounts an operator's person answers for: one reading, for relinking and for shutting an account."""

from django.db.models import Q, QuerySet

from suite.accounts.models import Membership, User
from suite.accounts.permissions import Role, staff_roles
from suite.accounts.rights import operator_scope
from suite.directory.models import Organization


def in_sight_of(user: User) -> QuerySet[User]:
    """Return the accounts in the person's scope: of the communes it follows, of the operators it works for."""
    scope = operator_scope(user)
    if scope is None:
        return User.objects.none()
    if scope.national:
        return User.objects.all()
    here = Organization.objects.filter(
        Q(operators__in=scope.operators)
        | Q(operators__isnull=True, department__in=scope.departments)
        | Q(operators__isnull=True, departments__overlap=list(scope.departments))
    )
    served = Membership.objects.exclude(state=Membership.State.ENDED).filter(organization__in=here)
    mine = Q(pk__in=served.values("user")) | Q(operator_roles__operator__in=scope.operators)
    # A superadmin is nobody's staff.
    return User.objects.filter(mine, is_superuser=False).distinct()


def roles(user: User, account: User) -> frozenset[Role]:
    """Return the roles towards an account: at home with what `in_sight_of` shows, and never towards one's own."""
    scope = operator_scope(user)
    if scope is None or account.pk == user.pk:
        return frozenset({Role.STRANGER})
    if account.is_superuser and not scope.national:
        return staff_roles(user, ())
    operators = set(account.operator_roles.values_list("operator", flat=True))
    territory: set[str] = set()
    rights = account.memberships.exclude(state=Membership.State.ENDED).select_related("organization")
    for organization in (right.organization for right in rights.prefetch_related("organization__operators")):
        serving = {operator.pk for operator in organization.operators.all()}
        operators |= serving
        if not serving:
            territory |= {organization.department_id or "", *organization.departments}
    return staff_roles(user, operators, territory)
