"""What the two sides write to each other about a dossier, and what the operators note among themselves."""

import datetime as dt
import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

EDITABLE = dt.timedelta(minutes=15)
LONGEST = 5000


class MessageQuerySet(models.QuerySet["Message"]):
    """Ways to read a thread: a note never leaves the operators."""

    def of_the_commune(self) -> "MessageQuerySet":
        """Return what both sides read."""
        return self.filter(kind=Message.Kind.MESSAGE)


class Message(models.Model):
    """One message, or one internal note. Its text may be mended for fifteen minutes; what it was is kept."""

    class Kind(models.TextChoices):
        """Who reads it."""

        MESSAGE = "message", "Message"
        NOTE = "note", "Note interne"

    class Side(models.TextChoices):
        """Who wrote it."""

        COMMUNE = "commune", "Collectivité"
        OPERATOR = "operator", "Opérateur"

    # Chosen by the form that was shown: the same form sent twice is the same message.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind)
    side = models.CharField(max_length=10, choices=Side)
    author = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    author_label = models.CharField(max_length=254)
    body = models.TextField(max_length=LONGEST)
    # What came by mail, before what it quoted was cut.
    original = models.TextField(max_length=50_000, blank=True)
    # The message taken in, and the name its program gave it: handed over twice, it is one message.
    inbound = models.UUIDField(null=True, blank=True, unique=True)
    mail_id = models.CharField(max_length=300, blank=True)
    event = models.ForeignKey(
        "journal.Event", null=True, on_delete=models.PROTECT, related_name="+", help_text="The cause of its notices."
    )
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(kind="message") | Q(side="operator"), name="message_note_is_operators"),
            models.CheckConstraint(condition=~Q(body=""), name="message_says_something"),
            models.UniqueConstraint(
                fields=["dossier", "mail_id"], condition=~Q(mail_id=""), name="message_mail_taken_once"
            ),
        ]
        indexes = [models.Index(fields=["dossier", "created_at"], name="message_thread")]

    def __str__(self) -> str:
        return f"{self.kind} {self.side} {self.created_at:%Y-%m-%d}"

    @property
    def editable_until(self) -> dt.datetime:
        """When its text is settled."""
        return self.created_at + EDITABLE

    @property
    def is_editable(self) -> bool:
        """Whether its author may still mend it; what came by mail is as it came."""
        return self.inbound is None and timezone.now() < self.editable_until


class MessageVersion(models.Model):
    """What a message said before it was mended."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="versions")
    body = models.TextField(max_length=LONGEST)
    replaced_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["replaced_at"]

    def __str__(self) -> str:
        return f"{self.message_id} {self.replaced_at:%H:%M}"


class Attachment(models.Model):
    """A file beside a message: outside the web root under a random name, drawn anew when it is an image."""

    class Kind(models.TextChoices):
        """What the content is, whatever its name says."""

        PDF = "pdf", "PDF"
        JPEG = "jpeg", "JPEG"
        PNG = "png", "PNG"

    class State(models.TextChoices):
        """Whether it may be taken out."""

        WAITING = "waiting", "En cours d’examen"
        READY = "ready", "Disponible"
        REFUSED = "refused", "Écarté"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=100, help_text="As its sender calls it.")
    kind = models.CharField(max_length=4, choices=Kind, blank=True, help_text="Blank when it was not kept.")
    state = models.CharField(max_length=10, choices=State, default=State.READY)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was put aside.")
    stored_name = models.CharField(max_length=80, blank=True, help_text="Blank when there is no file.")
    size = models.PositiveIntegerField(help_text="In bytes, as handed in.")
    sha256 = models.CharField(max_length=64, help_text="Of the file as it was handed in.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="refused", stored_name="") | (~Q(state="refused") & ~Q(stored_name="")),
                name="attachment_refused_has_no_file",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(state="waiting"), name="attachment_waiting")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"


class Mention(models.Model):
    """Somebody named in a note, and told of it."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="mentions")
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "user"], name="mention_once")]

    def __str__(self) -> str:
        return f"{self.message_id} {self.user_id}"


class Reading(models.Model):
    """Up to when somebody has read a thread: said by a button, never by looking."""

    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dossier", "user"], name="reading_once")]

    def __str__(self) -> str:
        return f"{self.dossier_id} {self.read_at:%Y-%m-%d}"


class Rhythm(models.Model):
    """How often somebody wants what can wait; no row means at once."""

    user = models.OneToOneField("accounts.User", primary_key=True, on_delete=models.CASCADE, related_name="rhythm")
    daily = models.BooleanField(default=False)
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return "daily" if self.daily else "at once"
