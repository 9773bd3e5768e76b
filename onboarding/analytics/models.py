"""Groups of collectivités watched over time. Everything else this part shows, it reads elsewhere."""

import uuid

from django.db import models
from django.utils import timezone

from suite.accounts.rights import OperatorScope
from suite.directory.models import Organization


class PilotGroup(models.Model):
    """A named group of collectivités whose use is followed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "slug"]

    def __str__(self) -> str:
        return self.name


class PilotMemberQuerySet(models.QuerySet["PilotMember"]):
    """Ways to read who is in a group."""

    def visible_to(self, scope: OperatorScope) -> "PilotMemberQuerySet":
        """Keep the collectivités of the départements that an operator's staff serves; the ANCT's sees all."""
        if scope.national:
            return self
        return self.filter(organization__department__in=scope.departments)


class PilotMember(models.Model):
    """A collectivité in a group, from a day on."""

    group = models.ForeignKey(PilotGroup, on_delete=models.PROTECT, related_name="members")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="pilot_places")
    since = models.DateField()

    objects = PilotMemberQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "organization"], name="pilot_member_once_per_group"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.since}"


from onboarding.analytics import figure_models  # noqa: E402, F401 - Django looks for an app's models here
