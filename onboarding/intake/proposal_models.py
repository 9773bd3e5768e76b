"""What one person proposes and another confirms: a sensitive approval, or the end of one."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.accounts.models import User


class Proposal(models.Model):
    """An act that takes two people, as the first of them left it. It lapses when the dossier changes."""

    class Kind(models.TextChoices):
        """What is proposed."""

        APPROVAL = "approval", "Accepter la demande"
        REVOCATION = "revocation", "Annuler l’acceptation"

    class Outcome(models.TextChoices):
        """What became of it."""

        CONFIRMED = "confirmed", "Confirmée"
        ENDED = "ended", "Écartée par une autre décision"
        LAPSED = "lapsed", "Devenue caduque"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="proposals")
    kind = models.CharField(max_length=10, choices=Kind)
    proposer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(help_text="The dossier's, once proposed: another one makes it lapse.")
    rank = models.PositiveSmallIntegerField(default=0, help_text="Of the name to give.")
    check_made = models.CharField(max_length=1000, blank=True, help_text="What the proposer verified itself.")
    reason = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)
    lapses_at = models.DateTimeField(help_text="Five working days later, in the commune's calendar.")
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    confirmed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dossier"], condition=Q(closed_at__isnull=True), name="proposal_one_open_per_dossier"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("proposer")), name="proposal_two_people"
            ),
            models.CheckConstraint(
                condition=Q(outcome="confirmed", confirmed_by__isnull=False, closed_at__isnull=False)
                | Q(outcome__in=["ended", "lapsed"], confirmed_by__isnull=True, closed_at__isnull=False)
                | Q(outcome="", confirmed_by__isnull=True, closed_at__isnull=True),
                name="proposal_outcome_is_signed",
            ),
        ]
        indexes = [models.Index(fields=["lapses_at"], condition=Q(closed_at__isnull=True), name="proposal_open")]

    def __str__(self) -> str:
        return f"{self.kind} {self.dossier_id}"
