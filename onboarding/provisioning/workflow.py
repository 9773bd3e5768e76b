"""The verbs of a deployment: start, and what a person may do to a step that is blocked."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.provisioning import closing_steps, engine, identity, steps
from onboarding.provisioning.closing_workflow import open_closure
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.quota_watch import FICHIERS, MESSAGES
from suite.accounts.models import User
from suite.accounts.permissions import OPERATE, allows, staff_roles
from suite.catalog.models import GB, Service
from suite.directory.models import Operator, Organization
from suite.journal.workflow import record


class PlanRefused(Exception):
    """The plan cannot be started; the text says why, in French."""


@dataclass(frozen=True)
class MailboxPlan:
    """One mailbox to build: `kind` is "personal", "shared" or "redirect"; `targets` only for a redirect."""

    local_part: str
    display_name: str
    kind: str
    recovery_email: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What was approved. `zone_kind` is a `Deployment.ZoneKind`; quotas are in bytes; services by public id."""

    organization: Organization
    operator: Operator
    domain: str
    zone_kind: str
    welcome_email: str
    mailboxes: tuple[MailboxPlan, ...]
    storage_quota: int
    service_ids: tuple[int, ...] = ()
    mail_quota: int = 10 * GB


@transaction.atomic
def start(plan: Plan, *, by: User) -> Deployment:
    """Write the deployment, its resources and its steps; wake a worker once the transaction holds.

    Raises `PlanRefused` when the name or the organization already has a live deployment, when two mailboxes share an
    address, or when a service is not offered.
    """
    deployment = _created(plan)
    things = _things(plan, deployment)
    resources = {(kind, key): Resource(deployment=deployment, kind=kind, key=key, desired=d) for kind, key, d in things}
    if len(resources) != len(things):
        raise PlanRefused("Deux boîtes aux lettres portent la même adresse : changez l’une des deux.")
    Resource.objects.bulk_create(resources.values())
    Step.objects.bulk_create(_steps(deployment, list(resources.values())))
    record(
        "deployment",
        deployment.pk,
        "started",
        by=by,
        payload={
            "domain": deployment.domain,
            "zone_kind": deployment.zone_kind,
            "mailboxes": len(plan.mailboxes),
            # Where it counts, as it is today: a later merger or transfer must not alter the past.
            "organization": plan.organization.code,
            "department": plan.organization.department_id,
            "operator": str(plan.operator.pk),
        },
    )
    transaction.on_commit(lambda: engine.wake(deployment.pk), robust=True)
    return deployment


@transaction.atomic
def retry(step: Step, *, by: User) -> None:
    """Run a blocked step again. `PermissionDenied` out of role, `WrongState` when it is not blocked any more."""
    _may_operate(by, step)
    _leave_blocked(step, status=Step.Status.WAITING, failures=0, due_at=timezone.now(), code="", note="")
    _record("step_retried", step, by=by)
    transaction.on_commit(lambda: engine.wake(step.deployment_id), robust=True)


@transaction.atomic
def skip(step: Step, *, by: User, reason: str) -> None:
    """Go on without a blocked step; the reason stays in the journal. Raises as `retry`."""
    _may_operate(by, step)
    now = timezone.now()
    _leave_blocked(step, status=Step.Status.SKIPPED, finished_at=now, due_at=now)
    _record("step_skipped", step, by=by, comment=reason)
    engine.passed(step)
    if step.name == Step.Name.DELETION:
        closing_steps.left_behind(step)
    transaction.on_commit(lambda: engine.wake(step.deployment_id), robust=True)


@transaction.atomic
def mark_done(step: Step, *, by: User, proof: str) -> None:
    """Take a person's word, and its proof, that a blocked step is done: made by hand, seen there. Raises as `retry`."""
    _may_operate(by, step)
    now = timezone.now()
    _leave_blocked(step, status=Step.Status.DONE, failures=0, code="", note="", finished_at=now, due_at=now)
    _record("step_marked_done", step, by=by, comment=proof)
    engine.passed(step)
    transaction.on_commit(lambda: engine.wake(step.deployment_id), robust=True)


@transaction.atomic
def abandon(step: Step, *, by: User, reason: str) -> None:
    """Stop building because of a blocked step; nothing is deleted. Raises as `retry`."""
    _may_operate(by, step)
    # The step stays blocked: it says why. Whoever was faster is seen here.
    _leave_blocked(step, due_at=timezone.now())
    _record("step_abandoned", step, by=by, comment=reason)
    open_closure(step.deployment, by=by, reason=reason)


def may_operate(user: User | AnonymousUser, deployment: Deployment) -> bool:
    """Whether the person may retry or skip: it instructs for the operator that manages, or for the national one."""
    return allows(OPERATE, staff_roles(user, {deployment.operator_id}))


def _may_operate(user: User, step: Step) -> None:
    if not may_operate(user, step.deployment):
        raise PermissionDenied(OPERATE.refusal)


def _leave_blocked(step: Step, **columns: Any) -> None:  # noqa: ANN401 - columns of Step
    """Test and set in one statement: two operators never both act on the same block."""
    # As at the end of a step: whoever ends last sees that nothing is left.
    deployment = Deployment.objects.select_for_update(no_key=True).get(pk=step.deployment_id)
    # No condition through a join here: Django would then test in a subquery, which PostgreSQL does not test again on
    # the row that another operator has just changed.
    blocked = Step.objects.filter(pk=step.pk, status=Step.Status.BLOCKED)
    if deployment.closed_at is not None or not blocked.update(**columns):
        raise WrongState("Cette étape n’attend plus d’intervention : quelqu’un vient peut-être d’agir.")


def _record(kind: str, step: Step, *, by: User, comment: str = "") -> None:
    payload = {"step": step.name, "id": str(step.pk), "code": step.code}
    record("deployment", step.deployment_id, kind, by=by, payload=payload, comment=comment)


def _created(plan: Plan) -> Deployment:
    if plan.zone_kind not in Deployment.ZoneKind.values:
        raise PlanRefused("La nature du nom de domaine n’est pas connue.")
    try:
        with transaction.atomic():
            return Deployment.objects.create(
                organization=plan.organization,
                operator=plan.operator,
                domain=plan.domain.strip().rstrip(".").lower(),
                zone_kind=plan.zone_kind,
                welcome_email=plan.welcome_email,
            )
    except IntegrityError as error:
        if "deployment_domain_is_ascii" in str(error):
            raise PlanRefused(f"« {plan.domain} » n’est pas un nom de domaine : corrigez-le.") from error
        raise PlanRefused(
            "Ce nom de domaine ou cette collectivité a déjà une mise en service : reprenez celle qui existe."
        ) from error


def _things(plan: Plan, deployment: Deployment) -> list[tuple[Resource.Kind, str, dict[str, Any]]]:
    """Return what must exist, as (kind, key, desired), in the order of the plan."""
    domain, kinds = deployment.domain, Resource.Kind
    things: list[tuple[Resource.Kind, str, dict[str, Any]]] = []
    if deployment.zone_kind != Deployment.ZoneKind.EXTERNAL:
        things.append((kinds.ZONE, domain, {}))
    things.append((kinds.MAIL_DOMAIN, domain, {"quota": plan.mail_quota}))
    for box in plan.mailboxes:
        address = f"{box.local_part.lower()}@{domain}"
        desired = {
            "address": address,
            "kind": box.kind,
            "display_name": box.display_name,
            "recovery_email": box.recovery_email,
            "targets": list(box.targets),
        }
        things.append((kinds.MAILBOX, address, desired))
    # Named after the organization's identifier: a name of commune is neither unique nor for ever.
    space = f"org-{plan.organization.pk}"
    things.append((kinds.STORAGE, space, {"space": space, "quota": plan.storage_quota}))
    offered = {service.pk: service for service in Service.objects.filter(pk__in=plan.service_ids, offered=True)}
    for service_id in dict.fromkeys(plan.service_ids):
        if service_id not in offered:
            raise PlanRefused(f"Le service nº {service_id} n’est pas proposé : retirez-le de la demande.")
        quota = {MESSAGES: plan.mail_quota, FICHIERS: plan.storage_quota}.get(
            service_id, offered[service_id].default_quota
        )
        service: dict[str, Any] = {"service": service_id, "name": offered[service_id].name, "quota": quota}
        things.append((kinds.SERVICE, str(service_id), service))
    if (provided := identity.wanted_of(deployment)) is not None:
        things.append((kinds.IDENTITY, domain, provided))
    return things


def _steps(deployment: Deployment, resources: list[Resource]) -> list[Step]:
    """Return the steps: one for each resource, and those about the whole."""
    names = [Step.Name.VERIFICATION, Step.Name.END_TO_END, Step.Name.WELCOME]
    if deployment.zone_kind == Deployment.ZoneKind.REGISTERED:
        names.append(Step.Name.REGISTRATION)
    if deployment.zone_kind != Deployment.ZoneKind.EXTERNAL:
        names.append(Step.Name.RECORDS)
    # A resource's kind and the step that ensures it have the same name.
    pairs: list[tuple[str, Resource | None]] = [(resource.kind, resource) for resource in resources]
    pairs += [(name, None) for name in names]
    return [
        Step(deployment=deployment, resource=resource, name=name, position=steps.position(name))
        for name, resource in pairs
    ]
