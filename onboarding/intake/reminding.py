"""A word to the commune that has not answered: an event and a notice, no change of state."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from onboarding.intake import contents, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import STREAM, GuardFailed, NotAllowed, Stale, WrongState
from onboarding.intake.presentation import points
from suite.accounts.models import User
from suite.journal import workflow as journal
from suite.journal.models import Event
from suite.notices.workflow import queue

PAUSE = dt.timedelta(days=3)


def too_soon(dossier: Dossier) -> bool:
    """Whether the commune was written to, about this dossier, in the last three days."""
    lately = Event.objects.filter(
        stream=STREAM,
        subject=dossier.pk,
        kind__in=["desk_reminder", "request_changes"],
        recorded_at__gt=timezone.now() - PAUSE,
    )
    return lately.exists()


@transaction.atomic
def remind(dossier: Dossier, *, by: User, version: int) -> Dossier:
    """Write again to the commune what is waited from it."""
    now = Dossier.objects.select_for_update(of=("self",)).select_related("organization", "operator").get(pk=dossier.pk)
    if rules.Capacity.OPERATOR not in rules.capacities(now, by):
        raise NotAllowed("Votre rôle ne permet pas cette action sur cette demande.")
    if now.status != Dossier.Status.NEEDS_CHANGES:
        raise WrongState(now)
    if now.version != version:
        raise Stale(now)
    if too_soon(now):
        raise GuardFailed([Problem("remind", 0, "La commune a déjà reçu un message il y a moins de trois jours.")])
    event = journal.record(STREAM, now.pk, "desk_reminder", by=by)
    queue(
        "dossier_desk_reminder",
        to=now.requester_email,
        event=event,
        context={
            "dossier": now,
            "points": points(contents.open_remarks(now), now),
            "url": f"{settings.PUBLIC_BASE_URL}{reverse('intake:detail', args=[now.pk])}",
        },
    )
    return now
