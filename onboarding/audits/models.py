"""What was seen of a domain, and what we concluded: both are stored, so that a new rule replays on old facts."""

import uuid

from django.db import models
from django.utils import timezone

from suite.directory.models import Organization


class Audit(models.Model):
    """One look at one domain. `facts` and `findings` have the shapes given in `facts.py` and `rules.py`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="audits")
    domain = models.CharField(max_length=253)
    ruleset = models.CharField(max_length=20)
    facts = models.JSONField()
    findings = models.JSONField()
    checked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        get_latest_by = "checked_at"
        indexes = [models.Index(fields=["organization", "-checked_at"], name="audit_latest")]

    def __str__(self) -> str:
        return f"{self.domain} {self.ruleset}"


from onboarding.audits.results_models import (  # noqa: E402, F401 - Django looks for models here
    Alert,
    Change,
    Examination,
    Pace,
    Run,
    Shard,
    Trend,
)
