"""The verbs of an operator's staff: change a role, suspend, restore. The last lead is kept; all is journalled."""

from django.db import transaction
from django.utils import timezone

from suite.accounts import invitations, sessions
from suite.accounts.models import OperatorRole, User
from suite.accounts.refusals import RightRefused
from suite.directory.models import Operator
from suite.journal.workflow import record
from suite.notices.workflow import queue

PROVIDER_CHANGED = "Le fournisseur d’identité ou l’identifiant de la personne a changé : son identité est à confirmer."


@transaction.atomic
def change_role(place: OperatorRole, role: str, *, by: User) -> None:
    """Give another role to an active member of the staff."""
    _guard(place, by, losing=role != OperatorRole.Role.LEAD)
    active = OperatorRole.objects.filter(pk=place.pk, active=True)
    if not active.update(role=role, decided_by=by, changed_at=timezone.now()):
        raise RightRefused("Ce rôle est suspendu : rétablissez-le d’abord.")
    _settle("operator_role.changed", place, by=by, role=role)
    if role == OperatorRole.Role.READER:
        sessions.end_all(place.user, by=by, reason="operator_role_lowered")


@transaction.atomic
def suspend(place: OperatorRole, *, by: User, reason: str) -> None:
    """Withdraw a role; the person's sessions end at once, and its invitations are worth nothing any more."""
    _guard(place, by, losing=True)
    active = OperatorRole.objects.filter(pk=place.pk, active=True)
    if not active.update(active=False, suspended_for=reason[:300], decided_by=by, changed_at=timezone.now()):
        raise RightRefused("Ce rôle est déjà suspendu.")
    sessions.end_all(place.user, by=by, reason="operator_role_suspended")
    invitations.revoke_those_of(place.user, place.operator, by=by)
    _settle("operator_role.suspended", place, by=by, reason=reason)


@transaction.atomic
def restore(place: OperatorRole, *, by: User, reason: str) -> None:
    """Give back a suspended role, be it by a person or because the identity had changed (matrix, row 75)."""
    _guard(place, by, losing=False)
    suspended = OperatorRole.objects.filter(pk=place.pk, active=False)
    if not suspended.update(active=True, suspended_for="", decided_by=by, changed_at=timezone.now()):
        raise RightRefused("Ce rôle n’est pas suspendu.")
    # The next sign-in asks for the second factor that the present session may lack.
    sessions.end_all(place.user, by=by, reason="operator_role_restored")
    _settle("operator_role.restored", place, by=by, reason=reason)


@transaction.atomic
def appoint_superadmin(user: User) -> None:
    """Let somebody look everywhere and manage the operators' staff; its next sign-in asks for a second factor."""
    if User.objects.filter(pk=user.pk, is_superuser=False).update(is_superuser=True, is_staff=True):
        sessions.end_all(user, by=None, reason="superadmin_appointed")
        record("account", user.pk, "account.superadmin_appointed", by=None)


@transaction.atomic
def dismiss_superadmin(user: User) -> None:
    """Take that place back, at once."""
    if User.objects.filter(pk=user.pk, is_superuser=True).update(is_superuser=False, is_staff=False):
        sessions.end_all(user, by=None, reason="superadmin_dismissed")
        record("account", user.pk, "account.superadmin_dismissed", by=None)


def suspend_for_provider(user: User) -> int:
    """Suspend what a changed `idp_id` or `uid` makes doubtful; return how many roles. In the sign-in's transaction.

    Nobody outranks a superadmin: `manage.py superadmin` gives that place back.
    """
    suspended = user.operator_roles.filter(active=True).update(
        active=False, suspended_for=PROVIDER_CHANGED, decided_by=None, changed_at=timezone.now()
    )
    if user.is_superuser:
        User.objects.filter(pk=user.pk).update(is_superuser=False, is_staff=False)
        user.is_superuser = user.is_staff = False
        suspended += 1
    if suspended:
        sessions.end_all(user, by=None, reason="provider_changed")
    return suspended


def _guard(place: OperatorRole, by: User, *, losing: bool) -> None:
    """Lock the staff, and keep a lead whatever two people do at once. Nobody changes its own role."""
    if place.user_id == by.pk:
        raise RightRefused("Vous ne pouvez pas changer votre propre rôle : demandez à un autre responsable.", 422)
    Operator.objects.select_for_update().get(pk=place.operator_id)
    leads = OperatorRole.objects.filter(operator=place.operator_id, role=OperatorRole.Role.LEAD, active=True)
    if losing and list(leads.values_list("pk", flat=True)) == [place.pk]:
        raise RightRefused(
            "C’est la dernière personne responsable de cet opérateur : nommez d’abord un autre responsable.", 422
        )


def _settle(kind: str, place: OperatorRole, *, by: User, role: str = "", reason: str = "") -> None:
    """Write it in the journal, and tell the person."""
    payload = {"user": str(place.user_id), "operator": str(place.operator_id), "role": role or place.role}
    event = record("operator_role", place.pk, kind, by=by, payload=payload, comment=reason)
    context = {
        "place": place,
        "what": kind.partition(".")[2],
        "by": by.get_full_name(),
        "reason": reason,
        "role": OperatorRole.Role(role).label if role else "",
    }
    queue("operator_role_changed", to=place.user.email, event=event, context=context)
