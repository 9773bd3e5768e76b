"""The services of the ecosystem, who subscribes to them, with what quota, and how much they are used."""

from django.db import models
from django.utils import timezone

from suite.directory.models import Operator, Organization

GB = 1_000_000_000


class Service(models.Model):
    """A service. The id is the public one of the ANCT's services file; ours start at 1000."""

    id = models.PositiveIntegerField(primary_key=True)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200)
    url = models.URLField(blank=True)
    base = models.BooleanField(default=False, help_text="Part of the « socle ».")
    # The programme's population threshold limits only some of the services the ANCT serves.
    threshold = models.BooleanField(default=False)
    requires = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="required_by")
    default_quota = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Bytes; null when it stores nothing."
    )
    offered = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The activation of one service for one organization by one operator, with its storage quota."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="subscriptions")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="subscriptions")
    operator = models.ForeignKey(Operator, on_delete=models.PROTECT, related_name="subscriptions")
    active = models.BooleanField(default=True)
    quota = models.PositiveBigIntegerField(null=True, blank=True, help_text="Bytes; null when it stores nothing.")
    unlimited = models.BooleanField(default=False)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "service"], name="subscription_one_per_service"),
            # « Illimité » is said, never a number.
            models.CheckConstraint(
                condition=models.Q(unlimited=False) | models.Q(quota__isnull=True),
                name="subscription_unlimited_no_quota",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service_id} {'active' if self.active else 'inactive'}"


class UsageSample(models.Model):
    """How many people of an organization used a service in the week that starts on `week` (a Monday)."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    week = models.DateField()
    weekly_users = models.PositiveIntegerField()
    demonstration = models.BooleanField(default=False, help_text="Invented for the demonstration, and shown so.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "organization", "week"], name="usage_one_sample_per_week"),
            models.CheckConstraint(condition=models.Q(week__iso_week_day=1), name="usage_week_starts_on_monday"),
        ]
        indexes = [models.Index(fields=["week", "service"], name="usage_week_service")]

    def __str__(self) -> str:
        return f"{self.week} {self.weekly_users}"
