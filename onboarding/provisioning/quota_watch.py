"""One quota, two places: what a store holds to, and what a service is told when it asks. And who looks how often.

The quota is the desired one of what we build (the mail domain, the storage space); a subscription only repeats it, at
each run of its step. A store that does not refuse by itself is looked at again and again: `STORAGE_ENFORCE_SECONDS`
for a space near its quota or over it, `STORAGE_WATCH_SECONDS` for the others.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db.models import BigIntegerField, F, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from onboarding.provisioning import backends
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step

logger = logging.getLogger(__name__)

# The services whose quota is that of something we build; the ids are those of the public services file.
MESSAGES, FICHIERS = 2, 12
SOURCES = {MESSAGES: Resource.Kind.MAIL_DOMAIN, FICHIERS: Resource.Kind.STORAGE}
NEAR = 80  # per cent of the quota
SWEEP = timedelta(seconds=10)  # how often beat calls `to_watch`: counted in the bound
MOST = 200  # spaces per sweep


def entitled(deployment: Deployment, desired: dict[str, Any]) -> int | None:
    """Return the quota of a service: that of the thing built which it fills, its own for the other services."""
    kind = SOURCES.get(desired["service"])
    source = deployment.resources.filter(kind=kind).first() if kind else None
    quota: int | None = (source.desired if source else desired)["quota"]
    return quota


def to_watch() -> list[UUID]:
    """Return the spaces whose use must be compared with their quota now, the longest unseen first."""
    now = timezone.now()
    used, quota = (Cast(KT(f"observed__{name}"), BigIntegerField()) for name in ("used", "quota"))
    built = Resource.objects.filter(
        kind=Resource.Kind.STORAGE,
        deployment__closed_at__isnull=True,
        observed__has_keys=["used", "quota"],
        steps__status=Step.Status.DONE,
    ).annotate(used=used, quota=quota)
    near = Q(quota__isnull=False, used__gte=F("quota") * NEAR / 100)
    soon = now - timedelta(seconds=settings.STORAGE_ENFORCE_SECONDS) + SWEEP
    later = now - timedelta(seconds=settings.STORAGE_WATCH_SECONDS) + SWEEP
    due = built.filter(near & Q(looked_at__lte=soon) | Q(looked_at__lte=later) | Q(looked_at__isnull=True))
    return list(due.order_by("looked_at").values_list("pk", flat=True).distinct()[:MOST])


def hold(resource_id: UUID) -> bool:
    """Compare the use of a space with its quota, lock or unlock it, and keep what was seen; False when nothing was."""
    resource = Resource.objects.get(pk=resource_id)
    at = timezone.now()
    try:
        found = backends.storage().enforce(resource.desired["space"])
    except (NotYet, Unavailable, Refused, SoftTimeLimitExceeded) as outcome:
        logger.warning("The quota of space %s could not be held: %s.", resource.pk, getattr(outcome, "code", "time"))
        # What was seen stays as last known; the others have their turn before this one's next.
        _not_later(resource, at).update(looked_at=at, unknown_since=resource.unknown_since or at)
        return False
    seen = {"quota": found.quota, "used": found.used}
    _not_later(resource, at).update(observed=seen, observed_at=at, looked_at=at, unknown_since=None)
    return True


def _not_later(resource: Resource, at: datetime) -> QuerySet[Resource]:
    """Return the row, unless a later look was written meanwhile."""
    return Resource.objects.filter(Q(looked_at__isnull=True) | Q(looked_at__lte=at), pk=resource.pk)
