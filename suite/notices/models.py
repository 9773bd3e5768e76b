"""Everything sent: one row per message, queued in the transaction that caused it, and kept as the proof of sending."""

import uuid

from django.db import models
from django.utils import timezone

from suite.journal.models import Event


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Ways to read the ledger."""

    def due(self) -> "NoticeQuerySet":
        """Return what should leave now, oldest first."""
        return self.filter(state=Notice.State.QUEUED, next_at__lte=timezone.now()).order_by("next_at")


class Notice(models.Model):
    """A message, rendered when its cause happened: what was previewed is what is sent."""

    class State(models.TextChoices):
        """Where the message is."""

        QUEUED = "queued", "En attente d’envoi"
        SENT = "sent", "Envoyé"
        FAILED = "failed", "Non remis"
        BOUNCED = "bounced", "Refusé par le destinataire"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Cause + kind + recipient: a retry never doubles, a second cause always notifies.
    dedupe_key = models.CharField(max_length=500, unique=True)
    event = models.ForeignKey(Event, null=True, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=60)
    recipient = models.EmailField()
    subject = models.CharField(max_length=200)
    body_text = models.TextField(max_length=50_000)
    body_html = models.TextField(max_length=200_000, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="sent", sent_at__isnull=False) | ~models.Q(state="sent"),
                name="notice_sent_has_a_date",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="queued"), name="notice_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
