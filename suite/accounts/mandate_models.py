"""What proves that somebody acts for a collectivité: codes, letters, documents, and the objections of those it names.

No secret is kept that could be read again: a code is a keyed digest; a letter's, needed until it is printed, is sealed
and erased when the letter is posted.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.directory.models import Organization


class MandateProof(models.Model):
    """One attempt to prove a mandate by one route. The match of a SIRET is no row: it is read from the membership."""

    class Route(models.TextChoices):
        """By which channel."""

        EMAIL = "email_code", "Code envoyé à l’adresse officielle de la mairie"
        LETTER = "letter_code", "Code envoyé par courrier à la mairie"
        DOCUMENT = "document", "Arrêté, délibération ou attestation signée du maire"

    class State(models.TextChoices):
        """Where the attempt is."""

        HELD = "held", "En attente d’un opérateur"
        PENDING = "pending", "En attente"
        PROVED = "proved", "Établie"
        REFUSED = "refused", "Refusée"
        REVOKED = "revoked", "Remplacée ou annulée"
        EXPIRED = "expired", "Expirée"
        OBJECTED = "objected", "Contestée"

    LIVE = (State.HELD, State.PENDING, State.PROVED)
    OPEN = (State.HELD, State.PENDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="mandate_proofs")
    # Whose mandate; nobody yet when an operator prepares a dossier for somebody without an account: `case` is then
    # that dossier's identifier, and the person who takes it over receives the proof.
    user = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="mandate_proofs"
    )
    case = models.UUIDField(null=True, blank=True)
    case_reference = models.CharField(max_length=20, blank=True, help_text="What the letter calls the dossier.")
    requested_by = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")
    route = models.CharField(max_length=12, choices=Route)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    proved_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the mandate must be proved again.")
    decided_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    elected = models.BooleanField(default=False, help_text="The function ends with the municipal mandate.")

    # Codes. The e-mail address is kept masked: it is in the directory.
    code_digest = models.CharField(max_length=64, blank=True)
    # Of the code's first characters: on the public page, only who knows them can use up the tries.
    head_digest = models.CharField(max_length=64, blank=True)
    code_expires_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_to = models.CharField(max_length=254, blank=True, help_text="The address, masked.")
    free_mail = models.BooleanField(default=False, help_text="The declared address is at a public provider.")
    objection_digest = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=Q(route="letter_code", state="pending"), name="mandate_one_letter"
            ),
            models.UniqueConstraint(
                fields=["organization", "user"],
                condition=Q(route="email_code", state="pending"),
                name="mandate_one_email_code",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | Q(case__isnull=False), name="mandate_of_somebody_or_some_case"
            ),
            models.CheckConstraint(
                condition=~Q(state="proved") | Q(proved_at__isnull=False, expires_at__isnull=False),
                name="mandate_proved_is_dated",
            ),
            # Whoever asked for a code or handed a document in does not accept it.
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=models.F("requested_by")),
                name="mandate_decided_by_another",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "user", "state"], name="mandate_of"),
            models.Index(fields=["case"], condition=Q(case__isnull=False), name="mandate_case"),
            models.Index(fields=["objection_digest"], name="mandate_objection"),
            models.Index(fields=["case_reference"], name="mandate_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.state}"


class Letter(models.Model):
    """The paper of a code by post: what the operators print, put in an envelope and post."""

    proof = models.OneToOneField(MandateProof, primary_key=True, on_delete=models.CASCADE, related_name="letter")
    # A key of the site opens it; "" once the letter is posted, or will not be.
    sealed_code = models.CharField(max_length=300, blank=True)
    sealed_objection = models.CharField(max_length=300, blank=True)
    address_lines = ArrayField(models.CharField(max_length=100))
    printed_at = models.DateTimeField(null=True, blank=True)
    printed_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    posted_at = models.DateTimeField(null=True, blank=True)
    posted_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(posted_at__isnull=True) | Q(sealed_code="", sealed_objection="", posted_by__isnull=False),
                name="letter_posted_keeps_no_code",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proof_id}"


class Document(models.Model):
    """A written mandate, outside the web root under a random name; its hash outlives it."""

    class Kind(models.TextChoices):
        """What the content is, whatever its name says."""

        PDF = "pdf", "PDF"
        JPEG = "jpeg", "JPEG"
        PNG = "png", "PNG"

    proof = models.OneToOneField(MandateProof, primary_key=True, on_delete=models.CASCADE, related_name="document")
    stored_name = models.CharField(max_length=80, blank=True, help_text="Blank once the file is erased.")
    kind = models.CharField(max_length=4, choices=Kind)
    size = models.PositiveIntegerField(help_text="In bytes, as handed in.")
    sha256 = models.CharField(max_length=64, help_text="Of the file as it was handed in.")
    # What the operator read in it.
    signatory = models.CharField(max_length=100, blank=True)
    signed_on = models.DateField(null=True, blank=True)
    term_ends_on = models.DateField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(stored_name=""), name="document_erased_has_no_file"
            ),
        ]
        indexes = [models.Index(fields=["sha256"], name="document_sha256")]

    def __str__(self) -> str:
        return f"{self.kind} {self.proof_id}"


class Objection(models.Model):
    """The town hall says that it does not know who acts in its name: until an operator has looked, nothing moves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proof = models.ForeignKey(MandateProof, on_delete=models.PROTECT, related_name="objections")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    case = models.UUIDField(null=True, blank=True)
    made_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    finding = models.CharField(max_length=500, blank=True, help_text="What the operator found, when closing it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proof"], condition=Q(closed_at__isnull=True), name="objection_one_open_per_proof"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | (Q(closed_by__isnull=False) & ~Q(finding="")),
                name="objection_closed_is_signed",
            ),
        ]
        indexes = [
            models.Index(fields=["organization"], condition=Q(closed_at__isnull=True), name="objection_open"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.made_at:%Y-%m-%d}"
