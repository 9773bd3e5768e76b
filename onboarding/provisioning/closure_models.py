"""The plan by which a deployment ends: a list of deletions, none of which happens by itself."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.accounts.models import User


class Closure(models.Model):
    """The end of one deployment, opened when its approval is revoked. Building stops; nothing is deleted."""

    class Cause(models.TextChoices):
        """Why it ends."""

        REVOKED = "revoked", "Acceptation annulée"
        LEAVING = "leaving", "Départ de la collectivité"
        MERGED = "merged", "Collectivité réunie à une autre"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.OneToOneField("provisioning.Deployment", on_delete=models.PROTECT, related_name="closure")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    cause = models.CharField(max_length=10, choices=Cause, default=Cause.REVOKED)
    # Nothing is deleted before a copy was made, unless somebody answers for doing without.
    waived_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    waived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(waived_by__isnull=True, waived_at__isnull=True)
                | Q(waived_by__isnull=False, waived_at__isnull=False),
                name="closure_waiver_is_signed",
            ),
        ]

    def __str__(self) -> str:
        return f"closure of {self.deployment_id}"


class ClosureStep(models.Model):
    """The deletion of one resource. It may begin only once two people asked for this one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    closure = models.ForeignKey(Closure, on_delete=models.PROTECT, related_name="steps")
    resource = models.ForeignKey("provisioning.Resource", on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()
    proposed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["closure", "resource"], name="closure_step_once_per_resource"),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True, confirmed_at__isnull=True)
                | (
                    Q(confirmed_by__isnull=False, confirmed_at__isnull=False, proposed_by__isnull=False)
                    & ~Q(confirmed_by=F("proposed_by"))
                ),
                name="closure_step_confirmed_by_another",
            ),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(confirmed_at__isnull=False),
                name="closure_step_done_only_if_confirmed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.resource_id}"
