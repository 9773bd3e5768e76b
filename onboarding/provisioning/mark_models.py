"""Who made what at a mail provider on which nothing can be written: our own marks, beside its lists."""

from django.db import models
from django.utils import timezone


class MailMark(models.Model):
    """One domain, or one address of it, that we asked a provider for; written before the asking.

    So what is found there without a mark was not made by us, even when the answer to our asking was lost.
    """

    provider = models.CharField(max_length=20)
    domain = models.CharField(max_length=253)
    # Of the local part, because an address names a person; empty: the domain itself.
    digest = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=10, blank=True, help_text="Of a mailbox: providers do not all keep it.")
    owner = models.CharField(max_length=100)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "domain", "digest"], name="mailmark_one_each")]

    def __str__(self) -> str:
        return f"{self.provider}: {self.domain}"
