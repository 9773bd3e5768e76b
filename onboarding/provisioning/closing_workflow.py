"""The verbs of the end of a deployment: it is opened, then each deletion is asked for by two people."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from onboarding.provisioning import engine
from onboarding.provisioning.change_models import Change, Export
from onboarding.provisioning.changes import Planned, plan
from onboarding.provisioning.closure_models import Closure, ClosureStep
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.models import User
from suite.journal.workflow import record

# What stands on something else goes first: a domain is left once nothing in it is.
ORDER = (
    Resource.Kind.SERVICE,
    Resource.Kind.IDENTITY,
    Resource.Kind.MAILBOX,
    Resource.Kind.STORAGE,
    Resource.Kind.MAIL_DOMAIN,
    Resource.Kind.ZONE,
)
DELAY = timedelta(days=30)  # between the opening and the first deletion (`mandates.REQUIRED[CLOSE]`)


@transaction.atomic
def open_closure(deployment: Deployment, *, by: User, reason: str, cause: str = Closure.Cause.REVOKED) -> Closure:
    """Stop what is being built, and list what would have to be deleted; deletes nothing. One plan per deployment."""
    locked = Deployment.objects.select_for_update(no_key=True).get(pk=deployment.pk)
    closure, created = Closure.objects.get_or_create(deployment=locked, defaults={"opened_by": by, "cause": cause})
    if created:
        steps = [
            ClosureStep(closure=closure, resource=resource, position=ORDER.index(Resource.Kind(resource.kind)))
            for resource in locked.resources.filter(removed_at__isnull=True)
        ]
        ClosureStep.objects.bulk_create(steps)
        payload = {"deletions": len(steps), "cause": cause}
        record("deployment", locked.pk, "closure_opened", by=by, payload=payload, comment=reason)
    return closure


@transaction.atomic
def propose(closure: Closure, steps: Collection[UUID], *, by: User) -> int:
    """Ask for deletions, which somebody else must confirm; return how many. WrongState when none is left to ask."""
    _locked(closure)
    asked = ClosureStep.objects.filter(pk__in=steps, closure=closure, proposed_by__isnull=True, done_at__isnull=True)
    things = _things(asked)
    if not asked.update(proposed_by=by):
        raise WrongState("Ces suppressions sont déjà demandées : il reste à les confirmer.")
    record("deployment", closure.deployment_id, "deletion_proposed", by=by, payload={"resources": things})
    return len(things)


@transaction.atomic
def confirm(closure: Closure, steps: Collection[UUID], *, by: User) -> int:
    """Confirm deletions that somebody else asked for: a worker carries them out when their day has come.

    WrongState when a copy is still to be made or waived, when one was asked by the same person, or is confirmed.
    """
    deployment = _locked(closure)
    fresh = Closure.objects.get(pk=closure.pk)
    if not is_copied(fresh):
        raise WrongState("Une copie complète doit d’abord être prête, ou quelqu’un y renoncer : rien n’est supprimé.")
    asked = ClosureStep.objects.filter(
        pk__in=steps, closure=closure, proposed_by__isnull=False, confirmed_by__isnull=True
    )
    if asked.filter(proposed_by=by).exists():
        raise WrongState("Vous avez demandé une de ces suppressions : une autre personne la confirme.")
    rows = list(asked.select_related("resource").order_by("position", "pk"))
    if not rows or len(rows) < len(set(steps)):
        raise WrongState("Une de ces suppressions n’attend plus de confirmation : quelqu’un vient peut-être d’agir.")
    done = asked.update(confirmed_by=by, confirmed_at=timezone.now())
    day = starts_at(fresh)
    planned = [Planned(row.position, Step.Name.DELETION, row.resource, day) for row in rows]
    plan(deployment, Change.Kind.DELETION, planned, by=by)
    # What waited for these no longer waits for a signature.
    Step.objects.filter(
        deployment=deployment, name=Step.Name.DELETION, status=Step.Status.WAITING, due_at__gt=day, failures=0
    ).exclude(code="").update(due_at=max(day, timezone.now()))
    return done


@transaction.atomic
def take_back(closure: Closure, steps: Collection[UUID], *, by: User) -> int:
    """Give up deletions that have not begun: both signatures go. WrongState when all have."""
    deployment = _locked(closure)
    now = timezone.now()
    asked = ClosureStep.objects.filter(pk__in=steps, closure=closure, proposed_by__isnull=False, done_at__isnull=True)
    resources = list(asked.values_list("resource", flat=True))
    waiting = Step.objects.filter(
        deployment=deployment, name=Step.Name.DELETION, resource__in=resources, status=Step.Status.WAITING
    )
    if waiting.filter(attempt__gt=0).exists():
        raise WrongState("Une de ces suppressions a commencé : elle ne s’arrête plus.")
    waiting.update(status=Step.Status.SKIPPED, finished_at=now)
    things = _things(asked)
    if not asked.update(proposed_by=None, confirmed_by=None, confirmed_at=None):
        raise WrongState("Ces suppressions ne sont pas demandées, ou sont déjà faites.")
    record("deployment", deployment.pk, "deletion_taken_back", by=by, payload={"resources": things})
    return len(things)


@transaction.atomic
def waive_copy(closure: Closure, *, by: User, reason: str) -> None:
    """Answer for deleting without a copy. WrongState when it is done already."""
    _locked(closure)
    if not Closure.objects.filter(pk=closure.pk, waived_at__isnull=True).update(waived_by=by, waived_at=timezone.now()):
        raise WrongState("Quelqu’un a déjà renoncé à la copie.")
    record("deployment", closure.deployment_id, "copy_waived", by=by, comment=reason)


def starts_at(closure: Closure) -> datetime:
    """Return before when nothing is deleted, whatever is confirmed."""
    return closure.opened_at + DELAY


def is_copied(closure: Closure) -> bool:
    """Whether a copy was made since the closure was opened, or waived."""
    if closure.waived_at is not None:
        return True
    copies = Export.objects.filter(deployment=closure.deployment_id, ready_at__isnull=False)
    return copies.filter(asked_at__gte=closure.opened_at).exists()


def _locked(closure: Closure) -> Deployment:
    """Lock the deployment: two people who act at once act one after the other."""
    deployment = Deployment.objects.select_for_update(no_key=True).get(pk=closure.deployment_id)
    if deployment.closed_at is not None:
        raise WrongState("Ce service est fermé : il n’y a plus rien à supprimer.")
    transaction.on_commit(lambda: engine.wake(deployment.pk), robust=True)
    return deployment


def _things(steps: QuerySet[ClosureStep]) -> list[str]:
    return [str(pk) for pk in steps.values_list("resource", flat=True)]
