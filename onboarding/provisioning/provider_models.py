"""What all workers know of a provider: whether it answers, and how many of us are calling it now."""

import uuid

from django.db import models
from django.utils import timezone


class Provider(models.Model):
    """One provider, and its circuit: closed (calls pass), open (none does), then one probe at a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    role = models.CharField(max_length=20, unique=True, help_text="The key of BACKENDS.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls without an answer since the last success.")
    opened_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the circuit opened.")
    note = models.CharField(max_length=500, blank=True, help_text="The same, in French, for operators.")
    trips = models.PositiveIntegerField(default=0, help_text="Probes that failed since it opened.")
    # Schedule and lease in one column, as for a step: no probe before that moment, and one that dies frees it.
    probe_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True, help_text="Some recent success, to the minute.")

    class Meta:
        ordering = ["role"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(opened_at__isnull=True, probe_at__isnull=True)
                | models.Q(opened_at__isnull=False, probe_at__isnull=False),
                name="provider_open_circuit_has_a_probe",
            ),
        ]

    def __str__(self) -> str:
        return self.role


class Slot(models.Model):
    """One of the calls that a provider bears at once; free again when its lease is over, whatever became of us."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    role = models.CharField(max_length=20)
    number = models.PositiveSmallIntegerField()
    holder = models.UUIDField(null=True, blank=True)
    until = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["role", "number"], name="slot_once_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.number}"
