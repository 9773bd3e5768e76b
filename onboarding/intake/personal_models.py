"""What was asked about personal data, and what was erased: kept to answer for it."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.accounts.models import User


class DossierErasure(models.Model):
    """What became of a dossier's personal content: announced, then erased. The dossier itself stays, to be counted."""

    dossier = models.OneToOneField("intake.Dossier", primary_key=True, on_delete=models.CASCADE, related_name="erasure")
    warned_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.dossier_id}"


class ErasureRequest(models.Model):
    """Somebody asks that what we hold about it be erased; a lead answers within the month (RGPD, article 12)."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting", "En attente"
        DONE = "done", "Effacé, pour ce que la loi permet"
        REFUSED = "refused", "Refusée"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="erasure_requests")
    message = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(default=timezone.now)
    due_on = models.DateField(help_text="The last day to answer.")
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answer = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(state="waiting"), name="erasure_one_waiting"),
            models.CheckConstraint(
                condition=Q(state="waiting", answered_at__isnull=True, answered_by__isnull=True)
                | Q(state__in=["done", "refused"], answered_at__isnull=False, answered_by__isnull=False),
                name="erasure_answer_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(answered_by__isnull=True) | ~Q(answered_by=models.F("user")),
                name="erasure_answered_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.asked_at:%Y-%m-%d}"
