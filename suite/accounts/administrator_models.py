"""What is asked about those who manage a collectivité: the gravest of its rights, changed slowly and by two people."""

import datetime as dt
import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.directory.models import Organization

DELAY = dt.timedelta(hours=48)


class AdministratorChange(models.Model):
    """One change asked for: confirmed by a second person, it is done 48 hours later unless somebody objects."""

    class Kind(models.TextChoices):
        """What is changed."""

        GIVE = "give", "Nommer un gestionnaire"
        REMOVE = "remove", "Retirer à quelqu’un le rôle de gestionnaire"
        RECOVER = "recover", "Rétablir une gestion perdue"
        EMAIL = "email", "Changer l’adresse de secours d’un gestionnaire"

    class State(models.TextChoices):
        """Where it is."""

        ASKED = "asked", "À confirmer par une seconde personne"
        CONFIRMED = "confirmed", "Confirmé, en attente du délai"
        OBJECTED = "objected", "Contesté, suspendu"
        DONE = "done", "Fait"
        CANCELLED = "cancelled", "Annulé"
        REFUSED = "refused", "Refusé"
        LAPSED = "lapsed", "Caduc"

    OPEN = (State.ASKED, State.CONFIRMED, State.OBJECTED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="administrator_changes")
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    person = models.ForeignKey(
        "accounts.User", on_delete=models.PROTECT, related_name="+", help_text="Whose right, or address, is changed."
    )
    # Of a management that is lost: whose right ends when the other's begins. Nobody when there was no manager left.
    replaced = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    email = models.EmailField(blank=True, help_text="The new address, when it is what changes.")
    reason = models.CharField(max_length=300)
    asked_by = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    speaker = models.ForeignKey(
        "accounts.User",
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose mandate, proved by two channels, stands for the collectivité's word.",
    )
    confirmed_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True, help_text="Not before.")
    objection_digest = models.CharField(max_length=64, blank=True, help_text="Of the link in each message.")
    objected_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ending = models.CharField(max_length=300, blank=True, help_text="Why it ended otherwise than done.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "person"],
                condition=Q(state__in=["asked", "confirmed", "objected"]),
                name="administrator_change_one_open",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True)
                | (~Q(confirmed_by=F("asked_by")) & ~Q(confirmed_by=F("person")) & ~Q(confirmed_by=F("speaker"))),
                name="administrator_change_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(settled_by__isnull=True)
                | (~Q(settled_by=F("asked_by")) & ~Q(settled_by=F("person")) & ~Q(settled_by=F("confirmed_by"))),
                name="administrator_change_objection_settled_by_another",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["confirmed", "objected", "done"])
                | Q(confirmed_by__isnull=False, confirmed_at__isnull=False, due_at__isnull=False),
                name="administrator_change_confirmed_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(due_at__gte=F("confirmed_at") + DELAY),
                name="administrator_change_waits_48_hours",
            ),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(ended_at__gte=F("due_at")), name="administrator_change_not_done_early"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["asked", "confirmed", "objected"], ended_at__isnull=True)
                | Q(state__in=["done", "cancelled", "refused", "lapsed"], ended_at__isnull=False),
                name="administrator_change_end_is_dated",
            ),
            models.CheckConstraint(
                condition=Q(kind="email") & ~Q(email="") | ~Q(kind="email") & Q(email=""),
                name="administrator_change_address_when_it_changes",
            ),
            models.CheckConstraint(
                condition=Q(replaced__isnull=True) | Q(kind="recover"), name="administrator_change_replaces_to_recover"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="confirmed"), name="administrator_change_due"),
            models.Index(fields=["objection_digest"], name="administrator_change_objection"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def open(self) -> bool:
        """Whether something may still become of it."""
        return self.state in self.OPEN
