"""Which dossiers are to be judged again, and doing it: what the worker runs of `checklist`."""

import datetime as dt

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from onboarding.intake import presentation
from onboarding.intake.checklist import refresh
from onboarding.intake.desk_models import CheckItem
from onboarding.intake.models import Dossier
from suite.notices.models import Notice


def stale(now: dt.datetime | None = None) -> QuerySet[Dossier]:
    """Return the open dossiers without evidence, or whose evidence is too old, or about another version.

    A message that came back is not left for the evidence to age.
    """
    items = CheckItem.objects.filter(dossier=OuterRef("pk"))
    old = items.filter(Q(valid_until__lte=now or timezone.now()) | ~Q(dossier_version=OuterRef("version")))
    returned = Notice.objects.filter(
        event__stream="dossier",
        event__subject=OuterRef("pk"),
        recipient__iexact=OuterRef("requester_email"),
        state__in=[Notice.State.BOUNCED, Notice.State.FAILED],
    )
    untold = Exists(returned) & ~Exists(items.filter(code="reachable", result=CheckItem.Result.KO))
    return (
        Dossier.objects.open()
        .filter(~Exists(items) | Exists(old) | untold)
        .order_by(F("due_at").asc(nulls_last=True), "pk")
    )


def sweep(most: int = 50) -> int:
    """Refresh the stalest dossiers, those due first, each in its own transaction; return how many."""
    keys = list(stale().values_list("pk", flat=True)[:most])
    for dossier in presentation.complete().filter(pk__in=keys):
        refresh(dossier)
    return len(keys)
