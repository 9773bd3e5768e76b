"""What was approved gets built: a deployment, the things it must bring about, and the steps that do it."""

import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone

from suite.accounts.models import User
from suite.accounts.rights import operator_scope, organizations_of
from suite.directory.models import Operator, Organization


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Ways to read the deployments."""

    def visible_to(self, user: User | AnonymousUser) -> "DeploymentQuerySet":
        """Return what the person may see: its organizations', and those its operator manages."""
        seen = models.Q(organization__in=organizations_of(user))
        scope = operator_scope(user)
        if scope is not None:
            seen = models.Q() if scope.national else seen | models.Q(operator__in=scope.operators)
        return self.filter(seen)

    def with_steps(self) -> "DeploymentQuerySet":
        """Fetch all that `progress.html` shows, in three queries."""
        return self.select_related("organization", "operator", "closure").prefetch_related(
            models.Prefetch("steps", Step.objects.select_related("resource")), "resources"
        )


class Deployment(models.Model):
    """The building of one organization's suite. Its status is derived from its steps, never stored."""

    class ZoneKind(models.TextChoices):
        """Whose zone the domain is."""

        SHARED = "shared", "Nom sous collectivite.fr"
        REGISTERED = "registered", "Nouveau nom, réservé par nous"
        EXTERNAL = "external", "Domaine existant, dont la commune publie les enregistrements"

    class Status(models.TextChoices):
        """Where the building is, as the commune reads it."""

        QUEUED = "queued", "En file"
        RUNNING = "running", "Mise en place en cours"
        WAITING = "waiting", "En attente d’un tiers"
        BLOCKED = "blocked", "Intervention nécessaire"
        LIVE = "live", "En service"
        LIVE_WITH_GAPS = "gaps", "En service, écart constaté"
        CLOSING = "closing", "Fermeture en cours"
        CLOSED = "closed", "Fermée"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="deployments")
    operator = models.ForeignKey(Operator, on_delete=models.PROTECT, related_name="deployments")
    domain = models.CharField(max_length=253)
    zone_kind = models.CharField(max_length=10, choices=ZoneKind)
    welcome_email = models.EmailField(help_text="Who is told when it is ready; outside the new domain.")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["domain"], condition=models.Q(closed_at__isnull=True), name="deployment_one_live_per_domain"
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(closed_at__isnull=True),
                name="deployment_one_live_per_organization",
            ),
            models.CheckConstraint(
                condition=models.Q(domain__regex=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"), name="deployment_domain_is_ascii"
            ),
        ]

    def __str__(self) -> str:
        return self.domain

    @property
    def owner(self) -> str:
        """The mark left on whatever is made outside, so that nobody else's is ever taken for ours."""
        return f"organization:{self.organization_id}"

    @property
    def status(self) -> "Deployment.Status":
        """Derived from the steps of the first plan: free of any query after `with_steps()`.

        A later change that waits or is blocked never takes a suite out of service.
        """
        steps = [step for step in self.steps.all() if step.plan == 0]
        unfinished = [step for step in steps if step.status not in Step.FINISHED]
        first = min((step.position for step in unfinished), default=0)
        frontier = [step for step in unfinished if step.position == first]
        if self.closed_at is not None:
            status = self.Status.CLOSED
        elif hasattr(self, "closure"):
            status = self.Status.CLOSING
        elif not unfinished:
            gaps = any(step.status == Step.Status.SKIPPED for step in steps) or self.drifted
            status = self.Status.LIVE_WITH_GAPS if gaps else self.Status.LIVE
        elif any(step.status == Step.Status.BLOCKED for step in unfinished):
            status = self.Status.BLOCKED
        elif not any(step.attempt for step in steps):
            status = self.Status.QUEUED
        elif any(step.waits_for_somebody for step in frontier):
            status = self.Status.WAITING
        else:
            status = self.Status.RUNNING
        return status

    @property
    def drifted(self) -> bool:
        """Whether something that is there is not as decided, and a person must see to it."""
        return any(resource.alarmed_at is not None for resource in self.resources.all())

    @property
    def finished(self) -> bool:
        """Whether nothing will change by itself any more."""
        return self.status in {self.Status.LIVE, self.Status.LIVE_WITH_GAPS, self.Status.CLOSED}


class Resource(models.Model):
    """One thing that must exist: what is wanted, and what was last seen, when. An inventory, without a workflow."""

    class Kind(models.TextChoices):
        """What it is."""

        ZONE = "zone", "Zone DNS"
        MAIL_DOMAIN = "mail_domain", "Domaine de messagerie"
        MAILBOX = "mailbox", "Boîte aux lettres"
        STORAGE = "storage", "Espace de stockage"
        SERVICE = "service", "Service"
        IDENTITY = "identity", "Domaine rattaché à ProConnect"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="resources")
    kind = models.CharField(max_length=15, choices=Kind)
    key = models.CharField(max_length=253)
    desired = models.JSONField(default=dict)
    observed = models.JSONField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    # The last look did not succeed: `observed` is then only the last known value, of `observed_at`.
    unknown_since = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True, help_text="The last look, whatever it saw.")
    # What the last look found otherwise than decided (`drift.Difference`), and since when a person is needed for it.
    drift = models.JSONField(default=list, blank=True)
    alarmed_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="Deleted outside, on purpose.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "kind", "key"], name="resource_kind_key"),
            models.CheckConstraint(
                condition=models.Q(observed__isnull=True, observed_at__isnull=True)
                | models.Q(observed__isnull=False, observed_at__isnull=False),
                name="resource_observed_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class StepQuerySet(models.QuerySet["Step"]):
    """Ways to read the queue: the rows are the queue."""

    def due(self) -> "StepQuerySet":
        """Return the steps to run now: their time has come, and what is before them is finished, or a leftover.

        A mailbox or a service that needs a person does not keep the commune from all the rest.
        """
        unfinished_before = Step.objects.filter(
            deployment=models.OuterRef("deployment"),
            plan=models.OuterRef("plan"),
            position__lt=models.OuterRef("position"),
        ).exclude(models.Q(status__in=Step.FINISHED) | Step.left_over())
        # A deployment that ends builds nothing any more; what was confirmed of its end goes on.
        alive = models.Q(deployment__closure__isnull=True) | models.Q(name=Step.Name.DELETION)
        return self.filter(
            alive,
            status=Step.Status.WAITING,
            due_at__lte=timezone.now(),
            deployment__closed_at__isnull=True,
        ).exclude(models.Exists(unfinished_before))

    def to_resume(self, user: User | AnonymousUser) -> "StepQuerySet":
        """Return the blocked steps of the deployments the person sees, the longest blocked first."""
        return (
            self.filter(status=Step.Status.BLOCKED, deployment__in=Deployment.objects.visible_to(user))
            .select_related("resource", "deployment__organization", "deployment__operator")
            .order_by("due_at", "pk")
        )


class Step(models.Model):
    """One thing to ensure. Steps of equal position are independent of each other.

    `due_at` is schedule, back-off and lease in one column: a worker that takes the step moves it ahead, and if it
    dies the step comes due again. `attempt` only grows and fences out a worker that comes back late; `failures`
    counts separately, because waiting is not failing.
    """

    class Name(models.TextChoices):
        """What it ensures; the code that does it has the same name in `steps.py`."""

        REGISTRATION = "registration", "Réservation du nom"
        ZONE = "zone", "Nom de domaine"
        MAIL_DOMAIN = "mail_domain", "Messagerie du domaine"
        RECORDS = "records", "Réglages du nom de domaine"
        VERIFICATION = "verification", "Vérification des réglages"
        MAILBOX = "mailbox", "Boîte aux lettres"
        STORAGE = "storage", "Espace de stockage"
        SERVICE = "service", "Service"
        END_TO_END = "end_to_end", "Essai de bout en bout"
        WELCOME = "welcome", "Message de bienvenue"
        MAILBOX_CHANGE = "mailbox_change", "Changement de boîte"
        MAILBOX_MOVE = "mailbox_move", "Transfert des messages"
        MAILBOX_REMOVAL = "mailbox_removal", "Suppression de boîte"
        QUOTA = "quota", "Changement de quota"
        DELETION = "deletion", "Suppression à la fermeture"
        IDENTITY = "identity", "Connexion par ProConnect"

    class Status(models.TextChoices):
        """Where the step is."""

        WAITING = "waiting", "À faire"
        DONE = "done", "Fait"
        BLOCKED = "blocked", "Intervention nécessaire"
        SKIPPED = "skipped", "Passé"

    FINISHED = (Status.DONE, Status.SKIPPED)
    LEFTOVERS = (Name.MAILBOX, Name.SERVICE)
    # A mailbox that its provider makes when its holder first signs in: whoever waits for it must first be welcomed.
    HOLDERS_TURN = "first_login"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="steps")
    resource = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.PROTECT, related_name="steps")
    plan = models.PositiveIntegerField(default=0, help_text="0 builds; later ones are changes (`Change.number`).")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40, choices=Name)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    code = models.CharField(max_length=60, blank=True, help_text="Why it waits, failed or is blocked.")
    note = models.CharField(max_length=500, blank=True, help_text="The same, in French, for the people who follow it.")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = StepQuerySet.as_manager()

    # What a worker that runs the step just saw of its resource, and when: written with its end.
    seen: tuple[dict[str, Any], datetime] | None = None

    class Meta:
        ordering = ["plan", "position", "name", "resource__key"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "plan", "name", "resource"], nulls_distinct=False, name="step_once_per_resource"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["done", "skipped"], finished_at__isnull=False)
                | models.Q(status__in=["waiting", "blocked"], finished_at__isnull=True),
                name="step_finished_has_a_date",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(status="waiting"), name="step_due"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def left_over(cls) -> models.Q:
        """Return the condition of a step that somebody must see to, but that keeps nothing from going on."""
        waits = models.Q(status=cls.Status.BLOCKED) | models.Q(status=cls.Status.WAITING, code=cls.HOLDERS_TURN)
        return models.Q(waits, name__in=cls.LEFTOVERS)

    @property
    def is_left_over(self) -> bool:
        """The same, of this step."""
        blocked = self.status == self.Status.BLOCKED
        holders_turn = self.status == self.Status.WAITING and self.code == self.HOLDERS_TURN
        return self.name in self.LEFTOVERS and (blocked or holders_turn)

    @property
    def waits_for_somebody(self) -> bool:
        """Whether the last answer was « not yet »: a reason is given, and nothing failed."""
        return self.status == self.Status.WAITING and bool(self.code) and self.failures == 0


from onboarding.provisioning import (  # noqa: E402, F401 - Django looks for models here
    access_models,
    change_models,
    closure_models,
    mark_models,
    move_models,
    provider_models,
)
