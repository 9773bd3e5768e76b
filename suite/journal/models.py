"""Who did what, when. Rows are added, never changed: a trigger of the database says so."""

import uuid

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone


class EventQuerySet(models.QuerySet["Event"]):
    """Ways to read the journal."""

    def about(self, stream: str, subject: uuid.UUID) -> "EventQuerySet":
        """Return the events of one thing, oldest first, with their texts."""
        return self.filter(stream=stream, subject=subject).select_related("text").order_by("seq")


class Event(models.Model):
    """One fact. `seq` numbers the events of one (stream, subject); `hash` chains each to the one before it."""

    stream = models.CharField(max_length=40)
    subject = models.UUIDField()
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=60)
    actor = models.UUIDField(null=True, help_text="The account that acted; null when the system did.")
    payload = models.JSONField(default=dict)
    request_id = models.CharField(max_length=40, default="-")
    effective_at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now)
    prev_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "subject", "seq"], name="journal_one_event_per_seq"),
        ]
        indexes = [
            BrinIndex(fields=["recorded_at"], name="journal_recorded_at"),
            # The few events that a list is narrowed by, of the many there are.
            models.Index(
                fields=["subject"],
                condition=models.Q(stream="dossier", kind="reject"),
                name="journal_dossier_rejected",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.subject} #{self.seq} {self.kind}"


class EventText(models.Model):
    """What in an event names or quotes a person: erasable without breaking the chain of hashes."""

    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="text")
    actor_label = models.CharField(max_length=200, blank=True)
    comment = models.TextField(blank=True, max_length=5000)

    def __str__(self) -> str:
        return self.actor_label
