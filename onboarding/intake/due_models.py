"""The ledger of what had to happen at a date: once in it, it does not happen again."""

from django.db import models
from django.utils import timezone

from suite.notices.models import Notice


class DueItem(models.Model):
    """A stage of a window of one dossier, for one date. `due_at` is when it was due, `done_at` when it was settled."""

    class Outcome(models.TextChoices):
        """How it was settled."""

        DONE = "done", "Fait"
        SKIPPED = "skipped", "Dépassé par une étape plus récente"

    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="due_items")
    kind = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    done_at = models.DateTimeField(default=timezone.now)
    # A warning: its message, and the date it announced.
    notice = models.ForeignKey(Notice, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    announced_for = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dossier", "kind", "due_at"], name="due_item_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.due_at:%Y-%m-%d}"
