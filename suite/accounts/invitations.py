"""The verbs of invitations: a link that gives one right, in one place, once, to the address it was sent to.

The token has 256 bits and only its digest is kept. Reading the link consumes nothing. Nobody receives a right because
its address resembles an invited one: without the link there is no right, and with it the address must be the same,
letter for letter.
"""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from suite.accounts import sessions
from suite.accounts.limits import allow
from suite.accounts.models import Invitation, Membership, OperatorRole, User
from suite.accounts.permissions import MANAGE_STAFF, MANAGE_TEAM, allows, operator_roles, organization_roles
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import is_privileged
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices.workflow import queue

LIFETIME = timedelta(days=7)
# By the person who invites, to one place and in all: a stolen session sends no thousand messages in our name, and
# nobody uses up a colleague's tries.
TO_A_PLACE, IN_ALL, DAY = 20, 60, 86_400
LONGEST_TOKEN = 200
RANK = {
    role: rank for rank, role in enumerate([Membership.Role.READER, Membership.Role.REQUESTER, Membership.Role.MANAGER])
}

_GONE = "Demandez une nouvelle invitation à la personne qui vous a écrit."


def within_limits(place: Organization | Operator, *, by: User) -> bool:
    """Count one try at inviting, and return whether it may go on. Call it before `invite`, outside its transaction."""
    return allow("invitation", f"{by.pk} {place.pk}", limit=TO_A_PLACE, seconds=DAY) and allow(
        "invitation", f"{by.pk}", limit=IN_ALL, seconds=DAY
    )


@transaction.atomic
def invite(place: Organization | Operator, email: str, role: str, *, by: User) -> Invitation:
    """Send a link to the address; an earlier one to the same address and place is worth nothing any more.

    The caller has checked that `by` manages the place and holds at least `role`.
    """
    organization = place if isinstance(place, Organization) else None
    operator = place if isinstance(place, Operator) else None
    for earlier in _waiting(organization, operator).filter(email__iexact=email):
        _revoke(earlier, by=by)
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        organization=organization,
        operator=operator,
        role=role,
        email=email,
        digest=digest(token),
        invited_by=by,
        expires_at=timezone.now() + LIFETIME,
    )
    event = _record("invitation.sent", invitation, by=by)
    queue(
        "invitation",
        to=email,
        event=event,
        context={
            "invitation": invitation,
            "inviter": by.get_full_name(),
            "url": f"{settings.PUBLIC_BASE_URL}{reverse('accounts:invitation')}?jeton={token}",
        },
    )
    return invitation


@transaction.atomic
def revoke(invitation: Invitation, *, by: User) -> None:
    """Make the link worth nothing. Raises RightRefused when it was accepted or revoked already."""
    if not _revoke(invitation, by=by):
        raise RightRefused("Cette invitation a déjà été acceptée ou annulée : il n’y a plus rien à annuler.")


def revoke_those_of(user: User, place: Organization | Operator, *, by: User | None) -> None:
    """Revoke what somebody who leaves the place had sent there."""
    organization = place if isinstance(place, Organization) else None
    operator = place if isinstance(place, Operator) else None
    for invitation in _waiting(organization, operator).filter(invited_by=user):
        _revoke(invitation, by=by)


def find(token: str) -> Invitation | None:
    """Return the invitation of a link, whatever became of it."""
    if not 0 < len(token) <= LONGEST_TOKEN:
        return None
    invitations = Invitation.objects.select_related("organization", "operator", "invited_by")
    return invitations.filter(digest=digest(token)).first()


def problem(invitation: Invitation | None, user: User) -> str:
    """Return why this person cannot accept, in a French sentence; "" when nothing stands in the way."""
    if invitation is None:
        return f"Ce lien ne correspond à aucune invitation : il est peut-être incomplet. {_GONE}"
    state = _state(invitation)
    if state:
        return f"{state} {_GONE}"
    if invitation.email != user.email:
        return (
            f"Cette invitation a été envoyée à une autre adresse que celle de votre compte, {user.email}. Demandez à "
            "la personne qui vous a écrit de vous inviter à cette adresse, écrite exactement ainsi."
        )
    if not _still_manages(invitation):
        return f"La personne qui vous a invité ne gère plus cette équipe : son invitation ne vaut plus. {_GONE}"
    return ""


def _state(invitation: Invitation) -> str:
    if invitation.accepted_at is not None:
        return "Cette invitation a déjà servi : un lien ne sert qu’une fois."
    if invitation.revoked_at is not None:
        return "Cette invitation a été annulée."
    return "" if invitation.waiting else "Cette invitation a expiré : un lien est valable sept jours."


@transaction.atomic
def accept(invitation: Invitation, *, by: User) -> Membership | OperatorRole:
    """Claim the link and give its right, once. Raises RightRefused (410) with the sentence of `problem`.

    Whoever joins an operator's staff signs in again: its sign-in asks for a second factor.
    """
    if why := problem(invitation, by):
        raise RightRefused(why, 410)
    now = timezone.now()
    claimed = Invitation.objects.filter(
        pk=invitation.pk, accepted_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now, email=by.email
    ).update(accepted_at=now, accepted_by=by)
    if not claimed:
        raise RightRefused(problem(Invitation.objects.get(pk=invitation.pk), by), 410)
    _record("invitation.accepted", invitation, by=by)
    if invitation.organization is not None:
        # Links that offered to manage were once sent: they now let one in, and no more.
        role = min(Membership.Role(invitation.role), Membership.Role.REQUESTER, key=RANK.__getitem__)
        return join(by, invitation.organization, role, decided_by=invitation.invited_by)
    assert invitation.operator is not None  # noqa: S101 - the database's own law
    return _enlist(by, invitation.operator, invitation)


def join(user: User, organization: Organization, role: str, *, decided_by: User) -> Membership:
    """Give a right in the organization by somebody's word; one already active keeps the higher role of the two."""
    User.objects.select_for_update().get(pk=user.pk)  # one gift at a time
    kept = {
        "state": Membership.State.ACTIVE,
        "source": Membership.Source.PERSON,
        "resumes_to": "",
        "decided_by": decided_by,
        "changed_at": timezone.now(),
    }
    membership = user.memberships.exclude(state=Membership.State.ENDED).filter(organization=organization).first()
    if membership is None:
        membership = Membership.objects.create(user=user, organization=organization, role=role, **kept)
    else:
        if (
            membership.state == Membership.State.ACTIVE
            and RANK[Membership.Role(membership.role)] > RANK[Membership.Role(role)]
        ):
            role = membership.role
        Membership.objects.filter(pk=membership.pk).update(role=role, **kept)
        membership.refresh_from_db()
    payload = {"user": str(user.pk), "organization": str(organization.pk), "role": role}
    record("membership", membership.pk, "membership.joined", by=decided_by, payload=payload)
    return membership


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _enlist(user: User, operator: Operator, invitation: Invitation) -> OperatorRole:
    was_privileged = is_privileged(user)
    facts = {"role": invitation.role, "active": True, "suspended_for": "", "decided_by": invitation.invited_by}
    place, _ = OperatorRole.objects.update_or_create(
        user=user, operator=operator, defaults={**facts, "changed_at": timezone.now()}
    )
    payload = {"user": str(user.pk), "operator": str(operator.pk), "role": invitation.role}
    record("operator_role", place.pk, "operator_role.joined", by=user, payload=payload)
    if not was_privileged:
        sessions.end_all(user, by=user, reason="joined_staff")
    return place


def _waiting(organization: Organization | None, operator: Operator | None) -> QuerySet[Invitation]:
    return Invitation.objects.filter(
        organization=organization,
        operator=operator,
        accepted_at__isnull=True,
        revoked_at__isnull=True,
    )


def _revoke(invitation: Invitation, *, by: User | None) -> bool:
    waiting = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True, revoked_at__isnull=True)
    if not waiting.update(revoked_at=timezone.now()):
        return False
    _record("invitation.revoked", invitation, by=by)
    return True


def _still_manages(invitation: Invitation) -> bool:
    inviter = invitation.invited_by
    if not inviter.is_active:
        return False
    if invitation.organization is not None:
        return allows(MANAGE_TEAM, organization_roles(inviter, invitation.organization))
    assert invitation.operator is not None  # noqa: S101 - the database's own law
    return allows(MANAGE_STAFF, operator_roles(inviter, invitation.operator))


def _record(done: str, invitation: Invitation, *, by: User | None) -> Event:
    payload = {"place": str(invitation.organization_id or invitation.operator_id), "role": invitation.role}
    return record("invitation", invitation.pk, done, by=by, payload=payload)
