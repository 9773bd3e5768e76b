"""What the desk remembers: evidence, reading marks, drafts of decisions, saved views, absences, bulk acts."""

import uuid

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from suite.accounts.models import User
from suite.directory.models import Operator


class CheckItem(models.Model):
    """One check of one dossier with its evidence, and who set it aside and why."""

    class Result(models.TextChoices):
        """What the evidence says; unknown is not ok."""

        OK = "ok", "Conforme"
        KO = "ko", "À examiner"
        UNKNOWN = "unknown", "Inconnu"
        MANUAL = "manual", "À vérifier par vous"

    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="check_items")
    code = models.CharField(max_length=20, help_text="A code of `checklist.CHECKS`.")
    result = models.CharField(max_length=10, choices=Result)
    value = models.CharField(max_length=60, blank=True, help_text="The fact in a word, for the filters of the queue.")
    evidence = models.CharField(max_length=1000)
    source = models.CharField(max_length=100)
    dossier_version = models.PositiveIntegerField(help_text="The evidence is about this version of the dossier.")
    fetched_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    overridden_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    overridden_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["dossier", "code"], name="check_item_one_per_code"),
            models.CheckConstraint(
                condition=Q(overridden_by__isnull=True, overridden_at__isnull=True, why="")
                | (Q(overridden_by__isnull=False, overridden_at__isnull=False) & ~Q(why="")),
                name="check_item_override_is_explained",
            ),
            models.CheckConstraint(
                condition=Q(overridden_by__isnull=True) | ~Q(result="ok"), name="check_item_override_of_a_doubt"
            ),
        ]
        indexes = [
            models.Index(fields=["valid_until"], name="check_item_stale"),
            models.Index(fields=["code", "value", "dossier"], name="check_item_value"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.result}"


class ReadMark(models.Model):
    """Up to which event of a dossier a person has read."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="read_marks")
    seq = models.PositiveIntegerField(help_text="The number of the last event read.")
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "dossier"], name="read_mark_one_per_person")]

    def __str__(self) -> str:
        return f"#{self.seq}"


class DecisionDraft(models.Model):
    """What a person is writing to decide on a dossier, and the messages as they were shown before being sent."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    dossier = models.ForeignKey("intake.Dossier", on_delete=models.CASCADE, related_name="decision_drafts")
    decision = models.CharField(max_length=20, help_text="The event: approve, reject, request_changes.")
    fields = models.JSONField(default=dict, help_text="The form as typed: a list of values by field.")
    # The messages of the preview: [{kind, recipient, subject, text, html}], and the version they were made at.
    letters = models.JSONField(default=list)
    dossier_version = models.PositiveIntegerField()
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "dossier", "decision"], name="decision_draft_one_per_person"),
        ]

    def __str__(self) -> str:
        return self.decision


class SavedView(models.Model):
    """Filters of the queue under a name: one person's, or a whole team's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    operator = models.ForeignKey(
        Operator, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Whose staff shares it."
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True, help_text="The filters as in the address, without a page.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "created_at"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_one_per_name")]
        indexes = [models.Index(fields=["operator"], name="saved_view_operator")]

    def __str__(self) -> str:
        return self.name


class DeskHabit(models.Model):
    """What one person wants of the desk: the view it opens on."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="+")
    view = models.ForeignKey(SavedView, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return str(self.view_id)


class Absence(models.Model):
    """Days, both included, during which what a person instructs goes to its deputy."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="absences")
    deputy = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    first_day = models.DateField()
    last_day = models.DateField()
    declared_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["first_day"]
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="absence_ends_after_it_starts"),
            models.CheckConstraint(condition=~Q(user=F("deputy")), name="absence_deputy_is_another"),
        ]
        indexes = [models.Index(fields=["last_day"], condition=Q(cancelled_at__isnull=True), name="absence_coming")]

    def __str__(self) -> str:
        return f"{self.first_day} – {self.last_day}"


class Distribution(models.Model):
    """An operator that has what waits handed out by itself, in the name of the lead who asked for it."""

    operator = models.OneToOneField(Operator, primary_key=True, on_delete=models.CASCADE, related_name="+")
    automatic = models.BooleanField(default=False)
    changed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return "automatic" if self.automatic else "by hand"


class BulkAct(models.Model):
    """One act on many dossiers: the preview stores ids and versions, the run what became of each."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    act = models.CharField(max_length=20, help_text="A code of `desk_bulk_acts.ACTS`.")
    options = models.JSONField(default=dict, help_text="The colleague, or the reason, its fields and its words.")
    # [{pk, reference, name, version, skip, done, said}] in the order shown; `skip` None: not looked at yet.
    items = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    pending_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when there is something to do; else null."
    )

    class Meta:
        indexes = [
            models.Index(fields=["user", "created_at"], name="bulk_act_user"),
            models.Index(fields=["pending_at"], condition=Q(pending_at__isnull=False), name="bulk_act_pending"),
        ]

    def __str__(self) -> str:
        return self.act
