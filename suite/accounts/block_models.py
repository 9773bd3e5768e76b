"""An account shut, and opened again: never for life, never by one person alone."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class AccountBlock(models.Model):
    """One proposal to shut an account, or to open it again; a second person decides."""

    class Kind(models.TextChoices):
        """Which way."""

        BLOCK = "block", "Désactiver le compte"
        UNBLOCK = "unblock", "Réactiver le compte"

    class State(models.TextChoices):
        """What became of it."""

        ASKED = "asked", "À confirmer par une seconde personne"
        DONE = "done", "Fait"
        REFUSED = "refused", "Refusé"
        LAPSED = "lapsed", "Caduc"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="blocks")
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    reason = models.CharField(max_length=300, help_text="Sent to the person as it is.")
    asked_by = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(state="asked"), name="account_block_one_open"),
            models.CheckConstraint(
                condition=~Q(state="done") | (Q(decided_by__isnull=False) & ~Q(decided_by=F("asked_by"))),
                name="account_block_four_eyes",
            ),
            models.CheckConstraint(
                condition=~Q(asked_by=F("user")) & (Q(decided_by__isnull=True) | ~Q(decided_by=F("user"))),
                name="account_block_not_by_oneself",
            ),
            models.CheckConstraint(
                condition=Q(state="asked", decided_at__isnull=True) | ~Q(state="asked") & Q(decided_at__isnull=False),
                name="account_block_decision_is_dated",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
