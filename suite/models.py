"""What the site remembers of itself: when each task of the schedule last ended."""

from django.db import models
from django.utils import timezone


class Heartbeat(models.Model):
    """The last time a task of `CELERY_BEAT_SCHEDULE` ended well: beat, broker and worker were all three alive."""

    task = models.CharField(primary_key=True, max_length=200)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.task
