"""Looks again at what is built. A look that fails makes the thing unknown; it is never taken for what was last seen.

Each deployment in service is looked at once a day, at an hour of its own; nothing is changed outside.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from onboarding.provisioning import backends
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step

logger = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AGAIN = timedelta(minutes=10)  # after a look that failed
MOST = 50  # deployments per sweep
ABSENT = {"absent": True}
Kind = Resource.Kind


def due() -> list[UUID]:
    """Return the deployments to look at, the longest unseen first: built, and not looked at lately."""
    now = timezone.now()
    built = Resource.objects.filter(
        deployment__closed_at__isnull=True,
        kind__in=_LOOKS,
        observed_at__isnull=False,
        removed_at__isnull=True,
        steps__status=Step.Status.DONE,
    )
    old = built.filter(
        Q(looked_at__isnull=True)
        | Q(looked_at__lte=now - EVERY)
        | Q(unknown_since__isnull=False, looked_at__lte=now - AGAIN)
    )
    rows = old.order_by(F("looked_at").asc(nulls_first=True)).values_list("deployment", flat=True)
    return list(dict.fromkeys(rows[: MOST * 20]))[:MOST]


def observe(deployment_id: UUID) -> int:
    """Look at everything a deployment has built, outside any transaction; return how many could not be seen."""
    deployment = Deployment.objects.get(pk=deployment_id)
    resources = Resource.objects.filter(
        deployment=deployment, observed_at__isnull=False, removed_at__isnull=True, kind__in=_LOOKS
    )
    unseen = 0
    for resource in resources.order_by("kind", "key"):
        started = timezone.now()
        try:
            seen = _LOOKS[resource.kind](deployment, resource)
        except (Unavailable, NotYet):
            seen = None
        except Refused as refusal:
            # The other side answered: it does not have it.
            seen = ABSENT if refusal.code.startswith("unknown_") else None
        except Exception:
            logger.exception("Looking at %s %s failed", resource.kind, resource.key)
            seen = None
        if seen is None:
            backends.renew()
            unseen += 1
        _write(resource, seen, started)
    return unseen


def _write(resource: Resource, seen: dict[str, Any] | None, started: Any) -> None:  # noqa: ANN401 - a moment
    """Write what was seen, or that nothing could be, unless a later look was written meanwhile."""
    ours = Resource.objects.filter(pk=resource.pk).filter(Q(looked_at__isnull=True) | Q(looked_at__lte=started))
    if seen is None:
        ours.update(looked_at=started, unknown_since=resource.unknown_since or started)
    else:
        ours.update(looked_at=started, observed=seen, observed_at=started, unknown_since=None)


def _zone(deployment: Deployment, _resource: Resource) -> dict[str, Any]:
    dns = backends.dns()
    servers = dns.delegation(deployment.domain).name_servers
    return {"name_servers": list(servers), "records": len(dns.records(deployment.domain))}


def _mail_domain(deployment: Deployment, resource: Resource) -> dict[str, Any]:
    spec = asdict(backends.mail().spec(deployment.domain))
    return {"quota": (resource.observed or resource.desired).get("quota", resource.desired["quota"]), "spec": spec}


def _mailbox(deployment: Deployment, resource: Resource) -> dict[str, Any]:
    for box in backends.mail().mailboxes(deployment.domain):
        if box.address == resource.key:
            return {"address": box.address, "kind": box.kind, "display_name": box.display_name}
    return ABSENT


def _storage(_deployment: Deployment, resource: Resource) -> dict[str, Any]:
    seen = backends.storage().space(resource.desired["space"])
    return {"quota": seen.quota, "used": seen.used}


_LOOKS: dict[str, Callable[[Deployment, Resource], dict[str, Any]]] = {
    Kind.ZONE: _zone,
    Kind.MAIL_DOMAIN: _mail_domain,
    Kind.MAILBOX: _mailbox,
    Kind.STORAGE: _storage,
}
