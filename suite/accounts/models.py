"""Who signs in, and what they may do. ProConnect says who somebody is; the right to act is ours to grant."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

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
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "operator"], name="operator_role_one_per_operator"),
        ]

    def __str__(self) -> str:
        return self.role


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
