"""The verbs of the mailboxes of a suite in service. Each is one transaction and writes a plan on the same queue.

None of them calls a provider. The changes of one suite queue on its row: what is judged cannot move before it is
written, and one mailbox has one change at a time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from onboarding.provisioning import engine, judging
from onboarding.provisioning.change_models import Change
from onboarding.provisioning.closure_models import Closure
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import REDIRECT, Box, boxes_of, entitlement, plain
from onboarding.provisioning.judging import NewBox, Problem
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.models import User
from suite.journal.workflow import record

RETENTION = timedelta(days=30)
Kind = Change.Kind
Name = Step.Name


class ChangeRefused(Exception):
    """What is asked cannot be; each problem is a French sentence that names the field and the remedy."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(" ".join(one.sentence for one in problems))
        self.problems = problems


class Planned(NamedTuple):
    """One step of a later plan."""

    position: int
    name: Step.Name
    resource: Resource
    due_at: datetime | None = None


@transaction.atomic
def add(deployment: Deployment, boxes: Sequence[NewBox], *, by: User) -> Change:
    """Ask for mailboxes. Raises ChangeRefused, or WrongState when the suite is not in service."""
    deployment = opened(deployment)
    check(deployment, boxes, boxes_of(deployment))
    made = [_resource(deployment, box) for box in boxes]
    return plan(deployment, Kind.ADD, [Planned(10, Name.MAILBOX_CHANGE, one) for one in made], by=by, count=len(made))


def check(deployment: Deployment, boxes: Sequence[NewBox], existing: Sequence[Box]) -> None:
    """Raise ChangeRefused if these mailboxes cannot be added to those."""
    if problems := judging.judge(deployment, boxes, existing, entitlement(deployment)):
        raise ChangeRefused(*problems)


@transaction.atomic
def rename(resource: Resource, local_part: str, *, kept: timedelta, by: User) -> Change:
    """Give a mailbox another address: its messages follow, the former address redirects for as long as `kept`."""
    deployment, box = _at_rest(resource)
    former = plain(box.resource)
    if box.kind == REDIRECT:
        raise ChangeRefused(Problem("local_part", "Une redirection ne change pas d’adresse : créez-en une autre."))
    new = NewBox(
        kind=box.kind,
        local_part=local_part,
        display_name=box.display_name,
        recovery_email=former.get("recovery_email", ""),
        quota=box.quota,
    )
    others = [one for one in boxes_of(deployment) if one.resource.pk != box.resource.pk]
    problems = judging.judge(deployment, [new], others, entitlement(deployment))
    if new.address(deployment.domain) == box.address:
        problems = [Problem("local_part", "C’est déjà l’adresse de cette boîte : indiquez la nouvelle.")]
    if problems:
        raise ChangeRefused(*problems)
    made = _resource(deployment, new)
    _set(
        box.resource,
        {**former, "kind": REDIRECT, "targets": [made.key], "moved_from": box.kind, "quota": None},
    )
    steps = [
        Planned(10, Name.MAILBOX_CHANGE, made),
        Planned(20, Name.MAILBOX_MOVE, box.resource),
        Planned(30, Name.MAILBOX_CHANGE, box.resource),
        Planned(40, Name.MAILBOX_REMOVAL, box.resource, timezone.now() + kept),
    ]
    return plan(deployment, Kind.RENAME, steps, by=by, kept_days=kept.days)


@transaction.atomic
def set_display_name(resource: Resource, display_name: str, *, by: User) -> Change:
    """Name a mailbox otherwise, at its provider's too."""
    deployment, box = _at_rest(resource)
    name = " ".join(display_name.split())
    others = [one for one in boxes_of(deployment) if one.resource.pk != box.resource.pk]
    problems = judging.name_problems(name, box.kind, others)
    if name == box.display_name:
        problems = [Problem("display_name", "C’est déjà le nom affiché de cette boîte : indiquez le nouveau.")]
    if problems:
        raise ChangeRefused(*problems)
    return _change(deployment, box, Kind.DISPLAY_NAME, {"display_name": name}, by=by)


@transaction.atomic
def set_targets(resource: Resource, targets: Sequence[str], *, by: User) -> Change:
    """Lead a redirect elsewhere."""
    deployment, box = _at_rest(resource)
    if box.kind != REDIRECT:
        raise ChangeRefused(Problem("targets", "Cette boîte n’est pas une redirection."))
    wanted = judging.clean_targets(targets)
    others = [one for one in boxes_of(deployment) if one.resource.pk != box.resource.pk]
    if problems := judging.target_problems(box.address, wanted, others):
        raise ChangeRefused(*problems)
    return _change(deployment, box, Kind.TARGETS, {"targets": wanted}, by=by)


@transaction.atomic
def set_quota(resource: Resource, quota: int | None, *, by: User) -> Change:
    """Bound a mailbox, in bytes, within what the mail of the domain may hold; None: only the domain's bound."""
    deployment, box = _at_rest(resource)
    if box.kind == REDIRECT:
        raise ChangeRefused(Problem("quota", "Une redirection ne garde rien : elle n’a pas de quota."))
    others = [one for one in boxes_of(deployment) if one.resource.pk != box.resource.pk]
    if problems := judging.quota_problems(quota, box.used, others, entitlement(deployment)):
        raise ChangeRefused(*problems)
    return _change(deployment, box, Kind.MAILBOX_QUOTA, {"quota": quota}, by=by)


@transaction.atomic
def disable(resource: Resource, *, by: User, reason: str) -> Change:
    """Shut a mailbox: nothing is received and nobody enters, what it holds stays. `enable` undoes it."""
    deployment, box = _at_rest(resource)
    if not box.wanted_open:
        raise WrongState("Cette boîte est déjà fermée.")
    return _change(deployment, box, Kind.DISABLE, {"active": False}, by=by, reason=reason)


@transaction.atomic
def enable(resource: Resource, *, by: User, reason: str) -> Change:
    """Open a mailbox again."""
    deployment, box = _at_rest(resource)
    if box.wanted_open:
        raise WrongState("Cette boîte est déjà ouverte.")
    return _change(deployment, box, Kind.ENABLE, {"active": True}, by=by, reason=reason)


@transaction.atomic
def remove(resource: Resource, *, by: User, reason: str) -> Change:
    """Shut a mailbox now and delete it in thirty days; `keep` undoes it until then."""
    deployment, box = _at_rest(resource)
    _set(box.resource, {**plain(box.resource), "active": False})
    steps = [
        Planned(10, Name.MAILBOX_CHANGE, box.resource),
        Planned(20, Name.MAILBOX_REMOVAL, box.resource, timezone.now() + RETENTION),
    ]
    return plan(deployment, Kind.REMOVE, steps, by=by, reason=reason)


@transaction.atomic
def keep(resource: Resource, *, by: User) -> Change:
    """Give a deletion up before its day, and open the mailbox again."""
    deployment, box = _found(resource)
    removal = Step.objects.filter(
        resource=box.resource, name=Name.MAILBOX_REMOVAL, status=Step.Status.WAITING, attempt=0
    )
    if box.under_way is not None and box.under_way.status != Step.Status.BLOCKED:
        raise WrongState("La fermeture de cette boîte est en cours : réessayez dans un instant.")
    now = timezone.now()
    if not removal.filter(due_at__gt=now).update(status=Step.Status.SKIPPED, finished_at=now):
        raise WrongState("La suppression de cette boîte n’est pas prévue, ou a déjà commencé.")
    Step.objects.filter(resource=box.resource, status=Step.Status.BLOCKED).update(
        status=Step.Status.SKIPPED, finished_at=now
    )
    return _change(deployment, box, Kind.KEEP, {"active": True}, by=by)


# --- What the verbs share ---------------------------------------------------------------------------------------------


def opened(deployment: Deployment) -> Deployment:
    """Lock a deployment for a change; WrongState unless it is in service."""
    locked = Deployment.objects.select_for_update(no_key=True).get(pk=deployment.pk)
    if locked.closed_at is not None or Closure.objects.filter(deployment=locked).exists():
        raise WrongState("Ce service se ferme : plus rien n’y change.")
    if not in_service(locked):
        raise WrongState("La mise en service n’est pas terminée : vous pourrez faire des changements ensuite.")
    return locked


def in_service(deployment: Deployment) -> bool:
    """Whether the building is over, but for what was left over."""
    left = Step.objects.filter(deployment=deployment, plan=0).exclude(status__in=Step.FINISHED)
    return not left.exclude(Step.left_over()).exists()


def plan(
    deployment: Deployment,
    kind: Change.Kind,
    steps: Sequence[Planned],
    *,
    by: User,
    reason: str = "",
    **facts: Any,  # noqa: ANN401 - what the journal keeps
) -> Change:
    """Write a later plan of a deployment that the caller has locked, and wake a worker once it holds."""
    last = Change.objects.filter(deployment=deployment).aggregate(last=Max("number"))["last"] or 0
    change = Change.objects.create(deployment=deployment, number=last + 1, kind=kind, asked_by=by)
    now = timezone.now()
    Step.objects.bulk_create(
        Step(
            deployment=deployment,
            plan=change.number,
            position=one.position,
            name=one.name,
            resource=one.resource,
            due_at=one.due_at or now,
        )
        for one in steps
    )
    # No address here: the journal's payload names nobody.
    things = list(dict.fromkeys(str(one.resource.pk) for one in steps))
    record(
        "deployment",
        deployment.pk,
        f"change.{kind}",
        by=by,
        payload={"plan": change.number, "resources": things, **facts},
        comment=reason,
    )
    transaction.on_commit(lambda: engine.wake(deployment.pk), robust=True)
    return change


def _found(resource: Resource) -> tuple[Deployment, Box]:
    """Lock the deployment, then read the mailbox as it now is; WrongState when it is gone."""
    deployment = opened(resource.deployment)
    box = next(iter(boxes_of(deployment, only=resource)), None)
    if box is None:
        raise WrongState("Cette boîte n’existe plus.")
    return deployment, box


def _at_rest(resource: Resource) -> tuple[Deployment, Box]:
    deployment, box = _found(resource)
    if box.under_way is not None and box.under_way.status == Step.Status.BLOCKED:
        raise WrongState("Un changement de cette boîte attend l’intervention de l’opérateur : il passe d’abord.")
    if box.under_way is not None:
        raise WrongState("Un changement de cette boîte est déjà en cours : attendez qu’il soit fait.")
    if box.removal_at is not None:
        raise WrongState("La suppression de cette boîte est prévue : annulez-la d’abord.")
    if not box.known:
        raise WrongState("Cette boîte n’est pas encore en place.")
    return deployment, box


def _change(  # noqa: PLR0913 - as `plan`
    deployment: Deployment, box: Box, kind: Change.Kind, wanted: dict[str, Any], *, by: User, reason: str = ""
) -> Change:
    _set(box.resource, {**plain(box.resource), **wanted})
    return plan(deployment, kind, [Planned(10, Name.MAILBOX_CHANGE, box.resource)], by=by, reason=reason)


def _set(resource: Resource, desired: dict[str, Any]) -> None:
    """Write what is wanted, if it still is what was read."""
    same = Resource.objects.filter(pk=resource.pk, desired=resource.desired, removed_at__isnull=True)
    if not same.update(desired=desired):
        raise WrongState("Cette boîte vient d’être changée par quelqu’un d’autre.")


def _resource(deployment: Deployment, box: NewBox) -> Resource:
    """Return the row of a new mailbox; that of an address given again begins anew."""
    blank = {"removed_at": None, "observed": None, "observed_at": None, "unknown_since": None, "looked_at": None}
    address = box.address(deployment.domain)
    desired = {
        "address": address,
        "kind": box.kind,
        "display_name": box.display_name,
        "recovery_email": box.recovery_email,
        "targets": list(box.targets),
        "active": True,
        "quota": box.quota,
    }
    return Resource.objects.update_or_create(
        deployment=deployment, kind=Resource.Kind.MAILBOX, key=address, defaults={**blank, "desired": desired}
    )[0]
