"""Looks again at what is built. A look that fails makes the thing unknown; it is never taken for what was last seen.

Each deployment in service is looked at once a day, at an hour of its own.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from onboarding.provisioning import backends, cutover_records, drift, mending
from onboarding.provisioning.backends.protocols import Delegation
from onboarding.provisioning.drift import Difference
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.life_steps import observed_of
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
    """Look at everything a deployment has built, outside any transaction; return how many could not be seen.

    What differs from what was decided is mended where nobody can lose anything by it, and is an alarm otherwise.
    """
    deployment = Deployment.objects.select_related("organization", "operator").get(pk=deployment_id)
    resources = Resource.objects.filter(
        deployment=deployment, observed_at__isnull=False, removed_at__isnull=True, kind__in=_LOOKS
    )
    # What is being changed is not yet as decided, and nothing is wrong with it.
    changing = Step.objects.filter(resource=OuterRef("pk"), plan__gt=0).exclude(status__in=Step.FINISHED)
    resources = resources.exclude(Exists(changing.exclude(name=Step.Name.MAILBOX_REMOVAL)))
    unseen = 0
    for resource in resources.order_by("kind", "key"):
        look = _look(deployment, resource)
        if (
            look is not None
            and any(each.safe for each in look.differences)
            and mending.mend(deployment, resource, look)
        ):
            look = _look(deployment, resource) or look
        unseen += look is None
    mending.tell(deployment)
    return unseen


def _look(deployment: Deployment, resource: Resource) -> "Look | None":
    """Look at one thing and write what was seen; None when it could not be seen."""
    started = timezone.now()
    look: Look | None = None
    try:
        look = _LOOKS[resource.kind](deployment, resource)
    except (Unavailable, NotYet):
        pass
    except Refused as refusal:
        # The other side answered: it does not have it.
        if refusal.code.startswith("unknown_"):
            look = Look(ABSENT, drift.gone(resource))
    except Exception:
        logger.exception("Looking at %s %s failed", resource.kind, resource.key)
    if look is None:
        backends.renew()
    _write(resource, look, started)
    return look


@transaction.atomic
def _write(resource: Resource, look: "Look | None", started: Any) -> None:  # noqa: ANN401 - a moment
    """Write what was seen, or that nothing could be, unless a later look was written meanwhile."""
    ours = Resource.objects.filter(pk=resource.pk).filter(Q(looked_at__isnull=True) | Q(looked_at__lte=started))
    if look is None:
        ours.update(looked_at=started, unknown_since=resource.unknown_since or started)
        return
    found = [each.as_json() for each in look.differences]
    written = ours.update(looked_at=started, observed=look.seen, observed_at=started, unknown_since=None, drift=found)
    if written:
        mending.alarm(resource, look.differences, started)


@dataclass(frozen=True)
class Look:
    """What was seen of a thing, and how it differs from what was decided."""

    seen: dict[str, Any]
    differences: list[Difference] = field(default_factory=list)


def _zone(deployment: Deployment, _resource: Resource) -> Look:
    dns = backends.dns()
    servers = dns.delegation(deployment.domain)
    found = dns.records(deployment.domain)
    differences: list[Difference] = []
    published = deployment.steps.filter(name=Step.Name.RECORDS, status=Step.Status.DONE).exists()
    if published:
        spec, cutover = backends.mail().spec(deployment.domain), cutover_records.current(deployment)
        wanted = cutover_records.wanted(deployment, spec, cutover, timezone.now())
        differences = drift.of_zone(deployment.domain, wanted, found)
        if cutover is not None:
            # The zone came with the records of its owner: they are theirs, and known.
            differences = [each for each in differences if each.verdict != drift.FOREIGN]
    differences += _delegation(deployment, servers)
    return Look({"name_servers": list(servers.name_servers), "records": len(found)}, differences)


def _delegation(deployment: Deployment, wanted: Delegation) -> list[Difference]:
    """Compare what the registrar, or the parent zone that is ours, says of the zone."""
    if deployment.zone_kind == Deployment.ZoneKind.REGISTERED:
        there = backends.registrar().delegation(deployment.domain)
        found = there.name_servers if there else ()
    else:
        # A parent of 30,000 delegations is not read for one: the world's own way to it is.
        answer = backends.resolver().lookup(deployment.domain, "NS")
        if answer.outcome == "unknown":
            return []
        found = answer.values
    names = {name.lower().rstrip(".") for name in found}
    if names == {name.lower().rstrip(".") for name in wanted.name_servers}:
        return []
    verdict = drift.DIFFERENT if names else drift.MISSING_THERE
    return [Difference(Kind.ZONE, "delegation", verdict, f"de {deployment.domain}")]


def _mail_domain(deployment: Deployment, resource: Resource) -> Look:
    mail = backends.mail()
    spec = asdict(mail.spec(deployment.domain))
    known = deployment.resources.filter(kind=Kind.MAILBOX, removed_at__isnull=True).values_list("key", flat=True)
    found = [box.address for box in mail.mailboxes(deployment.domain)]
    quota = (resource.observed or resource.desired).get("quota", resource.desired["quota"])
    return Look({"quota": quota, "spec": spec}, drift.of_mail_domain(known, found))


def _mailbox(deployment: Deployment, resource: Resource) -> Look:
    for box in backends.mail().mailboxes(deployment.domain):
        if box.address.lower() == resource.key.lower():
            return Look(observed_of(box), drift.of_mailbox(resource.desired, box))
    return Look(ABSENT, drift.gone(resource))


def _storage(_deployment: Deployment, resource: Resource) -> Look:
    seen = backends.storage().space(resource.desired["space"])
    differences = drift.of_space(resource.desired, quota=seen.quota, used=seen.used)
    return Look({"quota": seen.quota, "used": seen.used}, differences)


_LOOKS: dict[str, Callable[[Deployment, Resource], Look]] = {
    Kind.ZONE: _zone,
    Kind.MAIL_DOMAIN: _mail_domain,
    Kind.MAILBOX: _mailbox,
    Kind.STORAGE: _storage,
}
