"""The verbs: somebody signs in, a right is given, suspended, resumed, confirmed."""

import uuid

from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from suite.accounts import administrators, relinks, staff, teams
from suite.accounts.models import Identity, Membership, User
from suite.accounts.refusals import SignInRefused
from suite.accounts.rights import is_privileged
from suite.accounts.tokens import Authentication, Person
from suite.directory.models import Organization
from suite.journal.workflow import record
from suite.middleware import current_request_id
from suite.notices.workflow import queue

State = Membership.State
# Levels that count a second factor, ProConnect's list less `eidas0-mfa`, below our floor.
STRONG = frozenset({"eidas1-mfa", "eidas2", "eidas3"})


def sign_in(person: Person, authentication: Authentication) -> User:
    """Return the account of (issuer, sub), made at its first sign-in, its rights decided afresh.

    Raises SignInRefused; a refusal leaves nothing but its line in the journal.
    """
    try:
        return _admit(person, authentication)
    except SignInRefused as refused:
        if refused.code == "email_clash":
            _report_clash(person)
        raise


def record_refusal(issuer: str, sub: str, reason: str) -> None:
    """Write in the journal that somebody ProConnect knows was not let in. The subject is not the `sub` itself."""
    record("sign-in", uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}#{sub}"), "refused", by=None, payload={"reason": reason})


@transaction.atomic
def activate(user: User, organization: Organization, *, by: User) -> Membership:
    """Make the person the manager of the organization: a decision, by somebody else than a rule.

    Only of one that nobody manages: afterwards a manager is named by `administrators`, and whoever had another request
    approved becomes an active member. A right that the SIRET rule gave stays the rule's to suspend. Doing it again
    changes nothing.
    """
    Organization.objects.select_for_update().get(pk=organization.pk)
    live = user.memberships.exclude(state=State.ENDED).filter(organization=organization)
    manager: dict[str, str] = {"role": Membership.Role.MANAGER, "state": State.ACTIVE}
    if administrators.managers(organization).exclude(user=user).exists():
        manager = {"state": State.ACTIVE}
    changed = live.exclude(**manager).update(**manager, resumes_to="", decided_by=by, changed_at=timezone.now())
    membership = live.first()
    if membership is None:
        _lock(f"membership {user.pk} {organization.pk}")
        membership, created = Membership.objects.exclude(state=State.ENDED).get_or_create(
            user=user,
            organization=organization,
            defaults={**manager, "source": Membership.Source.PERSON, "decided_by": by},
        )
        changed = int(created)
    if changed:
        record("membership", membership.pk, "membership.activated", by=by, payload=_facts(membership))
    return membership


@transaction.atomic
def _admit(person: Person, authentication: Authentication) -> User:
    # One sign-in of a person at a time, and one first sign-in with an address at a time: two tabs make one account.
    _lock(f"identity {person.issuer} {person.sub}")
    _lock(f"email {person.email.lower()}")
    identity = Identity.objects.select_for_update().filter(issuer=person.issuer, sub=person.sub).first()
    others = User.objects.filter(email__iexact=person.email)
    if identity is None:
        if others.exists():
            raise SignInRefused("email_clash")
        return _welcome(person, authentication)
    if identity.revoked_at is not None:
        raise SignInRefused("identity_revoked")
    if identity.first_use_before is not None and identity.first_use_before <= timezone.now():
        # An operator tied it to an account, and nobody came within the week: it takes a new decision.
        raise SignInRefused("email_clash")
    user = User.objects.select_for_update().get(pk=identity.user_id)
    if not user.is_active:
        raise SignInRefused("inactive")
    if is_privileged(user) and not _is_strong(authentication):
        raise SignInRefused("second_factor")
    if user.email.lower() != person.email.lower() and others.exclude(pk=user.pk).exists():
        record("account", user.pk, "account.email_clash", by=None)
    _refresh(identity, user, person)
    teams.reevaluate(user, person.siret, by=user)
    _record_sign_in(identity, user, authentication)
    return user


def _report_clash(person: Person) -> None:
    """Tell the team that two identities claim one address: only a person may bring them together."""
    relinks.file(person)
    queue(
        "email_clash",
        to=settings.CONTACT_EMAIL,
        context={
            "person": person,
            "reference": current_request_id(),
            "url": f"{settings.PUBLIC_BASE_URL}{reverse('accounts:relinks')}",
        },
        key=f"clash:{uuid.uuid5(uuid.NAMESPACE_URL, f'{person.issuer}#{person.sub}')}",
    )


def _welcome(person: Person, authentication: Authentication) -> User:
    user = User.objects.create_user(email=person.email, given_name=person.given_name, usual_name=person.usual_name)
    identity = Identity.objects.create(
        user=user,
        issuer=person.issuer,
        sub=person.sub,
        siret=person.siret,
        idp_id=person.idp_id,
        uid=person.uid,
        organization_label=person.organization_label,
        roles=list(person.roles),
    )
    record("account", user.pk, "account.created", by=user)
    teams.reevaluate(user, person.siret, by=user)
    _record_sign_in(identity, user, authentication)
    return user


def _refresh(identity: Identity, user: User, person: Person) -> None:
    """Take over what the provider now says; what it may have handed to somebody else is noted and costs a role."""
    moved = [
        name
        for name in ("idp_id", "uid")
        if getattr(identity, name) and getattr(identity, name) != getattr(person, name)
    ]
    if moved:
        # ProConnect gives the account of an e-mail to whichever provider presents it: an operator's place waits for
        # a person to confirm it.
        suspended = staff.suspend_for_provider(user)
        payload = {"changed": moved, "operator_roles_suspended": suspended}
        record("account", user.pk, "account.provider_changed", by=None, payload=payload)
    if identity.siret != person.siret:
        payload = {"from": identity.siret, "to": person.siret}
        record("account", user.pk, "account.siret_changed", by=user, payload=payload)
    for name in ("siret", "idp_id", "uid", "organization_label"):
        setattr(identity, name, getattr(person, name))
    identity.roles = list(person.roles)
    identity.seen_at = timezone.now()
    identity.first_use_before = None
    identity.save()
    user.email, user.given_name, user.usual_name = person.email, person.given_name, person.usual_name
    user.save(update_fields=["email", "given_name", "usual_name"])


def _record_sign_in(identity: Identity, user: User, authentication: Authentication) -> None:
    payload = {"identity": str(identity.pk), "siret": identity.siret, "acr": authentication.acr}
    record("account", user.pk, "account.signed_in", by=user, payload=payload)


def _is_strong(authentication: Authentication) -> bool:
    """Whether a second factor was used, a code by e-mail not counting: the mailbox is what operators hand out."""
    factors = set(authentication.amr) - {"mfa", "pwd"}
    return authentication.acr in STRONG and factors != {"mail"}


def _facts(membership: Membership) -> dict[str, str]:
    return {"user": str(membership.user_id), "organization": str(membership.organization_id)}


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [name])
