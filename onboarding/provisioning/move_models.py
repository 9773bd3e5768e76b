"""What moves after the building: old mail brought over, a domain's mail switched to us, dates that come due.

A move lasts days or weeks, and waits for people: it is no step of the plan, whose end would wait for it. Its row is its
queue, with the same law as a step's: taken by an UPDATE, fenced by `attempt`, ended only by whoever holds it.
"""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from suite.accounts.models import User
from suite.notices.models import Notice


class Move(models.Model):
    """A row that a worker takes from time to time. `due_at` null: nothing to do until a person acts.

    A verb that changes the row adds one to `version`: the worker that holds it then leaves `due_at` as the verb set it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    held_until = models.DateTimeField(null=True, blank=True, help_text="The lease of the worker that has it.")
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=0)
    code = models.CharField(max_length=60, blank=True, help_text="Why it waits or stopped.")
    note = models.CharField(max_length=500, blank=True, help_text="The same, in French, for the people who follow it.")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class MailImport(Move):
    """The old mail of one mailbox, brought over from a server where its holder has an account."""

    class State(models.TextChoices):
        """Where it is."""

        RUNNING = "running", "En cours"
        PAUSED = "paused", "En pause"
        STOPPED = "stopped", "Attend une réponse de votre part"
        DONE = "done", "Terminée"
        CANCELLED = "cancelled", "Abandonnée"

    ENDED = (State.DONE, State.CANCELLED)

    resource = models.ForeignKey("provisioning.Resource", on_delete=models.PROTECT, related_name="mail_imports")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=993)
    login = models.CharField(max_length=320)
    # Enciphered under the site's key, as the codes of letters are; gone with the end of the import.
    sealed_password = models.CharField(max_length=2000, blank=True)
    with_bins = models.BooleanField(default=False, help_text="Bring what is in the bin and among the unwanted too.")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    stated_at = models.DateTimeField(default=timezone.now)
    surveyed_at = models.DateTimeField(null=True, blank=True, help_text="When its folders were last counted.")
    # Messages of which nobody could say whether they had arrived, put again: a double is better than a loss.
    doubtful = models.PositiveIntegerField(default=0)
    silent_since = models.DateTimeField(null=True, blank=True, help_text="Since when the old server does not answer.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(state__in=["running", "paused", "stopped"]),
                name="mail_import_one_open_per_mailbox",
            ),
            models.UniqueConstraint(fields=["resource", "host", "login"], name="mail_import_one_ledger_per_account"),
            models.CheckConstraint(
                condition=Q(state__in=["done", "cancelled"], ended_at__isnull=False, sealed_password="")
                | Q(state__in=["running", "paused", "stopped"], ended_at__isnull=True),
                name="mail_import_ended_keeps_no_password",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="mail_import_due")]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.state}"


class ImportFolder(models.Model):
    """A folder of the old mailbox. `source` is its name there (bytes, as Latin-1), `target` the one it has here.

    `messages` and `size` are what the old server counted, in messages and bytes; `brought` and `bytes_brought` what is
    here. UIDs mean something under one `uidvalidity` only (RFC 3501, 2.3.1.1).
    """

    mail_import = models.ForeignKey(MailImport, on_delete=models.CASCADE, related_name="folders")
    source = models.CharField(max_length=1000)
    target = models.CharField(max_length=255)
    uidvalidity = models.BigIntegerField(null=True, blank=True)
    messages = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    counted = models.BooleanField(default=False)
    brought = models.PositiveIntegerField(default=0)
    bytes_brought = models.BigIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # The message on whose reading the connection broke, and how many times.
    stuck_uid = models.BigIntegerField(null=True, blank=True)
    stuck_tries = models.PositiveSmallIntegerField(default=0)
    careful = models.BooleanField(default=False, help_text="The old server cannot measure its messages.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mail_import", "source"], name="import_folder_once")]

    def __str__(self) -> str:
        return self.target


class BroughtMessage(models.Model):
    """The ledger: one row per old message, written before it is put here and settled after.

    A row that stays « putting » belongs to a worker that died between the two: the new mailbox is then asked.
    `fingerprint` is of the message's identifier and size. `uid` is null once the old server renumbered its folder.
    """

    class State(models.TextChoices):
        """What is known of it."""

        PUTTING = "putting", "En cours"
        PUT = "put", "Apporté"
        FAILED = "failed", "Laissé"

    folder = models.ForeignKey(ImportFolder, on_delete=models.CASCADE, related_name="ledger")
    uid = models.BigIntegerField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0)
    received_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State)
    reason = models.CharField(max_length=60, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="How many times the new mailbox could not be asked.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["folder", "uid"], name="brought_message_once")]
        indexes = [
            models.Index(fields=["folder", "fingerprint"], name="brought_message_print"),
            models.Index(fields=["folder"], condition=Q(state="putting"), name="brought_message_open"),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"


class Cutover(Move):
    """The day the mail of a domain in use arrives here: chosen, checked, done, read back, and undone if need be."""

    class State(models.TextChoices):
        """Where it is. « Due »: its hour has come, and what the world reads has not changed yet."""

        DRAFT = "draft", "Proposition à lire"
        PLANNED = "planned", "Date choisie"
        PREPARED = "prepared", "Préparée"
        DUE = "due", "À faire maintenant"
        SWITCHED = "switched", "Basculée, en vérification"
        VERIFIED = "verified", "Basculée et vérifiée"
        DONE = "done", "Terminée"
        POSTPONED = "postponed", "À replanifier"
        REVERTING = "reverting", "Retour en arrière en cours"
        REVERTED = "reverted", "Revenue à l’ancien serveur"
        CANCELLED = "cancelled", "Annulée"

    ENDED = (State.DONE, State.REVERTED, State.CANCELLED)
    # From the hour on, the world may read our servers.
    BEFORE = (State.DRAFT, State.PLANNED, State.PREPARED, State.POSTPONED)
    REVERTIBLE = (State.DUE, State.SWITCHED, State.VERIFIED)

    deployment = models.ForeignKey("provisioning.Deployment", on_delete=models.PROTECT, related_name="cutovers")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(null=True, blank=True, help_text="The hour that the commune chose.")
    consent_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    consent_at = models.DateTimeField(null=True, blank=True)
    consent_text = models.CharField(max_length=500, blank=True, help_text="What the commune agreed to, as it read it.")
    nothing_to_bring = models.BooleanField(default=False, help_text="The commune leaves its old mail where it is.")
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    # What the world read before: {"mx": [...], "txt": [...], "dmarc": [...], "aliases": {label: [...]}}, as in a zone
    # file; "lookups" is what its SPF record costs. It is the way back.
    before = models.JSONField(null=True, blank=True)
    before_at = models.DateTimeField(null=True, blank=True)
    checks = models.JSONField(default=list, help_text="The last check: [{code, state, sentence}].")
    checked_at = models.DateTimeField(null=True, blank=True)
    ttl_lowered_at = models.DateTimeField(null=True, blank=True, help_text="By us, or as the commune says.")
    switched_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    revert_asked_at = models.DateTimeField(null=True, blank=True)
    revert_asked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment"],
                condition=~Q(state__in=["done", "reverted", "cancelled"]),
                name="cutover_one_open_per_deployment",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "reverted", "cancelled"], ended_at__isnull=False)
                | (~Q(state__in=["done", "reverted", "cancelled"]) & Q(ended_at__isnull=True)),
                name="cutover_ended_has_a_date",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "cancelled"])
                | Q(at__isnull=False, consent_by__isnull=False, consent_at__isnull=False, before__isnull=False),
                name="cutover_planned_is_signed_and_knows_the_way_back",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="cutover_due")]

    def __str__(self) -> str:
        return f"{self.deployment_id} {self.state}"


class Renewal(models.Model):
    """Until when a domain is held, as last asked, and whether its operator agrees that we renew it by ourselves."""

    deployment = models.OneToOneField("provisioning.Deployment", on_delete=models.PROTECT, related_name="renewal")
    expires_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    automatic = models.BooleanField(default=False, help_text="Renew without asking again, at the operator's cost.")
    consent_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    consent_at = models.DateTimeField(null=True, blank=True)
    renewed_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the last renewal failed.")
    note = models.CharField(max_length=500, blank=True)
    alarm_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(automatic=False) | Q(consent_by__isnull=False, consent_at__isnull=False),
                name="renewal_automatic_is_signed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.deployment_id} {self.expires_at}"


class DueStage(models.Model):
    """The ledger of what had to be said at a date: `subject` is a domain or a cutover, `due_at` the date it is about.

    Once in it, a stage does not happen again for that date.
    """

    class Outcome(models.TextChoices):
        """How it was settled."""

        DONE = "done", "Fait"
        SKIPPED = "skipped", "Dépassé par une étape plus récente"

    subject = models.CharField(max_length=253)
    kind = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    done_at = models.DateTimeField(default=timezone.now)
    notice = models.ForeignKey(Notice, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "kind", "due_at"], name="due_stage_once")]

    def __str__(self) -> str:
        return f"{self.subject} {self.kind} {self.due_at:%Y-%m-%d}"
