"""The verbs of a commune's team: change a role, suspend, resume, end; ask to join, and answer.

Who manages is none of theirs: `administrators` names and removes managers, slowly.
"""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from suite.accounts import invitations, rules, sessions
from suite.accounts.invitations import RANK
from suite.accounts.limits import allow
from suite.accounts.models import AccessRequest, Membership, User
from suite.accounts.permissions import Role, organization_roles
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import LIVE, live_membership
from suite.directory.lookup import covering
from suite.directory.models import Operator, Organization
from suite.journal.workflow import record
from suite.notices.workflow import queue

State = Membership.State
MANAGERS = (
    "Un gestionnaire se nomme et se retire à deux personnes, après 48 heures : utilisez « Demander un changement de "
    "gestionnaire » sur la page de l’équipe."
)
REQUESTS_PER_DAY, DAY = 5, 86_400


def grantable(user: User, organization: Organization) -> list[tuple[str, str]]:
    """Return the roles this person may give there, lowest first; a manager is named by `administrators` only."""
    if not organization_roles(user, organization) & {Role.MANAGER, Role.LEAD, Role.REQUESTER, Role.INSTRUCTOR}:
        return []
    return [(role.value, str(role.label)) for role in RANK if role != Membership.Role.MANAGER]


# --- The rule of the SIRET --------------------------------------------------------------------------------------------


@transaction.atomic
def reevaluate(user: User, siret: str, *, by: User) -> None:
    """Decide what this SIRET gives and takes back, do it, and write it down."""
    memberships = {membership.organization_id: membership for membership in user.memberships.order_by("created_at")}
    held = [
        rules.Held(right.organization_id, right.source, right.state, right.siret, right.resumes_to)
        for right in memberships.values()
    ]
    match = Organization.objects.current().filter(siren=siret[:9], nature__in=["COM", "CC"]).first()
    for decision in rules.evaluate(siret, match.pk if match else None, held):
        if decision.effect is rules.Effect.GIVE:
            membership = Membership.objects.create(
                user=user,
                organization_id=decision.organization,
                source=Membership.Source.RULE,
                siret=siret,
            )
        else:
            membership = memberships[decision.organization]
            if not _move(membership, decision.effect):
                continue
        payload = {**_facts(membership), "reason": decision.reason}
        record("membership", membership.pk, f"membership.{decision.effect.value}", by=by, payload=payload)


def _move(membership: Membership, effect: rules.Effect) -> bool:
    """Suspend or resume in one statement; False when somebody changed the right meanwhile."""
    if effect is rules.Effect.SUSPEND:
        target, remembered = State.SUSPENDED.value, membership.state
    else:
        target, remembered = membership.resumes_to, ""
    same = Membership.objects.filter(pk=membership.pk, state=membership.state, resumes_to=membership.resumes_to)
    return bool(same.update(state=target, resumes_to=remembered, changed_at=timezone.now()))


# --- Members ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: User) -> None:
    """Give another role to somebody whose right holds; a pending right becomes active: a person confirms it."""
    if role == Membership.Role.MANAGER:
        raise RightRefused(MANAGERS, 422)
    _guard(membership, by)
    held = Membership.objects.filter(pk=membership.pk, state__in=LIVE)
    if not held.update(role=role, state=State.ACTIVE, decided_by=by, changed_at=timezone.now()):
        raise RightRefused("Ce droit n’est plus actif : son rôle ne se change pas.")
    _record("membership.role_changed", membership, by=by, role=role)
    _tell(membership, "role", by=by, role=role)


@transaction.atomic
def suspend(membership: Membership, *, by: User, reason: str) -> None:
    """Withdraw a right until a person gives it back; the person's sessions end at once."""
    _guard(membership, by)
    # Blank `resumes_to`: no sign-in gives back what a person took away.
    held = Membership.objects.filter(pk=membership.pk).filter(state__in=[*LIVE, State.SUSPENDED])
    taken = held.exclude(state=State.SUSPENDED, resumes_to="").update(
        state=State.SUSPENDED, resumes_to="", decided_by=by, changed_at=timezone.now()
    )
    if not taken:
        raise RightRefused("Ce droit est déjà suspendu ou terminé.")
    _leave(membership, by=by)
    _record("membership.suspended", membership, by=by, comment=reason)
    _tell(membership, "suspended", by=by, reason=reason)


@transaction.atomic
def resume(membership: Membership, *, by: User) -> None:
    """Give back a suspended right, which from now on is a person's word; not the right to manage."""
    _guard(membership, by)
    role = min(Membership.Role(membership.role), Membership.Role.REQUESTER, key=RANK.__getitem__)
    back = Membership.objects.filter(pk=membership.pk, state=State.SUSPENDED).update(
        role=role,
        state=State.ACTIVE,
        resumes_to="",
        source=Membership.Source.PERSON,
        decided_by=by,
        changed_at=timezone.now(),
    )
    if not back:
        raise RightRefused("Ce droit n’est pas suspendu.")
    _record("membership.resumed", membership, by=by)
    _tell(membership, "resumed", by=by)


@transaction.atomic
def end(membership: Membership, *, by: User, reason: str) -> None:
    """End a right for good; a later one needs a new decision."""
    _guard(membership, by)
    live = Membership.objects.filter(pk=membership.pk).exclude(state=State.ENDED)
    if not live.update(state=State.ENDED, resumes_to="", decided_by=by, changed_at=timezone.now()):
        raise RightRefused("Ce droit est déjà terminé.")
    _leave(membership, by=by)
    _record("membership.ended", membership, by=by, comment=reason)
    _tell(membership, "ended", by=by, reason=reason)


def _guard(membership: Membership, by: User) -> None:
    """Nobody changes its own right, nor a manager's: a change under way, or a second person, may have made it one."""
    if membership.user_id == by.pk:
        raise RightRefused("Vous ne pouvez pas changer votre propre droit : demandez à un autre gestionnaire.", 422)
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    now = Membership.objects.get(pk=membership.pk)
    if now.role == Membership.Role.MANAGER and now.state == State.ACTIVE:
        raise RightRefused(MANAGERS, 422)


def _leave(membership: Membership, *, by: User) -> None:
    invitations.revoke_those_of(membership.user, membership.organization, by=by)
    sessions.end_all(membership.user, by=by, reason="membership_withdrawn")


# --- Asking to join ---------------------------------------------------------------------------------------------------


def within_limits(*, by: User) -> bool:
    """Count one request, and return whether it may go on. Keyed by who asks: nobody else's tries are spent."""
    return allow("access_request", f"person:{by.pk}", limit=REQUESTS_PER_DAY, seconds=DAY)


@transaction.atomic
def ask(organization: Organization, message: str, *, by: User) -> AccessRequest:
    """Ask to join; asking again while one waits returns it. Raises RightRefused to somebody already in."""
    if live_membership(by, organization):
        raise RightRefused("Vous faites déjà partie de l’équipe de cette collectivité.")
    waiting = AccessRequest.objects.filter(user=by, organization=organization, state=AccessRequest.State.WAITING)
    if known := waiting.first():
        return known
    try:
        with transaction.atomic():
            asked = AccessRequest.objects.create(user=by, organization=organization, message=message)
    except IntegrityError:  # the same person, in another tab, a moment before
        return waiting.get()
    payload = {"organization": str(organization.pk), "user": str(by.pk)}
    event = record("access_request", asked.pk, "access_request.sent", by=by, payload=payload)
    url = f"{settings.PUBLIC_BASE_URL}{reverse('accounts:answer', args=[asked.pk])}"
    for address in _who_answers(organization):
        queue("access_request", to=address, event=event, context={"asked": asked, "url": url})
    return asked


@transaction.atomic
def admit(asked: AccessRequest, role: str, *, by: User) -> Membership:
    """Let somebody in with a role. Raises RightRefused when the request was answered already."""
    if role == Membership.Role.MANAGER:
        raise RightRefused(MANAGERS, 422)
    _settle(asked, AccessRequest.State.ACCEPTED, by=by)
    membership = invitations.join(asked.user, asked.organization, role, decided_by=by)
    event = record("access_request", asked.pk, "access_request.accepted", by=by, payload={"role": role})
    context = {"asked": asked, "role": Membership.Role(role).label, "accepted": True}
    queue("access_answered", to=asked.user.email, event=event, context=context)
    return membership


@transaction.atomic
def decline(asked: AccessRequest, *, by: User) -> None:
    """Refuse a request. Raises RightRefused when it was answered already."""
    _settle(asked, AccessRequest.State.REFUSED, by=by)
    event = record("access_request", asked.pk, "access_request.refused", by=by)
    queue("access_answered", to=asked.user.email, event=event, context={"asked": asked, "accepted": False})


def _settle(asked: AccessRequest, state: str, *, by: User) -> None:
    if asked.user_id == by.pk:
        raise RightRefused("Vous ne pouvez pas répondre à votre propre demande.", 422)
    waiting = AccessRequest.objects.filter(pk=asked.pk, state=AccessRequest.State.WAITING)
    if not waiting.update(state=state, answered_by=by, answered_at=timezone.now()):
        raise RightRefused("Quelqu’un a déjà répondu à cette demande.")


def _who_answers(organization: Organization) -> list[str]:
    """Return the addresses of those who speak for the organization, of its operator when nobody does."""
    speaking = organization.memberships.filter(
        state__in=LIVE, role__in=[Membership.Role.MANAGER, Membership.Role.REQUESTER]
    )
    addresses = list(speaking.exclude(user__email="").values_list("user__email", flat=True).distinct())
    if addresses:
        return addresses
    operators = [*organization.operators.all(), *covering(organization), *Operator.objects.filter(national=True)]
    return [next((one.email for one in operators if one.email), settings.CONTACT_EMAIL)]


# --- What is written, and said ----------------------------------------------------------------------------------------


def _record(done: str, membership: Membership, *, by: User, comment: str = "", **facts: str) -> None:
    record("membership", membership.pk, done, by=by, payload={**_facts(membership), **facts}, comment=comment)


def _facts(membership: Membership) -> dict[str, str]:
    return {"user": str(membership.user_id), "organization": str(membership.organization_id)}


def _tell(membership: Membership, what: str, *, by: User, reason: str = "", role: str = "") -> None:
    """Tell the person what was changed of its right, and by whom."""
    queue(
        "membership_changed",
        to=membership.user.email,
        key=f"membership:{membership.pk}:{what}:{timezone.now().isoformat()}",
        context={
            "membership": membership,
            "what": what,
            "by": by.get_full_name(),
            "reason": reason,
            "role": Membership.Role(role).label if role else "",
        },
    )
