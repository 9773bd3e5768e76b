"""What was approved gets built: a deployment, the things it must bring about, and the steps that do it."""

import uuid

from django.db import models
from django.utils import timezone

from suite.directory.models import Operator, Organization


class Deployment(models.Model):
    """The building of one organization's suite. Its status is derived from its steps, never stored."""

    class ZoneKind(models.TextChoices):
        """Whose zone the domain is."""

        SHARED = "shared", "Nom sous collectivite.fr"
        REGISTERED = "registered", "Nouveau nom, réservé par nous"
        EXTERNAL = "external", "Domaine existant, dont la commune publie les enregistrements"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="deployments")
    operator = models.ForeignKey(Operator, on_delete=models.PROTECT, related_name="deployments")
    domain = models.CharField(max_length=253)
    zone_kind = models.CharField(max_length=10, choices=ZoneKind)
    welcome_email = models.EmailField(help_text="Who is told when it is ready; outside the new domain.")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

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


class Resource(models.Model):
    """One thing that must exist: what is wanted, and what was last seen, when. An inventory, without a workflow."""

    class Kind(models.TextChoices):
        """What it is."""

        ZONE = "zone", "Zone DNS"
        MAIL_DOMAIN = "mail_domain", "Domaine de messagerie"
        MAILBOX = "mailbox", "Boîte aux lettres"
        STORAGE = "storage", "Espace de stockage"
        SERVICE = "service", "Service"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="resources")
    kind = models.CharField(max_length=15, choices=Kind)
    key = models.CharField(max_length=253)
    desired = models.JSONField(default=dict)
    observed = models.JSONField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)

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
        """Return the steps to run now: their time has come and nothing before them is unfinished."""
        unfinished_before = Step.objects.filter(
            deployment=models.OuterRef("deployment"),
            position__lt=models.OuterRef("position"),
        ).exclude(status__in=Step.FINISHED)
        return self.filter(status=Step.Status.WAITING, due_at__lte=timezone.now()).exclude(
            models.Exists(unfinished_before)
        )


class Step(models.Model):
    """One thing to ensure. Steps of equal position are independent of each other.

    `due_at` is schedule, back-off and lease in one column: a worker that takes the step moves it ahead, and if it
    dies the step comes due again. `attempt` only grows and fences out a worker that comes back late; `failures`
    counts separately, because waiting is not failing.
    """

    class Status(models.TextChoices):
        """Where the step is."""

        WAITING = "waiting", "À faire"
        DONE = "done", "Fait"
        BLOCKED = "blocked", "Intervention nécessaire"
        SKIPPED = "skipped", "Passé"

    FINISHED = (Status.DONE, Status.SKIPPED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="steps")
    resource = models.ForeignKey(Resource, null=True, blank=True, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    code = models.CharField(max_length=60, blank=True, help_text="Why it waits, failed or is blocked.")
    note = models.CharField(max_length=500, blank=True, help_text="The same, in French, for the people who follow it.")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name", "resource__key"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "name", "resource"], nulls_distinct=False, name="step_once_per_resource"
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
