"""What surrounds a request: its co-authors, what was typed and not saved, imports, reported errors, usual delays."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.accounts.models import User
from suite.directory.models import Operator


class CoAuthor(models.Model):
    """Somebody else who edits one dossier: invited by a link, or admitted after asking. It gives no other right."""

    class State(models.TextChoices):
        """What became of it."""

        INVITED = "invited", "Invitation envoyée"
        ASKED = "asked", "Demande à rejoindre"
        ACTIVE = "active", "Peut modifier"
        REFUSED = "refused", "Refusée"
        ENDED = "ended", "Terminée"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="co_authors")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="co_authored")
    email = models.EmailField(blank=True, help_text="To whom the link was sent.")
    message = models.CharField(max_length=500, blank=True, help_text="What somebody who asks says of itself.")
    digest = models.CharField(
        max_length=64, null=True, blank=True, unique=True, help_text="SHA-256 of the link's token, which is not kept."
    )
    state = models.CharField(max_length=10, choices=State)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    invited_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["dossier", "user"], condition=Q(state__in=["asked", "active"]), name="co_author_once"
            ),
            # Nobody joins by itself: whoever may edit was let in by somebody, and is somebody.
            models.CheckConstraint(
                condition=~Q(state="active") | Q(user__isnull=False, answered_by__isnull=False),
                name="co_author_was_let_in",
            ),
            models.CheckConstraint(
                condition=~Q(state="invited") | Q(digest__isnull=False, expires_at__isnull=False),
                name="co_author_invitation_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.state

    @property
    def name(self) -> str:
        """Who it is, for the people of the dossier."""
        return self.user.get_full_name() if self.user else self.email

    @property
    def expired(self) -> bool:
        """Whether the link came too late."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


class TypedForm(models.Model):
    """A form sent after the session had ended: for an hour, for the same person in the same browser."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="typed_forms")
    browser = models.CharField(max_length=64, help_text="SHA-256 of what the browser's signed cookie carries.")
    path = models.CharField(max_length=500)
    fields = models.JSONField(help_text="Lists of values by name, as they were posted.")
    had_files = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.pk)


class MailboxImport(models.Model):
    """A table of mailboxes that was read and waits for a confirmation: nothing of it is in the dossier yet."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="imports")
    version = models.PositiveIntegerField(help_text="The dossier's version when the table was read.")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    rows = models.JSONField(help_text="The lines as they were read: see `imports.Line`.")
    ignored = models.JSONField(default=list, help_text="Titles of columns that were left aside.")
    created_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.pk)


class Claim(models.Model):
    """A public fact that somebody says is wrong: kept beside the dossier, never written in the reference data."""

    class Fact(models.TextChoices):
        """Which fact."""

        NAME = "name", "Le nom de la collectivité"
        SIREN = "siren", "Le SIREN ou le SIRET"
        POPULATION = "population", "La population"
        EPCI = "epci", "L’intercommunalité"
        DEPARTMENT = "department", "Le département"
        EMAIL = "email", "L’adresse électronique déclarée"
        ADDRESS = "address", "L’adresse postale"
        OTHER = "other", "Autre chose"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="claims")
    fact = models.CharField(max_length=12, choices=Fact)
    shown = models.CharField(max_length=500, blank=True, help_text="What our data said then.")
    claimed = models.CharField(max_length=500)
    reason = models.CharField(max_length=500)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.fact


class UsualDelay(models.Model):
    """In how many working days half, and nine in ten, of comparable requests were answered. Counted each night."""

    operator = models.ForeignKey(
        Operator, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Null: all of them."
    )
    family = models.CharField(max_length=20, blank=True, help_text="A Dossier.Family; blank: all of them.")
    since = models.DateField()
    until = models.DateField()
    count = models.PositiveIntegerField()
    half = models.PositiveIntegerField(help_text="Working days, the time spent waiting for the commune taken out.")
    most = models.PositiveIntegerField(help_text="Idem, nine in ten.")
    waiting = models.PositiveIntegerField(help_text="Median of the working days spent waiting for the commune.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operator", "family"], nulls_distinct=False, name="usual_delay_once"),
        ]

    def __str__(self) -> str:
        return f"{self.half}/{self.most} (n={self.count})"
