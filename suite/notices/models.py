"""Everything sent: one row per message, queued in the transaction that caused it, and kept as the proof of sending."""

import uuid

from django.db import models
from django.utils import timezone

from suite.journal.models import Event

# Django finds an app's tables here; what comes in fills a module of its own.
from suite.notices.inbound_models import Inbound  # noqa: F401


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Ways to read the ledger."""

    def due(self) -> "NoticeQuerySet":
        """Return what should leave now, oldest first."""
        return self.filter(
            state=Notice.State.QUEUED, channel=Notice.Channel.MAIL, next_at__lte=timezone.now()
        ).order_by("next_at")

    def waiting_for_a_digest(self) -> "NoticeQuerySet":
        """Return what its reader asked to have once a day, and has not had."""
        return self.filter(state=Notice.State.QUEUED, channel=Notice.Channel.DIGEST)


class Notice(models.Model):
    """A message, rendered when its cause happened: what was previewed is what is sent."""

    class State(models.TextChoices):
        """Where the message is."""

        QUEUED = "queued", "En attente d’envoi"
        SENT = "sent", "Envoyé"
        FAILED = "failed", "Non remis"
        BOUNCED = "bounced", "Revenu sans avoir été remis"
        GATHERED = "gathered", "Repris dans un récapitulatif"
        WITHHELD = "withheld", "Retenu : ce site n’est pas en production"
        UNADDRESSED = "nobody", "Sans adresse"

    class Channel(models.TextChoices):
        """How it reaches its reader."""

        MAIL = "mail", "Courriel"
        DIGEST = "digest", "Récapitulatif quotidien"

    # What the reader does not have, and somebody must know of.
    UNDELIVERED = (State.FAILED, State.BOUNCED, State.UNADDRESSED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Cause + kind + recipient: a retry never doubles, a second cause always notifies.
    dedupe_key = models.CharField(max_length=500, unique=True)
    event = models.ForeignKey(Event, null=True, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=60)
    recipient = models.EmailField(blank=True, help_text="Blank when there was nobody to write to: nothing was sent.")
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.MAIL)
    # Which templates made it, and what came out: two digests, that outlive the text itself.
    template_version = models.CharField(max_length=12, blank=True)
    rendered_hash = models.CharField(max_length=64, blank=True)
    # The page that the message leads to; for a digest, the one where its reader says how often it comes.
    url = models.CharField(max_length=500, blank=True)
    answers_until = models.DateField(null=True, blank=True, help_text="An answer by mail is taken until then.")
    gathered_in = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="gathered", help_text="The digest."
    )
    subject = models.CharField(max_length=200)
    body_text = models.TextField(max_length=50_000)
    body_html = models.TextField(max_length=200_000, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    tried_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last took it, for the rate.")
    sent_at = models.DateTimeField(null=True, blank=True)
    bounced_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="sent", sent_at__isnull=False) | ~models.Q(state="sent"),
                name="notice_sent_has_a_date",
            ),
            models.CheckConstraint(
                condition=~models.Q(recipient="")
                | models.Q(state="nobody")
                | models.Q(dedupe_key__startswith="erased:"),
                name="notice_has_an_address",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="bounced") | models.Q(bounced_at__isnull=False),
                name="notice_bounced_has_a_date",
            ),
        ]
        indexes = [
            models.Index(
                fields=["recipient", "created_at"],
                condition=models.Q(state="queued", channel="digest"),
                name="notice_for_a_digest",
            ),
            models.Index(fields=["tried_at"], condition=models.Q(tried_at__isnull=False), name="notice_tried"),
            models.Index(fields=["next_at"], condition=models.Q(state="queued"), name="notice_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
