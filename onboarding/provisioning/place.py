"""Whose deployment a page is about, and as what the reader faces it."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.accounts.permissions import Act, Role, check, commune_role, staff_roles
from suite.accounts.rights import live_membership


def place(request: HttpRequest, pk: UUID, act: Act) -> tuple[Deployment, frozenset[Role]]:
    """Return a deployment in sight, and the reader's roles, among which one may `act`; 404 or 403 otherwise."""
    seen = Deployment.objects.visible_to(request.user).select_related("organization", "operator", "closure")
    deployment = get_object_or_404(seen, pk=pk)
    membership = live_membership(request.user, deployment.organization)
    own = {commune_role(membership.role)} if membership else set()
    held = frozenset(own | staff_roles(request.user, {deployment.operator_id}))
    check(act, held)
    return deployment, held


def person(request: HttpRequest) -> User:
    """Return who is signed in: the middleware lets nobody else come here."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    return request.user
