"""The verbs of relinking: an unknown identity that came with a known address takes over the account, if people agree.

Nothing is merged by itself. An operator checks out of band, with a number that the person did not give; for an account
that holds power over others' communes, two operators do. The tie is good for that (issuer, sub) only.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from suite.accounts import administrators, people, sessions, teams
from suite.accounts.models import Identity, Membership, RelinkRequest, User
from suite.accounts.permissions import Role
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import is_privileged
from suite.accounts.tokens import Person
from suite.journal.workflow import record
from suite.middleware import current_request_id
from suite.notices.workflow import queue

LIFETIME = timedelta(days=7)
State = RelinkRequest.State
OPEN = (State.WAITING, State.SECONDED)


@transaction.atomic
def file(person: Person) -> RelinkRequest | None:
    """Write down a refused sign-in as a request, once while it is open.

    Returns None when the address is that of several accounts or of none: no rule may choose between them.
    """
    users = list(User.objects.filter(email__iexact=person.email)[:2])
    if len(users) != 1:
        return None
    RelinkRequest.objects.filter(
        issuer=person.issuer, sub=person.sub, state__in=OPEN, expires_at__lte=timezone.now()
    ).delete()
    same = RelinkRequest.objects.filter(issuer=person.issuer, sub=person.sub, state__in=OPEN)
    if known := same.first():
        return known
    try:
        with transaction.atomic():
            request = RelinkRequest.objects.create(
                user=users[0],
                issuer=person.issuer,
                sub=person.sub,
                email=person.email,
                given_name=person.given_name,
                usual_name=person.usual_name,
                siret=person.siret,
                idp_id=person.idp_id,
                uid=person.uid,
                organization_label=person.organization_label,
                roles=list(person.roles),
                reference=current_request_id(),
                expires_at=timezone.now() + LIFETIME,
            )
    except IntegrityError:  # two tabs at once
        return same.first()
    record("relink", request.pk, "relink.asked", by=None, payload={"user": str(users[0].pk)})
    return request


def visible_to(user: User) -> QuerySet[RelinkRequest]:
    """Return the requests about the accounts in the person's scope, the open ones first to expire first."""
    requests = RelinkRequest.objects.select_related("user", "seconded_by", "decided_by")
    return requests.filter(user__in=people.in_sight_of(user).values("pk")).order_by("expires_at")


def roles(user: User, request: RelinkRequest) -> frozenset[Role]:
    """Return the roles towards a request: those towards its account."""
    return people.roles(user, request.user)


def needs_two(request: RelinkRequest) -> bool:
    """Whether two operators must agree: the account has, or had, a place at an operator or over the site."""
    return is_privileged(request.user) or request.user.operator_roles.exists() or request.user.is_staff


@transaction.atomic
def approve(request: RelinkRequest, *, by: User, check: str) -> bool:
    """Agree, saying how the person was verified; return whether the account has changed hands.

    False: a second operator must agree too. Then the old identity opens nothing, every session of the account ends,
    its rights are decided afresh by the new SIRET, and the old address and the communes' managers are told.
    """
    User.objects.select_for_update().get(pk=request.user_id)
    _guard(request, by)
    live = RelinkRequest.objects.filter(pk=request.pk, expires_at__gt=timezone.now())
    two = needs_two(request)
    if two and live.filter(state=State.WAITING).update(state=State.SECONDED, seconded_by=by):
        record("relink", request.pk, "relink.seconded", by=by, comment=check)
        return False
    ready = live.filter(state=State.SECONDED).exclude(seconded_by=by) if two else live.filter(state__in=OPEN)
    if not ready.update(state=State.APPROVED, decided_by=by, decided_at=timezone.now()):
        _explain(request, by)
    lowered = _hand_over(request, by=by)
    event = record(
        "relink", request.pk, "relink.approved", by=by, payload={"user": str(request.user_id)}, comment=check
    )
    addresses = {request.user.email, *_managers(request.user)} - {""}
    for address in sorted(addresses):
        context = {"person": request.user, "asked": request, "lowered": lowered}
        queue("relink_approved", to=address, event=event, context=context)
    return True


@transaction.atomic
def refuse(request: RelinkRequest, *, by: User, reason: str) -> None:
    """Refuse; the identity stays unknown, and its next sign-in files another request."""
    _guard(request, by)
    open_ = RelinkRequest.objects.filter(pk=request.pk, state__in=OPEN)
    if not open_.update(state=State.REFUSED, decided_by=by, decided_at=timezone.now()):
        _explain(request, by)
    record("relink", request.pk, "relink.refused", by=by, comment=reason)


def _guard(request: RelinkRequest, by: User) -> None:
    if request.user_id == by.pk:
        raise RightRefused("Il s’agit de votre propre compte : un collègue doit décider.", 403)


def _explain(request: RelinkRequest, by: User) -> None:
    now = RelinkRequest.objects.get(pk=request.pk)
    if now.state == State.SECONDED and now.seconded_by_id == by.pk:
        raise RightRefused(
            "Vous avez déjà donné votre accord : ce compte est celui d’un opérateur, une seconde personne doit décider."
        )
    if now.state in OPEN:
        raise RightRefused("Cette demande a expiré : la personne doit se présenter à nouveau.")
    raise RightRefused("Quelqu’un a déjà décidé de cette demande.")


def _hand_over(request: RelinkRequest, *, by: User) -> int:
    """Tie the account to its new identity; return of how many collectivités it no longer is a manager."""
    now = timezone.now()
    user = request.user
    known = Identity.objects.filter(issuer=request.issuer, sub=request.sub).first()
    # An identity is never handed to somebody else; one of this account that nobody used in time may be tied again.
    if known is not None and (known.user_id != user.pk or known.first_use_before is None):
        raise RightRefused("Cette identité ouvre, ou a ouvert, un compte : elle ne peut pas en reprendre un autre.")
    user.identities.filter(revoked_at__isnull=True).update(revoked_at=now)
    told = {
        "siret": request.siret,
        "idp_id": request.idp_id,
        "uid": request.uid,
        "organization_label": request.organization_label,
        "roles": request.roles,
    }
    Identity.objects.update_or_create(
        issuer=request.issuer,
        sub=request.sub,
        defaults={"user": user, **told, "revoked_at": None, "first_use_before": now + LIFETIME},
    )
    teams.reevaluate(user, request.siret, by=by)
    sessions.end_all(user, by=by, reason="relinked")
    return administrators.lower(user, by=by)


def _managers(user: User) -> set[str]:
    """Return the addresses of those who manage the communes of the account, itself apart."""
    places = user.memberships.exclude(state=Membership.State.ENDED).values("organization")
    managers = Membership.objects.filter(
        organization__in=places, role=Membership.Role.MANAGER, state=Membership.State.ACTIVE
    ).exclude(user=user)
    return set(managers.values_list("user__email", flat=True))
