"""The versions of each setting. Rows are added, never changed: a trigger of the database says so."""

from datetime import datetime
from uuid import UUID

from django.db import models
from django.utils import timezone


class SettingQuerySet(models.QuerySet["Setting"]):
    """Ways to read the versions."""

    def about(self, key: str, scope: UUID | None = None) -> "SettingQuerySet":
        """Return the versions of one setting, the latest first."""
        return self.filter(key=key, scope=scope).order_by("-version")

    def in_force(self, at: datetime) -> "SettingQuerySet":
        """Return, for each setting of the whole site, the latest version whose time has come."""
        latest = self.filter(scope__isnull=True, valid_from__lte=at).order_by("key", "-version")
        return latest.distinct("key")


class Setting(models.Model):
    """One version of a setting. `scope` is the thing it is about; None for the whole site."""

    key = models.CharField(max_length=40)
    scope = models.UUIDField(null=True)
    version = models.PositiveIntegerField()
    value = models.JSONField()
    valid_from = models.DateTimeField(default=timezone.now)
    author = models.UUIDField(null=True, help_text="The account that wrote it; null when the system did.")
    reason = models.CharField(max_length=500)
    recorded_at = models.DateTimeField(default=timezone.now)

    objects = SettingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key", "scope", "version"], nulls_distinct=False, name="setting_one_row_per_version"
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="setting_version_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.key} v{self.version}"
