"""The verbs of what an organization is entitled to: a manager asks for more, its operator decides or changes it."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.provisioning.change_models import Change, MoreRequest
from onboarding.provisioning.changes import ChangeRefused, Planned, opened, plan
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import Entitlement, boxes_of, counted, entitlement
from onboarding.provisioning.judging import Problem
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.quota_watch import FICHIERS, MESSAGES
from suite.accounts.models import User
from suite.catalog.models import GB
from suite.journal.workflow import record
from suite.templatetags.suite import gigabytes

What = MoreRequest.What
# The thing that bears each quota, the plan that changes it, the service whose entitlement is the same figure.
SPACES = {
    What.MAIL: (Resource.Kind.MAIL_DOMAIN, Change.Kind.MAIL_QUOTA, MESSAGES),
    What.STORAGE: (Resource.Kind.STORAGE, Change.Kind.STORAGE_QUOTA, FICHIERS),
}
MOST_BYTES = 100_000 * GB
MOST_BOXES = 2000


@transaction.atomic
def set_space(deployment: Deployment, what: str, quota: int, *, by: User, reason: str) -> Change:
    """Bound the whole mail, or the storage, in bytes. Raises ChangeRefused under what is used, or for no change."""
    return _set_space(opened(deployment), What(what), quota, by=by, reason=reason)


@transaction.atomic
def ask_more(deployment: Deployment, what: str, wanted: int, *, by: User, reason: str) -> MoreRequest:
    """Ask the operator for more, in all: a number of mailboxes, or bytes. One request of each kind at a time."""
    deployment = opened(deployment)
    held = _held(entitlement(deployment), What(what))
    if held is not None and wanted <= held:
        raise ChangeRefused(Problem("wanted", "C’est déjà ce que vous avez, ou moins : indiquez un total plus grand."))
    if wanted > (MOST_BOXES if what == What.MAILBOXES else MOST_BYTES):
        raise ChangeRefused(Problem("wanted", "C’est plus que nous ne savons donner : indiquez un total plus petit."))
    try:
        with transaction.atomic():
            asked = MoreRequest.objects.create(
                deployment=deployment, what=what, wanted=wanted, reason=reason, asked_by=by
            )
    except IntegrityError as error:
        raise WrongState("Une demande est déjà en attente : votre opérateur doit d’abord y répondre.") from error
    record("deployment", deployment.pk, "more.asked", by=by, payload={"what": what, "wanted": wanted}, comment=reason)
    return asked


@transaction.atomic
def answer_more(asked: MoreRequest, *, granted: bool, by: User, answer: str) -> None:
    """Grant or refuse what was asked; what is granted is pushed by a plan in the same transaction."""
    deployment = opened(asked.deployment)
    if asked.asked_by_id == by.pk:
        raise WrongState("Vous avez fait cette demande : une autre personne y répond.")
    open_ones = MoreRequest.objects.filter(pk=asked.pk, granted__isnull=True)
    if not open_ones.update(granted=granted, answer=answer, decided_by=by, decided_at=timezone.now()):
        raise WrongState("Quelqu’un a déjà répondu à cette demande.")
    facts = {"what": asked.what, "wanted": asked.wanted, "granted": granted}
    record("deployment", deployment.pk, "more.answered", by=by, payload=facts, comment=answer)
    if granted and asked.what in SPACES:
        _set_space(deployment, What(asked.what), asked.wanted, by=by, reason=answer)


def _held(entitled: Entitlement, what: MoreRequest.What) -> int | None:
    return {What.MAILBOXES: entitled.mailboxes, What.MAIL: entitled.mail, What.STORAGE: entitled.storage}[what]


def _set_space(deployment: Deployment, what: MoreRequest.What, quota: int, *, by: User, reason: str) -> Change:
    kind, change, service = SPACES[what]
    resource = Resource.objects.filter(deployment=deployment, kind=kind, removed_at__isnull=True).first()
    if resource is None or resource.observed_at is None:
        raise WrongState("Cet espace n’est pas encore en place.")
    if Step.objects.filter(resource=resource).exclude(status__in=Step.FINISHED).exists():
        raise WrongState("Un changement de cet espace est déjà en cours : attendez qu’il soit fait.")
    if not 0 < quota <= MOST_BYTES:
        raise ChangeRefused(Problem("quota", "Indiquez un nombre de gigaoctets plus grand que zéro."))
    if quota == resource.desired.get("quota"):
        raise ChangeRefused(Problem("quota", "C’est déjà le quota de cet espace : indiquez le nouveau."))
    least, why = _least(deployment, what, resource)
    if quota < least:
        raise ChangeRefused(Problem("quota", f"{gigabytes(least)} {why} : le quota ne peut pas être plus petit."))
    same = Resource.objects.filter(pk=resource.pk, desired=resource.desired)
    if not same.update(desired={**resource.desired, "quota": quota}):
        raise WrongState("Cet espace vient d’être changé par quelqu’un d’autre.")
    for offered in Resource.objects.filter(deployment=deployment, kind=Resource.Kind.SERVICE, key=str(service)):
        Resource.objects.filter(pk=offered.pk).update(desired={**offered.desired, "quota": quota})
    steps = [Planned(10, Step.Name.QUOTA, resource)]
    return plan(deployment, change, steps, by=by, reason=reason, quota=quota)


def _least(deployment: Deployment, what: MoreRequest.What, resource: Resource) -> tuple[int, str]:
    """Return under what the quota may not go, in bytes, and why."""
    if what == What.STORAGE:
        return (resource.observed or {}).get("used") or 0, "sont déjà utilisés"
    boxes = boxes_of(deployment)
    used = sum(box.used or 0 for box in boxes)
    promised = sum(box.quota or 0 for box in boxes)
    return (used, "sont déjà utilisés") if used >= promised else (promised, "sont déjà répartis entre les boîtes")


def boxes_left(deployment: Deployment) -> int:
    """Return how many mailboxes the allocation still has."""
    return max(entitlement(deployment).mailboxes - counted(boxes_of(deployment)), 0)
