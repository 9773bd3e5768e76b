"""What a collectivité signs: texts by operator and by version, who accepted which, and what was asked when.

A published text, its prices and an acceptance never change: triggers of the database say so. What names a person stands
beside the acceptance, where it may be erased.
"""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.accounts.models import User
from suite.directory.models import Operator, Organization

LONGEST_TEXT = 60_000


class TextQuerySet(models.QuerySet["Text"]):
    """Ways to read the texts."""

    def published(self) -> "TextQuerySet":
        """Return what anybody may read: the published versions, past, in force and to come."""
        return self.filter(published_at__isnull=False)


class Text(models.Model):
    """One version of one document of one operator; without operator, the national model that all start from."""

    class Kind(models.TextChoices):
        """Which document; in the order in which a reader needs them."""

        PRICES = "prices", "Ce que cela coûte"
        CONVENTION = "convention", "Convention avec l’opérateur"
        PROCESSING = "processing", "Traitement des données personnelles (article 28 du RGPD)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operator = models.ForeignKey(Operator, null=True, blank=True, on_delete=models.PROTECT, related_name="texts")
    kind = models.CharField(max_length=12, choices=Kind)
    # Null while a draft; then 1, 2, 3 for one operator and kind.
    number = models.PositiveSmallIntegerField(null=True, blank=True)
    title = models.CharField(max_length=150)
    body = models.TextField(max_length=LONGEST_TEXT, help_text="In the subset of Markdown that `markup` reads.")
    changes = models.CharField(max_length=1000, blank=True, help_text="What changed, for those who had accepted.")
    # A model that no lawyer has read yet says so wherever it is shown.
    model_text = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1, help_text="Grows at each save of the draft.")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the exact text, set on publication.")
    effective_on = models.DateField(null=True, blank=True)
    grace_days = models.PositiveSmallIntegerField(
        default=60, help_text="How long those who accepted an earlier version have to accept this one."
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = TextQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["operator", "kind", "number"], nulls_distinct=False, name="text_one_per_number",
                condition=Q(number__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["operator", "kind"], condition=Q(published_at__isnull=True), nulls_distinct=False,
                name="text_one_draft",
            ),
            models.CheckConstraint(
                condition=Q(published_at__isnull=True, number__isnull=True, digest="")
                | Q(published_at__isnull=False, number__isnull=False, effective_on__isnull=False) & ~Q(digest=""),
                name="text_published_is_numbered_and_dated",
            ),
            models.CheckConstraint(condition=Q(grace_days__lte=365), name="text_grace_within_a_year"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"

    @property
    def is_published(self) -> bool:
        """Whether the text is out, and so fixed."""
        return self.published_at is not None

    @property
    def version(self) -> str:
        """How a reader names it: « version 2 », « brouillon »."""
        return f"version {self.number}" if self.number else "brouillon"


class PriceLine(models.Model):
    """One line of a price sheet. Zero is « gratuit », and is written so."""

    class Payer(models.TextChoices):
        """Whose part it is: what the State offers, or what the operator invoices."""

        STATE = "state", "Part de l’État"
        OPERATOR = "operator", "Part de l’opérateur"

    class Unit(models.TextChoices):
        """What the amount is paid for."""

        ONCE = "once", "une fois"
        YEAR = "year", "par an"
        MONTH = "month", "par mois"
        MAILBOX_YEAR = "mailbox_year", "par boîte et par an"
        INHABITANT_YEAR = "inhabitant_year", "par habitant et par an"
        DAY = "day", "par journée d’intervention"

    text = models.ForeignKey(Text, on_delete=models.CASCADE, related_name="prices")
    position = models.PositiveSmallIntegerField()
    payer = models.CharField(max_length=10, choices=Payer, default=Payer.OPERATOR)
    label = models.CharField(max_length=150)
    amount = models.DecimalField(max_digits=9, decimal_places=2, help_text="Euros, all taxes included.")
    unit = models.CharField(max_length=20, choices=Unit, default=Unit.YEAR)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["text", "position"], name="price_line_one_per_position"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_line_not_negative"),
        ]

    def __str__(self) -> str:
        return self.label


class Acceptance(models.Model):
    """Somebody accepted one version in the name of one organization: added once, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    text = models.ForeignKey(Text, on_delete=models.PROTECT, related_name="acceptances")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="acceptances")
    # Whose convention it is: a national model is signed with the operator that serves.
    operator = models.ForeignKey(Operator, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    # The level of the mandate on that day, 0 to 3 (`accounts.mandates.Mandate`).
    mandate = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64, help_text="Of the exact text accepted.")
    case = models.UUIDField(null=True, blank=True, help_text="The dossier, or the handover, in which it was accepted.")
    accepted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # Again with a better mandate, or in another case: both stay.
            models.UniqueConstraint(
                fields=["text", "organization", "user", "mandate", "case"],
                nulls_distinct=False,
                name="acceptance_once_per_person",
            ),
            models.CheckConstraint(condition=Q(mandate__gte=1, mandate__lte=3), name="acceptance_has_a_mandate"),
        ]
        indexes = [models.Index(fields=["organization", "accepted_at"], name="acceptance_organization")]

    def __str__(self) -> str:
        return f"{self.text_id} {self.accepted_at:%Y-%m-%d}"


class Signatory(models.Model):
    """Who accepted, as the person named itself: erasable without touching the acceptance."""

    acceptance = models.OneToOneField(Acceptance, primary_key=True, on_delete=models.CASCADE, related_name="signatory")
    name = models.CharField(max_length=201)
    function = models.CharField(max_length=100)

    class Meta:
        verbose_name_plural = "signatories"

    def __str__(self) -> str:
        return f"{self.acceptance_id}"


class Confirmation(models.Model):
    """An operator's person checked that whoever accepted a convention with a weak mandate speaks for the commune."""

    acceptance = models.OneToOneField(
        Acceptance, primary_key=True, on_delete=models.CASCADE, related_name="confirmation"
    )
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    check_text = models.CharField(max_length=1000, help_text="What was verified, and with whom.")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.acceptance_id}"


class Asked(models.Model):
    """What a sweep asked of an organization: one row per cause and stage, sent or passed over, so never twice."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=60, help_text="text:<id> or election:<day>.")
    stage = models.CharField(max_length=12)
    due_on = models.DateField()
    done_at = models.DateTimeField(default=timezone.now)
    skipped = models.BooleanField(default=False, help_text="A later stage was due too: only that one was sent.")

    class Meta:
        verbose_name_plural = "asked"
        constraints = [
            models.UniqueConstraint(fields=["organization", "cause", "stage"], name="asked_once_per_stage"),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.stage}"


# Django finds an app's tables here; those of the handover fill a module of their own.
from onboarding.agreements.handover_models import DepartingMailbox, Handover, HandoverCheck  # noqa: E402, F401
