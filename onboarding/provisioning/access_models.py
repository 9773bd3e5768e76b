"""The link by which a person enters its mailbox for the first time (services.md, 6.5)."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.accounts.models import User


class CredentialLink(models.Model):
    """One link: a token of 256 bits, of which only the digest is kept, for one mailbox, to be used once.

    Once claimed, a worker asks the provider for the way in and seals it with `box_key`, whose other half is drawn from
    the token: nobody can read it from these rows. `due_at` is when a worker may ask: schedule and lease in one column.
    """

    class State(models.TextChoices):
        """Where it is; an open link that is past its date is worth nothing."""

        OPEN = "open", "À utiliser"
        CLAIMED = "claimed", "En cours"
        READY = "ready", "Prêt à lire"
        USED = "used", "Utilisé"
        CANCELLED = "cancelled", "Annulé"

    class Channel(models.TextChoices):
        """How it reached its reader."""

        MAIL = "mail", "Courriel"
        PAPER = "paper", "Papier"

    LIVE = (State.OPEN, State.CLAIMED, State.READY)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    resource = models.ForeignKey("provisioning.Resource", on_delete=models.PROTECT, related_name="access_links")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token, in hexadecimal.")
    channel = models.CharField(max_length=5, choices=Channel)
    first = models.BooleanField(default=False, help_text="Sent by itself when the mailbox was made.")
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    issued_at = models.DateTimeField(default=timezone.now)
    issued_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    box_key = models.BinaryField(null=True, blank=True)
    sealed = models.BinaryField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    access_until = models.DateTimeField(null=True, blank=True, help_text="Until when the way in leads in, if it ends.")
    ended_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the last try did not succeed.")

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(state__in=["open", "claimed", "ready"]),
                name="credential_link_one_live_per_mailbox",
            ),
            models.UniqueConstraint(
                fields=["resource"], condition=Q(first=True), name="credential_link_first_once_per_mailbox"
            ),
            models.CheckConstraint(
                condition=Q(state="ready", sealed__isnull=False, ready_at__isnull=False)
                | (~Q(state="ready") & Q(sealed__isnull=True)),
                name="credential_link_sealed_only_until_read",
            ),
            models.CheckConstraint(
                condition=Q(state="claimed", box_key__isnull=False, due_at__isnull=False, claimed_at__isnull=False)
                | ~Q(state="claimed"),
                name="credential_link_claimed_has_a_box",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["used", "cancelled"], ended_at__isnull=False)
                | (~Q(state__in=["used", "cancelled"]) & Q(ended_at__isnull=True)),
                name="credential_link_ended_has_a_date",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="claimed"), name="credential_link_due"),
            models.Index(fields=["ready_at"], condition=Q(state="ready"), name="credential_link_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()
