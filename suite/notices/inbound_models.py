"""What comes back by mail: one row per message taken in, sealed, and kept no longer than its handling needs."""

import uuid

from django.db import models
from django.utils import timezone


class InboundQuerySet(models.QuerySet["Inbound"]):
    """Ways to read what came in."""

    def due(self) -> "InboundQuerySet":
        """Return what is to be sorted now, oldest first."""
        return self.filter(state=Inbound.State.RECEIVED, next_at__lte=timezone.now()).order_by("received_at")

    def answers(self) -> "InboundQuerySet":
        """Return the answers that wait for the part of the site whose notice they answer."""
        return self.filter(state=Inbound.State.ANSWER, next_at__lte=timezone.now()).order_by("received_at")


class Inbound(models.Model):
    """A message that came to a signed address of ours. The row is the queue: 250 was answered once it was written."""

    class Kind(models.TextChoices):
        """Which of a notice's two addresses it was sent to."""

        BOUNCE = "bounce", "Retour"
        ANSWER = "answer", "Réponse"

    class State(models.TextChoices):
        """Where its handling is."""

        RECEIVED = "received", "Reçu"
        ANSWER = "answer", "Réponse à ranger"
        DONE = "done", "Traité"
        IGNORED = "ignored", "Ignoré"
        REFUSED = "refused", "Écarté"

    OVER = (State.DONE, State.IGNORED, State.REFUSED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Of the address and the bytes: a message handed over again after a cut is the same message.
    digest = models.CharField(max_length=64, unique=True)
    notice = models.ForeignKey("notices.Notice", on_delete=models.CASCADE, related_name="inbound")
    kind = models.CharField(max_length=10, choices=Kind)
    sender = models.CharField(max_length=320, blank=True, help_text="Of the envelope; blank for the null one.")
    # Compressed, then sealed under a key of the site; empty once it is no longer needed.
    sealed = models.BinaryField(max_length=20_000_000)
    size = models.PositiveIntegerField(help_text="In bytes, as received.")
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was ignored, refused or kept waiting.")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True, blank=True)

    objects = InboundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["received", "answer"], handled_at__isnull=True)
                | models.Q(state__in=["done", "ignored", "refused"], handled_at__isnull=False),
                name="inbound_over_has_a_date",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "received_at"],
                condition=models.Q(state__in=["received", "answer"]),
                name="inbound_waiting",
            ),
            models.Index(fields=["received_at"], name="inbound_received"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
