"""What a commune does when its mayor changes: who goes, who follows, and what passes from one to the other."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from onboarding.provisioning.models import Resource
from suite.accounts.models import User
from suite.directory.models import Organization


class Handover(models.Model):
    """One handover of one organization. What it needs done is done elsewhere, by people; here one sees what is left."""

    class Outcome(models.TextChoices):
        """What became of the municipal team."""

        SAME = "same", "Le maire ou la maire est reconduit"
        CHANGED = "changed", "Le maire ou la maire a changé"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="handovers")
    since = models.DateField(help_text="The election, or the day the mayor changed.")
    outcome = models.CharField(max_length=10, choices=Outcome)
    opened_at = models.DateTimeField(default=timezone.now)
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=Q(closed_at__isnull=True), name="handover_one_open"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, closed_by__isnull=True)
                | Q(closed_at__isnull=False, closed_by__isnull=False),
                name="handover_closed_is_signed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.since}"


class HandoverCheck(models.Model):
    """Somebody says that one thing was looked at. What can be read from the data is read, not ticked."""

    class Item(models.TextChoices):
        """What only a person can say."""

        ACCESS = "access", "Les accès de chaque personne de l’équipe sont relus"
        RECOVERY = "recovery", "Les adresses de secours des boîtes d’administration sont relues"
        MAILBOXES = "mailboxes", "Les boîtes des élus qui partent sont désignées, ou il n’y en a pas"

    handover = models.ForeignKey(Handover, on_delete=models.CASCADE, related_name="checks")
    item = models.CharField(max_length=12, choices=Item)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["handover", "item"], name="handover_check_once")]

    def __str__(self) -> str:
        return self.item


class DepartingMailbox(models.Model):
    """A mailbox whose holder leaves: listed for whoever disables it, which is another act."""

    handover = models.ForeignKey(Handover, on_delete=models.CASCADE, related_name="mailboxes")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "departing mailboxes"
        constraints = [models.UniqueConstraint(fields=["handover", "resource"], name="departing_mailbox_once")]

    def __str__(self) -> str:
        return f"{self.resource_id}"
