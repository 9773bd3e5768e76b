"""What the steps of the later plans do, under the same rules as `steps`: each may run again at any time."""

import email
import email.policy
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from onboarding.provisioning import backends
from onboarding.provisioning.backends.protocols import Mail, Mailbox
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Resource, Step
from onboarding.provisioning.quota_watch import FICHIERS, MESSAGES
from suite.catalog.models import Service
from suite.catalog.workflow import HeldByAnotherOperatorError, subscribe
from suite.templatetags.suite import gigabytes

REDIRECT = "redirect"


def mailbox_change(step: Step) -> None:
    """Have a mailbox as it is wanted now: named, directed, open or shut, bounded."""
    resource, mail, owner = _resource(step), backends.mail(), step.deployment.owner
    wanted = _wanted(resource.desired)
    mail.ensure_mailbox(wanted, owner=owner)
    mail.ensure_mailbox_settings(wanted)
    if wanted.kind != REDIRECT and "quota" in resource.desired:
        mail.ensure_mailbox_quota(wanted.address, wanted.quota)
    mail.ensure_active(wanted.address, active=wanted.active, owner=owner)
    seen = _seen(mail, wanted.address)
    if seen is None:
        raise Unavailable("not_seen", "La boîte a été demandée, mais ne se voit pas encore.")
    if seen.active != wanted.active:
        raise Unavailable("not_applied", "La messagerie a dit oui, mais la boîte n’a pas changé.")
    observe(resource, observed_of(seen))


def mailbox_move(step: Step) -> None:
    """Carry what a mailbox holds to its new address, then make room for the redirect; nothing is lost on the way.

    The former one is copied while it still receives, shut, copied again for what came meanwhile, and only then
    deleted. What the new one already holds is never put twice.
    """
    resource, mail, owner = _resource(step), backends.mail(), step.deployment.owner
    former = _seen(mail, resource.key)
    if former is None or former.kind == REDIRECT:
        return
    (target,) = resource.desired["targets"]
    until = time.monotonic() + settings.CELERY_TASK_SOFT_TIME_LIMIT / 2
    there = {_digest(folder, raw) for folder, raw in mail.export_messages(target)}
    _copy(mail, resource.key, target, there, until)
    mail.ensure_active(resource.key, active=False, owner=owner)
    _copy(mail, resource.key, target, there, until)
    mail.ensure_no_mailbox(resource.key, owner=owner)


def _copy(mail: Mail, source: str, target: str, there: set[bytes], until: float) -> None:
    for folder, raw in mail.export_messages(source):
        digest = _digest(folder, raw)
        if digest in there:
            continue
        mail.import_message(target, folder, raw, received_at=_received_at(raw), seen=True)
        there.add(digest)
        if time.monotonic() > until:
            said = f"{len(there)} messages sont à la nouvelle adresse ; la suite vient."
            raise NotYet("moving", said, after=timedelta(seconds=1))


def mailbox_removal(step: Step) -> None:
    """Delete a mailbox whose day has come, unless it is wanted again."""
    resource, mail = _resource(step), backends.mail()
    seen = _seen(mail, resource.key)
    # A redirect that could not be put in place is still the mailbox, with what it holds.
    if seen is not None and (seen.kind == REDIRECT) != (resource.desired["kind"] == REDIRECT):
        raise Refused("still_a_mailbox", "Cette adresse est encore une boîte, avec ses messages : rien n’est supprimé.")
    if seen is not None and seen.kind != REDIRECT and resource.desired.get("active", True):
        raise Refused("wanted", "Cette boîte est de nouveau voulue : rien n’est supprimé.")
    mail.ensure_no_mailbox(resource.key, owner=step.deployment.owner)
    if _seen(mail, resource.key) is not None:
        raise Unavailable("still_there", "La messagerie a dit oui, mais la boîte est encore là.")
    gone(resource)


def quota(step: Step) -> None:
    """Bound the mail of a domain, or a space, and keep the entitlement equal. Refused under what is used."""
    resource, deployment = _resource(step), step.deployment
    wanted: int = resource.desired["quota"]
    if resource.kind == Resource.Kind.STORAGE:
        store, space = backends.storage(), resource.desired["space"]
        _bounded(store.space(space).used, wanted)
        store.ensure_quota(space, wanted)
        seen = store.space(space)
        observe(resource, {**(resource.observed or {}), "quota": seen.quota, "used": seen.used})
        entitled = FICHIERS
    else:
        mail = backends.mail()
        _bounded(sum(box.used or 0 for box in mail.mailboxes(deployment.domain)), wanted)
        mail.ensure_quota(deployment.domain, wanted)
        observe(resource, {**(resource.observed or {}), "quota": wanted})
        entitled = MESSAGES
    offered = Resource.objects.filter(
        deployment=deployment, kind=Resource.Kind.SERVICE, key=str(entitled), observed_at__isnull=False
    ).first()
    if offered is None:
        return
    try:
        subscribe(deployment.organization, Service.objects.get(pk=entitled), deployment.operator, quota=wanted, by=None)
    except HeldByAnotherOperatorError as error:
        raise Refused("other_operator", str(error)) from error
    observe(offered, {"quota": wanted})


def _bounded(used: int, wanted: int) -> None:
    if wanted < used:
        said = f"{gigabytes(used)} sont utilisés : le quota ne peut pas descendre à {gigabytes(wanted)}."
        raise Refused("below_use", said)


# --- What they share --------------------------------------------------------------------------------------------------


def observed_of(box: Mailbox) -> dict[str, Any]:
    """Return what is kept of a mailbox as it was seen."""
    seen = {"address": box.address, "kind": box.kind, "display_name": box.display_name, "active": box.active}
    return {**seen, "targets": list(box.targets), "quota": box.quota, "used": box.used}


def observe(resource: Resource, seen: dict[str, Any]) -> None:
    """Write what was just seen, unless a later look was written meanwhile."""
    now = timezone.now()
    Resource.objects.filter(Q(observed_at__isnull=True) | Q(observed_at__lte=now), pk=resource.pk).update(
        observed=seen, observed_at=now, looked_at=now, unknown_since=None
    )


def gone(resource: Resource) -> None:
    """Write that a thing is deleted, on purpose."""
    now = timezone.now()
    Resource.objects.filter(pk=resource.pk, removed_at__isnull=True).update(
        removed_at=now, observed={"absent": True}, observed_at=now, looked_at=now, unknown_since=None
    )


def _resource(step: Step) -> Resource:
    if step.resource is None:
        raise Refused("no_resource", "Cette étape ne dit pas ce qu’elle doit faire.")
    # As it is wanted now, not as it was when the step was taken.
    return Resource.objects.get(pk=step.resource.pk)


def _wanted(desired: dict[str, Any]) -> Mailbox:
    return Mailbox(
        desired["address"],
        desired["kind"],
        desired["display_name"],
        tuple(desired["targets"]),
        active=desired.get("active", True),
        quota=desired.get("quota"),
    )


def _seen(mail: Mail, address: str) -> Mailbox | None:
    boxes = mail.mailboxes(address.partition("@")[2])
    return next((box for box in boxes if box.address.lower() == address), None)


def _digest(folder: str, raw: bytes) -> bytes:
    return hashlib.sha256(folder.encode() + b"\0" + raw).digest()


def _received_at(raw: bytes) -> datetime:
    """Return when a message says it was written; now when it does not say."""
    head = raw.partition(b"\r\n\r\n")[0][:20_000]
    try:
        said = parsedate_to_datetime(str(email.message_from_bytes(head, policy=email.policy.compat32)["Date"]))
    except (TypeError, ValueError):
        return timezone.now()
    return said if said.tzinfo else said.replace(tzinfo=UTC)


PLAN: dict[str, Callable[[Step], None]] = {
    Step.Name.MAILBOX_CHANGE: mailbox_change,
    Step.Name.MAILBOX_MOVE: mailbox_move,
    Step.Name.MAILBOX_REMOVAL: mailbox_removal,
    Step.Name.QUOTA: quota,
}
