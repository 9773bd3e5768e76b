"""Communes and EPCI of France, the names they bore, and the operators who serve them. All from public data."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models


class Department(models.Model):
    """A département or an overseas territory of the official geographic code (COG)."""

    code = models.CharField(primary_key=True, max_length=3)
    name = models.CharField(max_length=100)
    region = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """Ways to read the directory."""

    def current(self) -> "OrganizationQuerySet":
        """Leave out what was dissolved or merged."""
        return self.filter(successor__isnull=True)


class Organization(models.Model):
    """A commune or an EPCI à fiscalité propre, current or replaced. `code` is the INSEE, or an EPCI's SIREN."""

    class Kind(models.TextChoices):
        """What it is."""

        COMMUNE = "commune", "Commune"
        EPCI = "epci", "Intercommunalité"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    code = models.CharField(max_length=9)
    siren = models.CharField(max_length=9, null=True, blank=True, unique=True)  # null, not "": unique where known
    name = models.CharField(max_length=150)
    # COM for a commune; CC, CA, CU, METRO or MET69 for an EPCI.
    nature = models.CharField(max_length=5)
    zone = models.CharField(max_length=5, blank=True)  # metro, drom, com; blank for an EPCI
    department = models.ForeignKey(Department, null=True, on_delete=models.PROTECT, related_name="+")
    # An EPCI may straddle several départements; a commune has one.
    departments = ArrayField(models.CharField(max_length=3), default=list)
    postcodes = ArrayField(models.CharField(max_length=5), default=list)
    population = models.PositiveIntegerField(null=True, help_text="Population municipale.")
    population_year = models.PositiveSmallIntegerField(null=True)
    epci = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="members")
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="predecessors")
    closed_on = models.DateField(null=True, blank=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "code"], name="organization_kind_code"),
            models.CheckConstraint(
                condition=models.Q(siren__isnull=True) | models.Q(siren__regex=r"^[0-9]{9}$"), name="organization_siren"
            ),
            models.CheckConstraint(
                condition=models.Q(successor__isnull=True, closed_on__isnull=True)
                | models.Q(successor__isnull=False, closed_on__isnull=False),
                name="organization_closed_has_a_date",
            ),
        ]
        indexes = [
            GinIndex(fields=["postcodes"], name="organization_postcodes"),
            GinIndex(fields=["departments"], name="organization_departments"),
            models.Index(fields=["name"], name="organization_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Name(models.Model):
    """A name one may search: today's, or that of a commune déléguée, commune associée or arrondissement; or a code."""

    class Kind(models.TextChoices):
        """Whose name it is; the official file's own types, without their prefix."""

        CURRENT = "current", "actuelle"
        DELEGATED = "deleguee", "commune déléguée"
        ASSOCIATED = "associee", "commune associée"
        DISTRICT = "arrondissement", "arrondissement municipal"
        FORMER = "ancienne", "ancienne commune"  # the file gives its code, not its name: `name` is ""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="names")
    kind = models.CharField(max_length=15, choices=Kind)
    code = models.CharField(max_length=9)
    name = models.CharField(max_length=150, blank=True)
    # Folded for search: lower case, no accent, spaces for punctuation, "saint" spelled out, no leading article.
    folded = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            # 584 communes déléguées bear the code of their commune nouvelle: the code alone is no key.
            models.UniqueConstraint(fields=["organization", "kind", "code"], name="name_organization_kind_code"),
        ]
        indexes = [
            models.Index(OpClass("folded", name="varchar_pattern_ops"), name="name_folded_prefix"),
            GinIndex(OpClass("folded", name="gin_trgm_ops"), name="name_folded_trigram"),
            models.Index(fields=["code"], name="name_code"),
        ]

    def __str__(self) -> str:
        return self.name


class Operator(models.Model):
    """A body that serves organizations: the ANCT, or an OPSN on its départements."""

    class Status(models.TextChoices):
        """What it offers, in the words of the public operators file; blank is never shown to the public."""

        ACTIVE = "partenaire_avec_services", "Partenaire"
        PARTNER = "partenaire", "Partenaire, services bientôt proposés"
        INTENT = "intention", "À venir"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    name_with_article = models.CharField(max_length=110)
    url = models.URLField(blank=True)
    email = models.EmailField(blank=True)
    siret = models.CharField(max_length=20, blank=True, help_text="Displayed; may be malformed in the public file.")
    status = models.CharField(max_length=30, choices=Status, blank=True)
    departments = ArrayField(models.CharField(max_length=3), default=list)
    # The ANCT: sees and serves everything, and is no territory's local operator.
    national = models.BooleanField(default=False)
    organizations = models.ManyToManyField(Organization, related_name="operators", blank=True)
    identity_provider = models.CharField(
        max_length=100, blank=True, help_text="Its identifier at ProConnect, where new domains are attached; or blank."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["national"], condition=models.Q(national=True), name="operator_one_national"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ImportRun(models.Model):
    """One import of the territory: where it came from and what it changed."""

    source = models.CharField(max_length=200)
    vintage = models.CharField(max_length=40)
    # SHA-256 of what was imported, the override table included: tells whether a file is the one already in.
    digest = models.CharField(max_length=64)
    changes = models.JSONField(default=dict)
    finished_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        get_latest_by = "finished_at"

    def __str__(self) -> str:
        return f"{self.source} {self.vintage}"


class DeclaredContact(models.Model):
    """How to reach a town hall or an EPCI, as the public directory declares it; never typed by a requester."""

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="declared_contact"
    )
    # In the directory's order; the first is the one it judges.
    emails = ArrayField(models.CharField(max_length=254), default=list, blank=True)
    # The first address and the first website as they are written there, right or wrong: what an audit judges.
    declared_email = models.CharField(max_length=320, blank=True)
    declared_site = models.CharField(max_length=500, blank=True)
    # What stands under the addressee on an envelope, the line of the postcode last.
    address_lines = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    source = models.CharField(max_length=100)
    record = models.CharField(max_length=60, blank=True, help_text="The record's identifier in the source.")
    observed_on = models.DateField(help_text="The day of the source's file.")
    demonstration = models.BooleanField(default=False, help_text="Invented for the demonstration.")

    def __str__(self) -> str:
        return self.source
