"""A commune asks, an operator decides: the dossier, from its draft to the decision, and no further."""

import re
import uuid

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.accounts.rights import lost_organizations, operator_scope, organizations_of
from suite.catalog.models import Service
from suite.directory.models import Operator, Organization


class DossierQuerySet(models.QuerySet["Dossier"]):
    """Ways to read dossiers; nothing is read outside `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> "DossierQuerySet":
        """Return what the person may look at: its own and its organizations', and what its operators follow."""
        if not isinstance(user, User):
            return self.none()
        return self.filter(Q(pk__in=self.model.objects.requested_by(user).values("pk")) | _followed_by(user))

    def requested_by(self, user: User | AnonymousUser) -> "DossierQuerySet":
        """Return what the person follows as a requester: what it wrote, and what its organizations ask."""
        if not isinstance(user, User):
            return self.none()
        # What somebody wrote for an organization that has withdrawn its right stays with the organization.
        co_authored = CoAuthor.objects.filter(user=user, state=CoAuthor.State.ACTIVE).values("dossier")
        own = Q(author=user) | Q(pk__in=co_authored)
        own &= ~Q(organization__in=lost_organizations(user).values("pk"))
        return self.filter(own | Q(organization__in=organizations_of(user)))

    def followed_by(self, user: User | AnonymousUser) -> "DossierQuerySet":
        """Return what the person sees as staff of an operator; a draft is never among it."""
        return self.filter(_followed_by(user))

    def open(self) -> "DossierQuerySet":
        """Return what is sent and not decided."""
        return self.filter(status__in=Dossier.OPEN)


def _followed_by(user: User | AnonymousUser) -> Q:
    scope = operator_scope(user)
    if scope is None:
        return Q(pk__in=[])
    sent = ~Q(status=Dossier.Status.DRAFT) & Q(submitted_at__isnull=False)
    if scope.national:
        return sent
    # Until the approval, the territory; after it, the organizations the operator serves.
    territory = list(scope.departments)
    undecided = ~Q(status__in=[Dossier.Status.APPROVED, Dossier.Status.REVOKED])
    here = Organization.objects.filter(Q(department__in=territory) | Q(departments__overlap=territory))
    # Asked as a list rather than by a join: it is made once, and both sides of the « or » are read from one index.
    return sent & ((undecided & Q(organization__in=here.values("pk"))) | Q(operator__in=scope.operators))


class Dossier(models.Model):
    """What one organization asks. Draft values are kept as they were typed; `checks` says what is wrong with them."""

    class Status(models.TextChoices):
        """Where the dossier is (`requests.md`, 2.1)."""

        DRAFT = "draft", "Brouillon"
        SUBMITTED = "submitted", "Transmise"
        IN_REVIEW = "in_review", "En cours d’instruction"
        NEEDS_CHANGES = "needs_changes", "À compléter"
        SECOND_APPROVAL = "second_approval", "En attente de seconde validation"
        APPROVED = "approved", "Acceptée"
        REJECTED = "rejected", "Refusée"
        WITHDRAWN = "withdrawn", "Retirée"
        EXPIRED = "expired", "Expirée"
        REVOKED = "revoked", "Annulée"

    OPEN = (Status.SUBMITTED, Status.IN_REVIEW, Status.NEEDS_CHANGES, Status.SECOND_APPROVAL)
    DECIDED = (Status.APPROVED, Status.REJECTED, Status.REVOKED)

    class Function(models.TextChoices):
        """What the requester is in the commune."""

        MAYOR = "maire", "Maire"
        DEPUTY = "adjoint", "Adjoint ou adjointe au maire"
        SECRETARY = "secretaire", "Secrétaire de mairie"
        DIRECTOR = "dgs", "Direction générale des services"
        OTHER = "autre", "Autre fonction"

    class Family(models.TextChoices):
        """Where the name comes from (`requests.md`, 4)."""

        SHARED = "collectivite", "Utiliser un nom gratuit sous collectivite.fr"
        NEW = "new", "Réserver un nouveau nom, en .fr ou régional"
        EXISTING = "existing", "Garder le nom que nous avons déjà"

    class DnsManager(models.TextChoices):
        """Who changes the records of an existing domain."""

        COMMUNE = "commune", "La collectivité elle-même"
        PROVIDER = "provider", "Un prestataire"
        EPCI = "epci", "L’intercommunalité ou une autre structure publique"
        UNKNOWN = "unknown", "Je ne sais pas"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reference = models.CharField(max_length=20, unique=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="dossiers")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="dossiers")
    operator = models.ForeignKey(
        Operator, null=True, blank=True, on_delete=models.PROTECT, related_name="dossiers", help_text="Who decides."
    )
    # The operator's person who wrote it on behalf of a collectivité without an account: its author too, until somebody
    # of the collectivité takes it over.
    prepared_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="prepared_dossiers"
    )
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="assigned_dossiers"
    )
    status = models.CharField(max_length=20, choices=Status, default=Status.DRAFT)
    version = models.PositiveIntegerField(default=1, help_text="Grows at each change; a stale writer is refused.")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    # 1. The commune and who speaks for it.
    requester_given_name = models.CharField(max_length=50, blank=True)
    requester_family_name = models.CharField(max_length=50, blank=True)
    requester_function = models.CharField(max_length=20, choices=Function, blank=True)
    requester_email = models.CharField(max_length=254, blank=True)
    requester_phone = models.CharField(max_length=50, blank=True)

    # 2. The name; the wish and its alternatives are `NameChoice` rows.
    family = models.CharField(max_length=20, choices=Family, blank=True)
    accepts_alternatives = models.BooleanField(default=False)
    justification = models.CharField(max_length=500, blank=True)
    dns_manager = models.CharField(max_length=20, choices=DnsManager, blank=True)
    mail_in_use = models.BooleanField(null=True, blank=True)
    mail_provider = models.CharField(max_length=100, blank=True)
    mail_switch_on = models.DateField(null=True, blank=True)

    # 3. Mailboxes are `MailboxRequest` rows. 4. Storage, in decimal gigabytes; services are `RequestedService` rows.
    storage_gb = models.PositiveIntegerField(null=True, blank=True)
    allocation_reason = models.CharField(max_length=500, blank=True)
    privacy_contact_name = models.CharField(max_length=100, blank=True)
    privacy_contact_email = models.CharField(max_length=254, blank=True)
    technical_contact_name = models.CharField(max_length=100, blank=True)
    technical_contact_email = models.CharField(max_length=254, blank=True)

    # 5. What the requester declares.
    declares_exact = models.BooleanField(default=False)
    declares_mandate = models.BooleanField(default=False)
    accepts_terms = models.BooleanField(default=False)
    terms_version = models.CharField(max_length=20, blank=True, help_text="The version accepted, set on sending.")

    # The verdict that let it be sent: outcome, reason, population, population_year, threshold, decided_on.
    verdict = models.JSONField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True, help_text="First sent; a second round keeps it.")
    last_submitted_at = models.DateTimeField(null=True, blank=True, help_text="Last sent: moves at each round.")
    # The clock (`deadlines`): since when it runs, the working days it stood still, and since when it stands still now.
    clock_at = models.DateTimeField(null=True, blank=True)
    waited_days = models.PositiveSmallIntegerField(default=0)
    paused_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True, help_text="By when to take or decide; null: no clock runs.")
    watch_at = models.DateTimeField(null=True, blank=True, help_text="When more than 60 % of the time is gone.")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    four_eyed = models.BooleanField(default=False, help_text="The decision needed a second person, and had one.")
    duplicate_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="duplicates",
        help_text="The dossier that stands for this one, refused for it.",
    )
    deployment = models.OneToOneField(
        Deployment, null=True, blank=True, on_delete=models.PROTECT, related_name="dossier"
    )

    objects = DossierQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(status__in=["submitted", "in_review", "needs_changes", "second_approval"]),
                name="dossier_one_open_per_organization",
            ),
            models.UniqueConstraint(
                fields=["organization", "author"], condition=Q(status="draft"), name="dossier_one_draft_per_author"
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=["approved", "rejected", "revoked"], decided_by__isnull=False, decided_at__isnull=False
                )
                | (
                    ~Q(status__in=["approved", "rejected", "revoked"])
                    & Q(decided_by__isnull=True, decided_at__isnull=True)
                ),
                name="dossier_decision_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(deployment__isnull=True) | Q(status__in=["approved", "revoked"]),
                name="dossier_deployment_only_if_approved",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "withdrawn", "expired"])
                | Q(submitted_at__isnull=False, operator__isnull=False, verdict__isnull=False),
                name="dossier_sent_is_routed_and_dated",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["in_review", "second_approval"]) | Q(assignee__isnull=False),
                name="dossier_review_has_an_assignee",
            ),
            models.CheckConstraint(
                condition=Q(duplicate_of__isnull=True) | (Q(status="rejected") & ~Q(duplicate_of=F("pk"))),
                name="dossier_duplicate_is_refused_for_another",
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(status__in=["submitted", "in_review", "second_approval"]),
                name="dossier_due_only_while_ours",
            ),
            # Who prepared a dossier on behalf of a collectivité does not decide on it.
            models.CheckConstraint(
                condition=Q(prepared_by__isnull=True) | Q(decided_by__isnull=True) | ~Q(prepared_by=F("decided_by")),
                name="dossier_prepared_by_one_decided_by_another",
            ),
            # Two people: the one who instructs is not the one who signs.
            models.CheckConstraint(
                condition=Q(four_eyed=False) | (Q(assignee__isnull=False) & ~Q(assignee=F("decided_by"))),
                name="dossier_four_eyes_are_two_people",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "submitted_at"], name="dossier_queue"),
            models.Index(fields=["author", "status"], name="dossier_author"),
            models.Index(fields=["due_at", "id"], name="dossier_due"),
            models.Index(
                fields=["due_at", "id"],
                condition=Q(status__in=["submitted", "in_review", "needs_changes", "second_approval"]),
                name="dossier_due_open",
            ),
            models.Index(fields=["assignee", "status"], name="dossier_assignee"),
            # What waits, counted by an operator's territory without reading a row.
            models.Index(
                fields=["organization"],
                include=["id", "operator", "status", "submitted_at", "due_at", "assignee"],
                condition=Q(status__in=["submitted", "in_review", "needs_changes", "second_approval"]),
                name="dossier_open_where",
            ),
            models.Index(fields=["status", "due_at", "id"], name="dossier_status_due"),
            models.Index(fields=["status", "changed_at", "id"], name="dossier_status_changed"),
            models.Index(fields=["requester_email"], name="dossier_requester_email"),
            models.Index(Upper("requester_email"), name="dossier_requester_email_any"),
            GinIndex(OpClass(Upper("requester_family_name"), name="gin_trgm_ops"), name="dossier_requester_name"),
        ]

    def __str__(self) -> str:
        return self.reference


class NameChoice(models.Model):
    """A name asked for: rank 0 is the wish, the others its alternatives in order."""

    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="names")
    rank = models.PositiveSmallIntegerField()
    typed = models.CharField(max_length=253)
    # Normalised, in ASCII; uniqueness is judged on it, likeness on the skeleton (no hyphen, look-alikes folded).
    fqdn = models.CharField(max_length=253, blank=True)
    skeleton = models.CharField(max_length=253, blank=True)

    class Meta:
        ordering = ["rank"]
        constraints = [
            models.UniqueConstraint(fields=["dossier", "rank"], name="name_choice_one_per_rank"),
            models.CheckConstraint(condition=Q(rank__lte=3), name="name_choice_three_alternatives"),
        ]
        indexes = [
            models.Index(fields=["fqdn"], name="name_choice_fqdn"),
            models.Index(fields=["skeleton"], name="name_choice_skeleton"),
            GinIndex(OpClass("fqdn", name="gin_trgm_ops"), name="name_choice_fqdn_trigram"),
        ]

    def __str__(self) -> str:
        return self.fqdn or self.typed


class MailboxRequest(models.Model):
    """A mailbox asked for; the address is its local part under whichever name is approved."""

    class Kind(models.TextChoices):
        """Who reads it; the values are those of the deployment's plan."""

        PERSONAL = "personal", "Personnelle"
        SHARED = "shared", "Partagée"
        REDIRECT = "redirect", "Redirection"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="mailboxes")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PERSONAL)
    given_name = models.CharField(max_length=50, blank=True)
    family_name = models.CharField(max_length=50, blank=True)
    function = models.CharField(max_length=100, blank=True)
    local_part = models.CharField(max_length=64, blank=True)
    recovery_email = models.CharField(max_length=254, blank=True)
    administrator = models.BooleanField(default=False)
    # As typed, separated by commas, semicolons or spaces: who receives a redirection, who reads a shared mailbox.
    targets = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["dossier", "position"],
                name="mailbox_one_per_position",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]

    def __str__(self) -> str:
        return self.local_part

    @property
    def target_list(self) -> tuple[str, ...]:
        """The addresses typed in `targets`, in order, without repetition."""
        return tuple(dict.fromkeys(part.lower() for part in re.split(r"[\s,;]+", self.targets) if part))

    @property
    def display_name(self) -> str:
        """The name shown beside the address."""
        return f"{self.given_name} {self.family_name}".strip() or self.function or self.local_part


class RequestedService(models.Model):
    """A service of the catalogue that the commune asks for."""

    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="requested_services")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["service__position", "service_id"]
        constraints = [
            models.UniqueConstraint(fields=["dossier", "service"], name="requested_service_once"),
        ]

    def __str__(self) -> str:
        return str(self.service_id)


class Revision(models.Model):
    """The values of one step as one person saved them: what a later merge of two people's texts compares."""

    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="revisions")
    version = models.PositiveIntegerField(help_text="The dossier's version after this save.")
    step = models.PositiveSmallIntegerField()
    values = models.JSONField(encoder=DjangoJSONEncoder)
    before = models.JSONField(
        encoder=DjangoJSONEncoder, null=True, blank=True, help_text="The same step, as it was before this save."
    )
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dossier", "version"], name="revision_one_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.dossier_id} v{self.version} step {self.step}"


class Remark(models.Model):
    """One thing to correct, tied to fields; closed when the commune answers, and kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dossier = models.ForeignKey(Dossier, on_delete=models.CASCADE, related_name="remarks")
    reason = models.CharField(max_length=40, help_text="A code of `reasons.CHANGES`.")
    fields = ArrayField(models.CharField(max_length=40))
    rows = ArrayField(
        models.CharField(max_length=36),
        default=list,
        blank=True,
        help_text="Of the list of mailboxes, the identities of those to correct; none: the whole list.",
    )
    text = models.CharField(max_length=1000, blank=True)
    touched = models.BooleanField(default=False, help_text="One of its fields changed since.")
    answer = models.CharField(max_length=1000, blank=True, help_text="« Je maintiens ma réponse, voici pourquoi »")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "reason"]
        constraints = [
            models.CheckConstraint(condition=~Q(fields=[]), name="remark_names_a_field"),
            models.CheckConstraint(
                condition=Q(rows=[]) | Q(fields__contains=["mailboxes"]), name="remark_rows_are_of_the_list"
            ),
        ]
        indexes = [models.Index(fields=["dossier"], condition=Q(closed_at__isnull=True), name="remark_open")]

    def __str__(self) -> str:
        return self.reason


# The rest of the app's tables, a module per noun.
from onboarding.intake import due_models, proposal_models  # noqa: E402, F401 - Django looks for an app's models here
from onboarding.intake.desk_models import (  # noqa: E402, F401
    Absence,
    BulkAct,
    CheckItem,
    DecisionDraft,
    DeskHabit,
    Distribution,
    ReadMark,
    SavedView,
)
from onboarding.intake.name_models import LostName, NameLookup, NameQuestion  # noqa: E402, F401
from onboarding.intake.personal_models import DossierErasure, ErasureRequest  # noqa: E402, F401
from onboarding.intake.proof_models import OwnershipProof  # noqa: E402, F401
from onboarding.intake.request_models import Claim, CoAuthor, MailboxImport, TypedForm, UsualDelay  # noqa: E402, F401
from onboarding.intake.thread_models import (  # noqa: E402, F401 - they point at Dossier
    Attachment,
    Mention,
    Message,
    MessageVersion,
    Reading,
    Rhythm,
)
