"""What stands of each collectivité, what changed and when, and the campaigns that look at them all."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.directory.models import Organization


class Run(models.Model):
    """One campaign over the country."""

    class Kind(models.TextChoices):
        NATIONAL = "national", "Campagne nationale"
        DAILY = "daily", "Au fil du jour"
        DEMAND = "demand", "À la demande"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    total = models.PositiveIntegerField()
    parts = models.PositiveSmallIntegerField(default=1)  # into how many shards the collectivités are cut
    ruleset = models.CharField(max_length=20)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(finished_at=None, kind="national"), name="audits_one_national_run"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d}"


class ShardQuerySet(models.QuerySet["Shard"]):
    """The shards, which are their own queue."""

    def due(self) -> "ShardQuerySet":
        """Those that somebody may take: not done, not leased."""
        return self.filter(status=Shard.Status.TODO, due_at__lte=timezone.now())


class Shard(models.Model):
    """One part of a run. `due_at` is schedule and lease in one; `attempt` fences out a worker that comes back late."""

    class Status(models.TextChoices):
        TODO = "todo", "À faire"
        DONE = "done", "Terminée"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="shards")
    number = models.PositiveSmallIntegerField()
    due_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    status = models.CharField(max_length=4, choices=Status, default=Status.TODO)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)

    objects = ShardQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="audits_shard_once"),
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="audits_shard_not_beyond"),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(status="todo"), name="audits_shard_due")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.number}"


class Examination(models.Model):
    """The latest look at a collectivité, and what stands: the shapes are those of `confirmation.py`."""

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="examination"
    )
    declaration = models.JSONField()
    facts = models.JSONField()
    verdicts = models.JSONField()
    groups = models.JSONField()
    pending = models.JSONField(default=dict)
    ruleset = models.CharField(max_length=20)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="examinations")
    checked_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.organization_id} {self.checked_at:%Y-%m-%d}"


class Change(models.Model):
    """One criterion of one collectivité that changed its state: all that history keeps."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="audit_changes")
    criterion = models.CharField(max_length=5)
    before = models.CharField(max_length=12)
    after = models.CharField(max_length=12)
    reason = models.CharField(max_length=60)
    at = models.DateTimeField()
    ruleset = models.CharField(max_length=20)

    class Meta:
        indexes = [models.Index(fields=["organization", "-at"], name="audits_change_timeline")]

    def __str__(self) -> str:
        return f"{self.criterion} {self.before} → {self.after}"


class Alert(models.Model):
    """A criterion that passed and fails now, until it passes again: its owner is told once."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="audit_alerts")
    criterion = models.CharField(max_length=5)
    opened_at = models.DateTimeField()
    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="alerts")
    notified_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "criterion"], condition=Q(closed_at=None), name="audits_one_open_alert"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.criterion}"


class Trend(models.Model):
    """How many collectivités were in each state, one day, in one département (« FR »: everywhere)."""

    day = models.DateField()
    scope = models.CharField(max_length=3)
    counts = models.JSONField()
    organizations = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "scope"], name="audits_trend_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.scope}"


class Pace(models.Model):
    """When the next question may leave: one row that all workers push forward together."""

    name = models.CharField(primary_key=True, max_length=20)
    free_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
