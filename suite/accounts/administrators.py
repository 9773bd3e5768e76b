"""The verbs of a collectivité's managers: name one, remove one, recover a lost management, change a second address.

The gravest of a collectivité's acts (`requests.md`, 3): it rests on a mandate proved by two channels, two people agree,
every manager and the town hall are told with a link to object, and nothing happens before 48 hours. The mandate, the
rights and the last manager are looked at again when it is done.
"""

import datetime as dt
import uuid

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from suite.accounts import administrator_notifications as notifications
from suite.accounts import codes, invitations, mandate_desk_workflow, mandates, sessions
from suite.accounts.administrator_models import DELAY, AdministratorChange
from suite.accounts.mandates import Act
from suite.accounts.models import Membership, User
from suite.accounts.permissions import Role, organization_roles
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import LIVE
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.journal.workflow import record

Kind = AdministratorChange.Kind
State = AdministratorChange.State
# Five working days, in days: a request that nobody confirmed by then must be made again.
LAPSES_AFTER = dt.timedelta(days=7)
GONE = "Quelqu’un s’en est occupé entre-temps."


def managers(organization: Organization) -> QuerySet[Membership]:
    """Return the rights of those who manage the organization today: a shut account manages nothing."""
    return organization.memberships.filter(
        role=Membership.Role.MANAGER, state=Membership.State.ACTIVE, user__is_active=True
    ).select_related("user")


def followed_by(user: User) -> QuerySet[AdministratorChange]:
    """Return the changes that an operator's person may look at."""
    return AdministratorChange.objects.filter(mandate_desk_workflow.in_scope(user)).select_related(
        "organization__department",
        "person",
        "replaced",
        "asked_by",
        "speaker",
        "confirmed_by",
        "settled_by",
        "ended_by",
    )


def overdue(now: dt.datetime) -> Q:
    """Return the filter of what waited too long for a second person."""
    return Q(state=State.ASKED, asked_at__lte=now - LAPSES_AFTER)


# --- Asking -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def ask(  # noqa: PLR0913 - a request has these facts
    organization: Organization,
    kind: str,
    *,
    person: User,
    by: User,
    reason: str,
    speaker: User | None = None,
    replaced: User | None = None,
    email: str = "",
) -> AdministratorChange:
    """Ask for a change; nothing changes before a second person has confirmed it.

    `speaker` is whose mandate stands for the collectivité's word: a manager's own when it asks. Raises RightRefused
    with what is missing and the remedy.
    """
    Organization.objects.select_for_update().get(pk=organization.pk)
    speaker = by if managers(organization).filter(user=by).exists() else speaker or person
    change = AdministratorChange(
        organization=organization,
        kind=kind,
        person=person,
        replaced=replaced,
        email=email,
        reason=reason.strip()[:300],
        asked_by=by,
        speaker=speaker,
    )
    if why := _obstacle(change):
        raise RightRefused(why, 422)
    try:
        with transaction.atomic():
            change.save()
    except IntegrityError:
        raise RightRefused(
            "Un changement est déjà en cours pour cette personne : attendez qu’il aboutisse, ou annulez-le."
        ) from None
    notifications.ask_for_a_second(change, _record(change, "asked", by=by, comment=change.reason))
    return change


def _obstacle(change: AdministratorChange) -> str:
    """Return what stands in the way, when it is asked and again when it is done; "" when nothing does."""
    return _obstacle_of_person(change) or _obstacle_of_replaced(change) or _obstacle_of_speaker(change)


def _obstacle_of_person(change: AdministratorChange) -> str:
    name = change.person.get_full_name()
    held = change.organization.memberships.filter(user=change.person, state__in=LIVE).first()
    if held is None:
        return f"{name} n’a pas de droit en cours pour cette collectivité : il faut d’abord l’inviter dans l’équipe."
    if not change.person.is_active and change.kind != Kind.REMOVE:
        return f"Le compte de {name} est désactivé."
    manages = held.role == Membership.Role.MANAGER and held.state == Membership.State.ACTIVE
    if change.kind in {Kind.GIVE, Kind.RECOVER} and manages:
        return f"{name} gère déjà cette collectivité."
    if change.kind in {Kind.REMOVE, Kind.EMAIL} and not manages:
        return f"{name} ne gère pas cette collectivité."
    if change.kind == Kind.REMOVE and not managers(change.organization).exclude(user=change.person).exists():
        return "C’est la dernière personne qui gère cette collectivité : nommez d’abord un autre gestionnaire."
    return ""


def _obstacle_of_replaced(change: AdministratorChange) -> str:
    if change.kind != Kind.RECOVER:
        return ""
    if change.replaced_id is None:
        if managers(change.organization).exists():
            return "Cette collectivité a un gestionnaire : dites qui est remplacé, ou demandez d’en nommer un autre."
        return ""
    place = change.organization.memberships.filter(user=change.replaced_id, role=Membership.Role.MANAGER)
    if not place.exclude(state=Membership.State.ENDED).exists():
        return "La personne à remplacer ne gère plus cette collectivité."
    return ""


def _obstacle_of_speaker(change: AdministratorChange) -> str:
    name = change.speaker.get_full_name()
    speaking = change.organization.memberships.filter(user=change.speaker, state__in=LIVE)
    if not change.speaker.is_active or not speaking.exclude(role=Membership.Role.READER).exists():
        return f"{name} ne représente pas cette collectivité : le changement ne peut pas être demandé en son nom."
    verdict = mandates.verdict(Act.CHANGE_ADMINISTRATOR, change.speaker, change.organization)
    return f"{name} : {verdict.sentence}" if verdict.sentence else ""


# --- The second person ------------------------------------------------------------------------------------------------


@transaction.atomic
def confirm(change: AdministratorChange, *, by: User, check: str) -> None:
    """Agree, saying what was verified; the 48 hours begin, and everybody concerned is told how to object."""
    _require_other(change, by, also=())
    if why := _obstacle(change):
        raise RightRefused(why, 422)
    now = timezone.now()
    token = codes.make(codes.OBJECTION_LENGTH)
    waiting = AdministratorChange.objects.filter(pk=change.pk, state=State.ASKED, asked_at__gt=now - LAPSES_AFTER)
    facts = {"confirmed_by": by, "confirmed_at": now, "due_at": now + DELAY}
    if not waiting.update(state=State.CONFIRMED, objection_digest=codes.digest(token, "administrator"), **facts):
        raise RightRefused(GONE)
    change.refresh_from_db()
    notifications.announce(change, _record(change, "confirmed", by=by, comment=check), token)


@transaction.atomic
def refuse(change: AdministratorChange, *, by: User, reason: str) -> None:
    """Refuse what was asked, and say why."""
    if by.pk in {change.asked_by_id, change.person_id}:
        raise RightRefused("Vous êtes partie à cette demande : annulez-la, ou laissez un collègue décider.", 403)
    _end(change, {State.ASKED}, State.REFUSED, by=by, why=reason)


@transaction.atomic
def cancel(change: AdministratorChange, *, by: User, reason: str) -> None:
    """Give it up, up to the last minute of the delay."""
    _end(change, set(AdministratorChange.OPEN), State.CANCELLED, by=by, why=reason)


# --- Objections -------------------------------------------------------------------------------------------------------


def objected_change(token: str) -> AdministratorChange | None:
    """Return what the link of a message is about; None when there is no such link."""
    if len(codes.normalise(token)) != codes.OBJECTION_LENGTH:
        return None
    return (
        AdministratorChange.objects.filter(objection_digest=codes.digest(token, "administrator"))
        .select_related("organization", "person", "replaced")
        .first()
    )


@transaction.atomic
def object_to(change: AdministratorChange) -> bool:
    """Freeze it until somebody has looked; whoever holds the link may. Returns whether it is frozen."""
    frozen = AdministratorChange.objects.filter(pk=change.pk, state=State.CONFIRMED)
    if frozen.update(state=State.OBJECTED, objected_at=timezone.now()):
        change.refresh_from_db()
        event = _record(change, "objected", by=None)
        notifications.ask_for_a_second(change, event)
        notifications.tell(change, event)
        return True
    change.refresh_from_db()
    return change.state == State.OBJECTED


@transaction.atomic
def dismiss(change: AdministratorChange, *, by: User, finding: str) -> None:
    """Find that the objection was a mistake: 48 hours begin again, with another link."""
    _require_other(change, by, also=(change.confirmed_by_id,))
    token = codes.make(codes.OBJECTION_LENGTH)
    objected = AdministratorChange.objects.filter(pk=change.pk, state=State.OBJECTED)
    facts = {"due_at": timezone.now() + DELAY, "settled_by": by}
    if not objected.update(state=State.CONFIRMED, objection_digest=codes.digest(token, "administrator"), **facts):
        raise RightRefused(GONE)
    change.refresh_from_db()
    notifications.announce(change, _record(change, "objection_dismissed", by=by, comment=finding), token)


@transaction.atomic
def uphold(change: AdministratorChange, *, by: User, finding: str) -> None:
    """Agree with whoever objected: nothing is done."""
    _require_other(change, by, also=(change.confirmed_by_id,))
    _end(change, {State.OBJECTED}, State.CANCELLED, by=by, why=finding)


# --- The end of the delay ---------------------------------------------------------------------------------------------


def sweep() -> None:
    """Do what is due, and let lapse what nobody confirmed; the table is the queue."""
    now = timezone.now()
    for change in AdministratorChange.objects.filter(overdue(now))[:200]:
        with transaction.atomic():
            _end(change, {State.ASKED}, State.LAPSED, by=None, why="Personne n’a confirmé à temps.")
    for pk in AdministratorChange.objects.filter(state=State.CONFIRMED, due_at__lte=now).values_list("pk", flat=True):
        carry_out(pk)


@transaction.atomic
def carry_out(pk: uuid.UUID) -> None:
    """Do one change that is due; a second worker, an objection or a cancellation a moment before finds it taken."""
    now = timezone.now()
    organization = Organization.objects.select_for_update().filter(administrator_changes__pk=pk).first()
    due = AdministratorChange.objects.filter(pk=pk, state=State.CONFIRMED, due_at__lte=now)
    change = due.select_related("organization", "person", "speaker", "replaced").first()
    if organization is None or change is None:
        return
    if why := _obstacle(change):
        _end(change, {State.CONFIRMED}, State.LAPSED, by=None, why=why)
        return
    if not due.update(state=State.DONE, ended_at=now):
        return
    change.refresh_from_db()
    # Told first: who loses a right is still among those whom it concerns.
    notifications.tell(change, _record(change, "done", by=None))
    _apply(change)


def _apply(change: AdministratorChange) -> None:
    """Change the rights, in the name of the person who confirmed."""
    if change.kind == Kind.EMAIL:
        _write(change, change.person, recovery_email=change.email)
        return
    if change.kind == Kind.REMOVE:
        _write(change, change.person, role=Membership.Role.REQUESTER, recovery_email="")
        invitations.revoke_those_of(change.person, change.organization, by=change.confirmed_by)
        sessions.end_all(change.person, by=change.confirmed_by, reason="manager_removed")
        return
    # A right that the SIRET rule gave stays the rule's to suspend.
    _write(change, change.person, role=Membership.Role.MANAGER, state=Membership.State.ACTIVE, resumes_to="")
    if change.replaced is not None:
        _write(change, change.replaced, state=Membership.State.ENDED, resumes_to="")
        invitations.revoke_those_of(change.replaced, change.organization, by=change.confirmed_by)
        sessions.end_all(change.replaced, by=change.confirmed_by, reason="manager_replaced")


def _write(change: AdministratorChange, user: User, **facts: str) -> None:
    held = change.organization.memberships.filter(user=user).exclude(state=Membership.State.ENDED)
    membership = held.get()
    held.filter(pk=membership.pk).update(**facts, decided_by=change.confirmed_by, changed_at=timezone.now())
    payload = {"user": str(user.pk), "organization": str(change.organization_id), "change": str(change.pk)}
    kept = {name: value for name, value in facts.items() if name in {"role", "state"}}
    record("membership", membership.pk, "membership.managed", by=change.confirmed_by, payload={**payload, **kept})


@transaction.atomic
def lower(user: User, *, by: User) -> int:
    """Keep from managing an account that has changed hands; return how many collectivités it managed.

    A relinked account is a lost one recovered: its managing comes back as one more change, with its 48 hours.
    """
    lowered = 0
    for right in user.memberships.filter(role=Membership.Role.MANAGER).exclude(state=Membership.State.ENDED):
        same = Membership.objects.filter(pk=right.pk, role=Membership.Role.MANAGER)
        if same.update(role=Membership.Role.REQUESTER, decided_by=by, changed_at=timezone.now()):
            payload = {"user": str(user.pk), "organization": str(right.organization_id), "role": "requester"}
            record("membership", right.pk, "membership.lowered", by=by, payload=payload)
            lowered += 1
    return lowered


# --- What the verbs share ---------------------------------------------------------------------------------------------


def _require_other(change: AdministratorChange, by: User, *, also: tuple[object, ...]) -> None:
    """Let a lead of the operator decide what it did not ask for, about a collectivité that is not its own."""
    if Role.LEAD not in organization_roles(by, change.organization):
        raise RightRefused("Seule une personne responsable chez l’opérateur en décide.", 403)
    if by.pk in {change.asked_by_id, change.person_id, change.speaker_id, change.replaced_id, *also}:
        raise RightRefused("Vous êtes déjà intervenu dans cette demande : une autre personne doit décider.", 403)
    if by.memberships.filter(organization=change.organization_id).exclude(state=Membership.State.ENDED).exists():
        raise RightRefused("Vous êtes rattaché à cette collectivité : une autre personne doit décider.", 403)


def _end(change: AdministratorChange, sources: set[State], target: State, *, by: User | None, why: str) -> None:
    now = timezone.now()
    still = AdministratorChange.objects.filter(pk=change.pk, state__in=sources)
    if not still.update(state=target, ended_at=now, ended_by=by, ending=why.strip()[:300]):
        raise RightRefused(GONE)
    change.refresh_from_db()
    notifications.tell(change, _record(change, target.value, by=by, comment=why))


def _record(change: AdministratorChange, done: str, *, by: User | None, comment: str = "") -> Event:
    payload = {
        "organization": str(change.organization_id),
        "kind": change.kind,
        "person": str(change.person_id),
        "replaced": str(change.replaced_id) if change.replaced_id else None,
        "speaker": str(change.speaker_id),
    }
    return record("administrator", change.pk, f"administrator.{done}", by=by, payload=payload, comment=comment)
