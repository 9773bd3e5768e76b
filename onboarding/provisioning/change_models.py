"""What happens to a suite in service: later plans on the same queue, allocations asked for, and copies taken away."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.accounts.models import User


class Change(models.Model):
    """One later plan: what somebody asked for. Its steps bear its number; whether it is done is read from them."""

    class Kind(models.TextChoices):
        """What was asked."""

        ADD = "add", "Ajout de boîtes"
        RENAME = "rename", "Changement d’adresse"
        DISPLAY_NAME = "display_name", "Changement de nom affiché"
        DISABLE = "disable", "Fermeture d’une boîte"
        ENABLE = "enable", "Réouverture d’une boîte"
        TARGETS = "targets", "Changement de destinataires"
        MAILBOX_QUOTA = "mailbox_quota", "Quota d’une boîte"
        REMOVE = "remove", "Suppression d’une boîte"
        KEEP = "keep", "Suppression annulée"
        MAIL_QUOTA = "mail_quota", "Espace de la messagerie"
        STORAGE_QUOTA = "storage_quota", "Espace de stockage"
        DELETION = "deletion", "Fermeture du service"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey("provisioning.Deployment", on_delete=models.PROTECT, related_name="changes")
    number = models.PositiveIntegerField(help_text="Of the plan; the first building is 0.")
    kind = models.CharField(max_length=20, choices=Kind)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="change_one_per_number"),
            models.CheckConstraint(condition=Q(number__gt=0), name="change_comes_after_the_building"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class MoreRequest(models.Model):
    """A manager asks for more than the allocation; the operator decides. What was granted is the entitlement."""

    class What(models.TextChoices):
        """Of what."""

        MAILBOXES = "mailboxes", "Boîtes aux lettres"
        MAIL = "mail", "Espace de la messagerie"
        STORAGE = "storage", "Espace de stockage"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey("provisioning.Deployment", on_delete=models.PROTECT, related_name="more_requests")
    what = models.CharField(max_length=10, choices=What)
    wanted = models.PositiveBigIntegerField(help_text="In all: a number of mailboxes, or bytes.")
    reason = models.CharField(max_length=500)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    granted = models.BooleanField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "what"], condition=Q(granted__isnull=True), name="more_request_one_open"
            ),
            models.CheckConstraint(
                condition=Q(granted__isnull=True, decided_by__isnull=True, decided_at__isnull=True)
                | Q(granted__isnull=False, decided_by__isnull=False, decided_at__isnull=False),
                name="more_request_decision_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("asked_by")),
                name="more_request_decided_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.wanted}"


class Export(models.Model):
    """A copy of everything, made by a worker part after part. `due_at` is schedule and lease, as for a step."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey("provisioning.Deployment", on_delete=models.PROTECT, related_name="exports")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True, help_text="Why it waits or was given up, in French.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the archive.")
    sha256 = models.CharField(max_length=64, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment"],
                condition=Q(ready_at__isnull=True, given_up_at__isnull=True),
                name="export_one_under_way",
            ),
            models.CheckConstraint(
                condition=Q(ready_at__isnull=True, expires_at__isnull=True)
                | Q(ready_at__isnull=False, expires_at__isnull=False),
                name="export_ready_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return f"export of {self.deployment_id}"

    @property
    def available(self) -> bool:
        """Whether its file may be downloaded now."""
        return self.expires_at is not None and self.deleted_at is None and self.expires_at > timezone.now()

    @property
    def under_way(self) -> bool:
        """Whether a worker is, or will be, at it."""
        return self.ready_at is None and self.given_up_at is None


class ExportPart(models.Model):
    """One part of a copy. Once done it is never made again; `size` is where the archive then ended, in bytes."""

    class Kind(models.TextChoices):
        """What it copies."""

        DOSSIER = "dossier", "Dossier et réglages"
        ZONE = "zone", "Zone DNS"
        MAILBOX = "mailbox", "Boîte aux lettres"
        FILES = "files", "Fichiers"

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    resource = models.ForeignKey(
        "provisioning.Resource", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    items = models.PositiveIntegerField(default=0, help_text="Messages or files.")
    size = models.PositiveBigIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True, help_text="What could not be copied, in French.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["export", "position"], name="export_part_position")]

    def __str__(self) -> str:
        return f"{self.position} {self.kind}"
