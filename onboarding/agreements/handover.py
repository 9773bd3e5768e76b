"""The verbs of a handover after an election: open it, say what was looked at, close it; and remind who has not.

Nothing changes here behind somebody's back: a successor is invited by a person, a right ends by a person's act, and a
mailbox is only listed for whoever disables it.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone

from onboarding.agreements.asking import managers_of, served
from onboarding.agreements.handover_models import DepartingMailbox, Handover, HandoverCheck
from onboarding.agreements.models import Acceptance, Asked, Text
from onboarding.agreements.workflow import AgreementRefused
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts.models import Invitation, Membership, User
from suite.accounts.rights import LIVE
from suite.directory.models import Organization
from suite.journal.workflow import record
from suite.notices.workflow import queue

STREAM = "handover"
Item = HandoverCheck.Item
# Days after the election; the last comes when what an elected person proved must be proved again.
STAGES = (("first", 7), ("second", 21), ("third", 45))
# An election older than this reminds nobody: communes have long been using the service with their new team.
REMINDED_FOR = dt.timedelta(days=365)


def elections() -> list[dt.date]:
    """Return the days of municipal elections, oldest first (`MUNICIPAL_ELECTIONS`)."""
    return sorted(dt.date.fromisoformat(day) for day in settings.MUNICIPAL_ELECTIONS)


def last_election(today: dt.date | None = None) -> dt.date | None:
    """Return the last election that took place."""
    today = today or timezone.localdate()
    return max((day for day in elections() if day <= today), default=None)


def concerned(election: dt.date) -> QuerySet[Organization]:
    """Return the organizations that were served on the day of the election."""
    before = Deployment.objects.filter(
        organization=OuterRef("pk"), created_at__date__lte=election, closed_at__isnull=True
    )
    return served().filter(Exists(before))


def awaited(today: dt.date | None = None) -> QuerySet[Organization]:
    """Return the organizations that have not handed over since the last election; none before it, nor a year after."""
    today = today or timezone.localdate()
    election = last_election(today)
    if election is None or today - election > REMINDED_FOR:
        return served().none()
    done = Handover.objects.filter(organization=OuterRef("pk"), since__gte=election, closed_at__isnull=False)
    return concerned(election).filter(~Exists(done))


@dataclass(frozen=True)
class Point:
    """One line of the checklist: done or not, and who said so; `item` is "" for what the data tell by themselves."""

    item: str
    label: str
    done: bool
    detail: str = ""


def checklist(handover: Handover) -> list[Point]:
    """Return what a handover needs, in order; what can be read from the data is not ticked by hand. Six queries."""
    said = {one.item: one for one in handover.checks.select_related("by")}
    points = []
    if handover.outcome == Handover.Outcome.CHANGED:
        points.append(_successor(handover))
        points.append(_convention(handover))
    for item in Item:
        check = said.get(item)
        detail = f"{check.by.get_full_name()}, le {timezone.localtime(check.at):%d/%m/%Y}" if check else ""
        points.append(Point(item.value, str(item.label), check is not None, detail))
    return points


def _successor(handover: Handover) -> Point:
    label = "Une nouvelle personne gestionnaire a rejoint l’équipe, ou une invitation lui est envoyée"
    since = timezone.make_aware(dt.datetime.combine(handover.since, dt.time.min))
    manager = (
        Membership.objects.filter(
            organization=handover.organization_id, role=Membership.Role.MANAGER, state__in=LIVE, changed_at__gte=since
        )
        .select_related("user")
        .order_by("-changed_at")
        .first()
    )
    if manager:
        return Point("", label, done=True, detail=manager.user.get_full_name())
    waiting = Invitation.objects.filter(
        organization=handover.organization_id,
        role=Membership.Role.MANAGER,
        created_at__gte=since,
        accepted_at__isnull=True,
        revoked_at__isnull=True,
        expires_at__gt=timezone.now(),
    ).first()
    return Point("", label, done=False, detail=f"Invitation envoyée à {waiting.email}" if waiting else "")


def _convention(handover: Handover) -> Point:
    accepted = (
        Acceptance.objects.filter(
            organization=handover.organization_id, text__kind=Text.Kind.CONVENTION, case=handover.pk
        )
        .select_related("signatory")
        .order_by("-accepted_at")
        .first()
    )
    label = "La convention est confirmée par la nouvelle équipe municipale"
    if accepted is None:
        return Point("", label, done=False)
    signatory = getattr(accepted, "signatory", None)
    return Point("", label, done=True, detail=signatory.name if signatory else "")


def opened(organization: Organization) -> Handover | None:
    """Return the handover under way."""
    return Handover.objects.filter(organization=organization, closed_at__isnull=True).first()


def asks_again(handover: Handover) -> bool:
    """Whether the new team has still to accept the convention that the former one signed."""
    return handover.outcome == Handover.Outcome.CHANGED and not _convention(handover).done


def mailboxes(organization: Organization) -> list[Resource]:
    """Return the mailboxes of the organization's live service, by address."""
    return list(
        Resource.objects.filter(
            deployment__organization=organization,
            deployment__closed_at__isnull=True,
            kind=Resource.Kind.MAILBOX,
        ).order_by("key")
    )


# --- Verbs ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(organization: Organization, *, since: dt.date, outcome: str, by: User) -> Handover:
    """Open the handover of an organization, or return the one that is open."""
    if outcome not in Handover.Outcome.values:
        raise AgreementRefused("Dites si le maire ou la maire a changé.", "outcome")
    if not dt.date(2020, 1, 1) <= since <= timezone.localdate():
        raise AgreementRefused("Donnez la date de l’élection ou du changement, au plus tard aujourd’hui.", "since")
    try:
        with transaction.atomic():
            handover = Handover.objects.create(organization=organization, since=since, outcome=outcome, opened_by=by)
    except IntegrityError:
        return Handover.objects.get(organization=organization, closed_at__isnull=True)
    record(STREAM, handover.pk, "handover.opened", by=by, payload={"organization": organization.code, "case": outcome})
    return handover


@transaction.atomic
def tick(handover: Handover, item: str, *, by: User) -> None:
    """Say that one thing was looked at; the second to say so changes nothing."""
    _require_open(handover)
    if item not in Item.values:
        raise AgreementRefused("Choisissez un des points de la liste.")
    _, created = HandoverCheck.objects.get_or_create(handover=handover, item=item, defaults={"by": by})
    if created:
        record(STREAM, handover.pk, "handover.checked", by=by, payload={"item": item})


@transaction.atomic
def list_departing(handover: Handover, resources: Iterable[str], *, by: User) -> int:
    """Say which mailboxes their holders leave, the whole list at once; return how many. Nothing is disabled."""
    _require_open(handover)
    known = {str(one.pk): one for one in mailboxes(handover.organization)}
    chosen = set(resources)
    if not chosen <= set(known):
        raise AgreementRefused("Choisissez des boîtes de la collectivité.", "mailboxes")
    DepartingMailbox.objects.filter(handover=handover).exclude(resource__in=[known[pk] for pk in chosen]).delete()
    for pk in sorted(chosen):
        DepartingMailbox.objects.get_or_create(handover=handover, resource=known[pk], defaults={"by": by})
    record(STREAM, handover.pk, "handover.mailboxes_listed", by=by, payload={"mailboxes": len(chosen)})
    tick(handover, Item.MAILBOXES, by=by)
    return len(chosen)


@transaction.atomic
def close(handover: Handover, *, by: User) -> Handover:
    """End the handover once every point is done. Raises AgreementRefused with the first that is not."""
    _require_open(handover)
    left = [point.label for point in checklist(handover) if not point.done]
    if left:
        raise AgreementRefused(f"Il reste à faire : {' ; '.join(left)}.")
    rows = Handover.objects.filter(pk=handover.pk, closed_at__isnull=True).update(
        closed_at=timezone.now(), closed_by=by
    )
    if rows:
        departing = DepartingMailbox.objects.filter(handover=handover).count()
        event = record(STREAM, handover.pk, "handover.closed", by=by, payload={"mailboxes": departing})
        operator = handover.organization.operators.order_by("national", "name").first()
        if operator and departing:
            page = reverse("agreements:handovers")
            context = {
                "organization": handover.organization,
                "count": departing,
                "url": f"{settings.PUBLIC_BASE_URL}{page}",
            }
            queue("handover_mailboxes", to=operator.email, event=event, context=context)
    return Handover.objects.get(pk=handover.pk)


def _require_open(handover: Handover) -> None:
    locked = Handover.objects.select_for_update(of=("self",)).get(pk=handover.pk)
    if locked.closed_at is not None:
        raise AgreementRefused("Cette passation est déjà terminée.", http=409)


# --- Reminders --------------------------------------------------------------------------------------------------------


def sweep(today: dt.date | None = None) -> int:
    """Remind every commune that has not handed over; once per stage, the latest only after a gap. Return how many."""
    today = today or timezone.localdate()
    election = last_election(today)
    if election is None:
        return 0
    due = [(stage, election + dt.timedelta(days=days)) for stage, days in STAGES]
    due = [(stage, day) for stage, day in due if day <= today]
    if not due:
        return 0
    count, cause = 0, f"election:{election}"
    asked = Asked.objects.filter(organization=OuterRef("pk"), cause=cause, stage=due[-1][0])
    for organization in awaited(today).filter(~Exists(asked)):
        with transaction.atomic():
            Organization.objects.select_for_update(of=("self",), no_key=True).get(pk=organization.pk)
            done = set(Asked.objects.filter(organization=organization, cause=cause).values_list("stage", flat=True))
            if due[-1][0] in done:
                continue
            Asked.objects.bulk_create(
                Asked(organization=organization, cause=cause, stage=stage, due_on=day, skipped=(stage, day) != due[-1])
                for stage, day in due
                if stage not in done
            )
            page = reverse("agreements:handover", args=[organization.pk])
            context = {
                "organization": organization,
                "election": election,
                "url": f"{settings.PUBLIC_BASE_URL}{page}",
            }
            for address in managers_of(organization):
                queue("handover_reminder", to=address, key=f"{cause}:{organization.pk}:{due[-1][0]}", context=context)
            count += 1
    return count
