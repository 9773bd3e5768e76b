"""Proof that a commune controls a domain it already has: a TXT record that only its holder can publish."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from onboarding.intake.models import Dossier
from suite.accounts.models import User


class OwnershipProof(models.Model):
    """One token for one dossier and one domain, and what the domain's own servers said of it.

    `due_at` is schedule, back-off and lease in one column, as for the steps of a deployment.
    """

    class State(models.TextChoices):
        """Where the proof is."""

        PENDING = "pending", "En attente de l’enregistrement"
        PROVED = "proved", "Détention prouvée"
        VOID = "void", "Abandonnée"

    class Outcome(models.TextChoices):
        """What one reading of all the servers gave."""

        SEEN = "seen", "L’enregistrement est publié sur tous les serveurs."
        MISSING = "missing", "L’enregistrement n’est pas encore publié."
        DISAGREE = "disagree", "Les serveurs du domaine ne disent pas tous la même chose."
        WILDCARD = "wildcard", "Le domaine répond à n’importe quel nom : l’enregistrement doit exister pour lui-même."
        UNKNOWN = "unknown", "Un serveur du domaine n’a pas répondu : nous ne savons pas encore."

    ACTIVE = (State.PENDING, State.PROVED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="ownership_proofs")
    domain = models.CharField(max_length=253)
    token = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(help_text="A token not seen by then is void.")

    due_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0, help_text="Readings without success since the last fresh start.")
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    # [{"server", "address", "outcome", "detail"}], of the last reading.
    readings = models.JSONField(default=list)

    first_seen_at = models.DateTimeField(null=True, blank=True, help_text="The first of the readings that agree.")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    proved_at = models.DateTimeField(null=True, blank=True)
    # {"MX": [...], ...}: what the domain publishes, read and never changed.
    inventory = models.JSONField(null=True, blank=True)
    inventoried_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["domain"], condition=Q(state__in=["pending", "proved"]), name="proof_one_active_per_domain"
            ),
            models.UniqueConstraint(
                fields=["dossier"], condition=Q(state__in=["pending", "proved"]), name="proof_one_active_per_dossier"
            ),
            models.CheckConstraint(
                condition=~Q(state="proved") | Q(proved_at__isnull=False, last_seen_at__isnull=False),
                name="proof_proved_was_seen",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="proof_due")]

    def __str__(self) -> str:
        return self.domain

    @property
    def host(self) -> str:
        """The name of the record to publish."""
        return f"_suite-territoriale.{self.domain}"

    @property
    def value(self) -> str:
        """The text of the record to publish."""
        return f"st-verification={self.token}"
