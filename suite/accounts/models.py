"""Who signs in, and what they may do. ProConnect says who somebody is; the right to act is ours to grant."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

# Django finds an app's tables here; those of a further idea fill a module of their own.
from suite.accounts.administrator_models import AdministratorChange  # noqa: F401
from suite.accounts.block_models import AccountBlock  # noqa: F401
from suite.accounts.mandate_models import Document, Letter, MandateProof, Objection  # noqa: F401
from suite.directory.models import Operator, Organization


class UserManager(BaseUserManager["User"]):
    """Makes accounts; none has a password."""

    def create_user(self, **fields: Any) -> "User":  # noqa: ANN401 - model fields
        """Create an account that only an identity provider can open."""
        user = self.model(**fields)
        user.set_unusable_password()
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail is an attribute refreshed at each sign-in, never a key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(blank=True)
    given_name = models.CharField(max_length=100, blank=True)
    usual_name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May look through the admin's windows.")
    # One stroke for all the sessions of an account, whichever door opened them.
    sessions_ended_at = models.DateTimeField(
        null=True, blank=True, help_text="What was opened before is over, whatever its cookie says."
    )
    created_at = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "id"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.get_full_name()

    def get_full_name(self) -> str:
        """Return the name to show, "Compte sans nom" when the provider gave none."""
        return f"{self.given_name} {self.usual_name}".strip() or "Compte sans nom"


class Identity(models.Model):
    """An account at an identity provider: (issuer, sub) is the only key; the rest is refreshed at each sign-in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="identities")
    issuer = models.URLField(max_length=200)
    sub = models.CharField(max_length=255)
    siret = models.CharField(max_length=14)
    idp_id = models.CharField(max_length=100, blank=True)
    uid = models.CharField(max_length=255, blank=True)
    organization_label = models.CharField(max_length=200, blank=True)
    roles = ArrayField(models.CharField(max_length=60), default=list)
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True, help_text="Another identity took over; it opens nothing.")
    first_use_before = models.DateTimeField(
        null=True, blank=True, help_text="Tied by an operator: unused by then, it is worth nothing."
    )

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "sub"], name="identity_issuer_sub"),
            models.CheckConstraint(condition=~models.Q(sub=""), name="identity_sub_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.issuer} {self.sub}"


class Membership(models.Model):
    """The right of a person to act for an organization."""

    class Role(models.TextChoices):
        """What the person may do there."""

        REQUESTER = "requester", "Demandeur"
        MANAGER = "manager", "Gestionnaire"
        READER = "reader", "Lecteur"

    class State(models.TextChoices):
        """Whether the right holds."""

        PENDING = "pending", "En attente de confirmation"
        ACTIVE = "active", "Actif"
        SUSPENDED = "suspended", "Suspendu"
        ENDED = "ended", "Terminé"

    class Source(models.TextChoices):
        """Who gave it: our SIRET rule, which each sign-in may suspend, or a person, whose word survives it."""

        RULE = "rule", "Règle du SIRET"
        PERSON = "person", "Décision d’une personne"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.REQUESTER)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    source = models.CharField(max_length=10, choices=Source)
    siret = models.CharField(max_length=14, blank=True, help_text="The SIRET that gave the right, for the rule's.")
    resumes_to = models.CharField(
        max_length=10,
        choices=State,
        blank=True,
        help_text="What the SIRET rule suspended and may restore; blank when a person decided.",
    )
    # A manager's second address: what is asked about the managers is told there too.
    recovery_email = models.EmailField(blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"],
                condition=~models.Q(state="ended"),
                name="membership_one_live_per_organization",
            ),
            models.CheckConstraint(
                condition=models.Q(resumes_to="") | models.Q(state="suspended", source="rule"),
                name="membership_only_the_rule_resumes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.state}"


class OperatorRole(models.Model):
    """The place of a person in an operator's staff."""

    class Role(models.TextChoices):
        """What the person may do with the dossiers in the operator's scope."""

        READER = "reader", "Lecteur"
        INSTRUCTOR = "instructor", "Instructeur"
        LEAD = "lead", "Responsable"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="operator_roles")
    operator = models.ForeignKey(Operator, on_delete=models.PROTECT, related_name="staff")
    role = models.CharField(max_length=10, choices=Role)
    active = models.BooleanField(default=True)
    # Blank while active. "provider": a sign-in brought another idp_id or uid, and somebody must confirm the person.
    suspended_for = models.CharField(max_length=300, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "operator"], name="operator_role_one_per_operator"),
        ]

    def __str__(self) -> str:
        return self.role


class Invitation(models.Model):
    """A right offered to whoever holds a link: to one commune or one operator, once, for seven days."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="invitations"
    )
    operator = models.ForeignKey(Operator, null=True, blank=True, on_delete=models.PROTECT, related_name="invitations")
    role = models.CharField(max_length=10, help_text="A Membership.Role, or an OperatorRole.Role.")
    email = models.EmailField()
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the link's token, which is not kept.")
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(organization__isnull=False, operator__isnull=True)
                | models.Q(organization__isnull=True, operator__isnull=False),
                name="invitation_to_one_place",
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at__isnull=True, accepted_by__isnull=True)
                | models.Q(accepted_at__isnull=False, accepted_by__isnull=False, revoked_at__isnull=True),
                name="invitation_accepted_by_somebody",
            ),
            models.CheckConstraint(
                condition=models.Q(organization__isnull=False, role__in=["reader", "requester", "manager"])
                | models.Q(operator__isnull=False, role__in=["reader", "instructor", "lead"]),
                name="invitation_role_of_its_place",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "created_at"], name="invitation_organization"),
            models.Index(fields=["operator", "created_at"], name="invitation_operator"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.created_at:%Y-%m-%d}"

    @property
    def waiting(self) -> bool:
        """Whether it may still be accepted."""
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > timezone.now()

    @property
    def role_label(self) -> str:
        """The role in French."""
        choices = Membership.Role.choices if self.organization_id else OperatorRole.Role.choices
        return str(dict(choices)[self.role])

    @property
    def place(self) -> Organization | Operator:
        """Where it leads."""
        place = self.organization or self.operator
        assert place is not None  # noqa: S101 - the database's own law
        return place


class AccessRequest(models.Model):
    """Somebody without a right in a commune asks to join it; a person answers."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting", "En attente"
        ACCEPTED = "accepted", "Acceptée"
        REFUSED = "refused", "Refusée"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="access_requests")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="access_requests")
    message = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"],
                condition=models.Q(state="waiting"),
                name="access_request_one_waiting",
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", answered_at__isnull=True, answered_by__isnull=True)
                | (~models.Q(state="waiting") & models.Q(answered_at__isnull=False, answered_by__isnull=False)),
                name="access_request_answer_is_signed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.created_at:%Y-%m-%d}"


class RelinkRequest(models.Model):
    """A refused sign-in: an unknown identity came with the address of an account. Only people bring them together."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting", "En attente"
        SECONDED = "seconded", "En attente d’un second opérateur"
        APPROVED = "approved", "Approuvée"
        REFUSED = "refused", "Refusée"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="relink_requests", help_text="The account.")
    # What the provider said of whoever came: nothing here opens anything.
    issuer = models.URLField(max_length=200)
    sub = models.CharField(max_length=255)
    email = models.EmailField()
    given_name = models.CharField(max_length=100, blank=True)
    usual_name = models.CharField(max_length=100, blank=True)
    siret = models.CharField(max_length=14)
    idp_id = models.CharField(max_length=100, blank=True)
    uid = models.CharField(max_length=255, blank=True)
    organization_label = models.CharField(max_length=200, blank=True)
    roles = ArrayField(models.CharField(max_length=60), default=list)
    reference = models.CharField(max_length=40, blank=True, help_text="The one shown on the page of the refusal.")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    seconded_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "sub"],
                condition=models.Q(state__in=["waiting", "seconded"]),
                name="relink_request_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "seconded"], decided_by__isnull=True)
                | models.Q(state__in=["approved", "refused"], decided_by__isnull=False, decided_at__isnull=False),
                name="relink_request_decision_is_signed",
            ),
            models.CheckConstraint(
                condition=models.Q(seconded_by__isnull=True)
                | models.Q(decided_by__isnull=True)
                | ~models.Q(state="approved")
                | ~models.Q(seconded_by=models.F("decided_by")),
                name="relink_request_four_eyes_are_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.created_at:%Y-%m-%d}"


class UserSession(models.Model):
    """A session as its owner sees it: which device, since when. Closed here, it is over at its next request."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="opened_sessions")
    device = models.CharField(max_length=60)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "ended_at"], name="user_session_of_user")]

    def __str__(self) -> str:
        return self.device


class Tally(models.Model):
    """How many tries somebody made of something in a window of time; written by `limits.allow` only."""

    scope = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, help_text="SHA-256 of who tries: nobody is named here.")
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["scope", "digest"], name="tally_one_per_key")]
        indexes = [models.Index(fields=["ends_at"], name="tally_ends")]

    def __str__(self) -> str:
        return f"{self.scope} {self.count}"


class BreakGlass(models.Model):
    """An account of last resort, for the day ProConnect does not answer: a name, a password and a second factor.

    Sealed in two envelopes, so two at most: the database counts the places.
    """

    PLACES = (1, 2)

    user = models.OneToOneField(User, on_delete=models.PROTECT, primary_key=True, related_name="break_glass")
    place = models.PositiveSmallIntegerField(unique=True)
    name = models.CharField(max_length=40, unique=True)
    proof = models.CharField(
        max_length=64,
        help_text="A digest of the password's first group: it tells the holder's tries from a stranger's.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "break-glass accounts"
        constraints = [
            models.CheckConstraint(condition=models.Q(place__in=[1, 2]), name="break_glass_two_at_most"),
        ]

    def __str__(self) -> str:
        return self.name
