"""What is known of names outside our tables, and what is said to a commune about its own."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from onboarding.intake.models import Dossier
from suite.accounts.models import User


class NameLookup(models.Model):
    """What the DNS and the registry said of one name, the last time; the row is also the queue and the cache.

    One row per normalised name: however many people ask at once, one worker looks. `due_at` is schedule and lease in
    one column; `attempt` only grows and fences out a worker that comes back late.
    """

    class Code(models.TextChoices):
        """What the outside world says."""

        FREE = "free", "Libre"
        TAKEN = "taken", "Déjà enregistré"
        UNKNOWN = "unknown", "Inconnu"

    fqdn = models.CharField(primary_key=True, max_length=253)
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=10, choices=Code, blank=True)
    # {"ns": {...}, "soa": {...}, "rdap": {...}}: what each answered, bounded.
    evidence = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(code="", checked_at__isnull=True) | (~Q(code="") & Q(checked_at__isnull=False)),
                name="name_lookup_answer_has_a_date",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="name_lookup_due")]

    def __str__(self) -> str:
        return self.fqdn


class LostName(models.Model):
    """A name that a dossier wished and that another one was given: told once, with what was left to choose."""

    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="lost_names")
    fqdn = models.CharField(max_length=253)
    # [{"fqdn", "code", "note"}]: the alternatives as they stood when the commune was told.
    alternatives = models.JSONField(default=list)
    told_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dossier", "fqdn"], name="lost_name_told_once")]

    def __str__(self) -> str:
        return self.fqdn


class NameQuestion(models.Model):
    """An operator asks the commune whether it takes one of its alternatives; one click answers."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="name_questions")
    fqdn = models.CharField(max_length=253)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    accepted = models.BooleanField(null=True, blank=True, help_text="None until the commune answers.")
    answered_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["dossier", "fqdn"], condition=Q(accepted__isnull=True), name="name_question_one_open"
            ),
            models.CheckConstraint(
                condition=Q(accepted__isnull=True, answered_by__isnull=True, answered_at__isnull=True)
                | Q(accepted__isnull=False, answered_by__isnull=False, answered_at__isnull=False),
                name="name_question_answer_is_signed",
            ),
        ]

    def __str__(self) -> str:
        return self.fqdn
