"""Made-up départements, communes, EPCI, names and operators: valid, distinct, and never a real one's SIREN."""

import datetime as dt
from typing import Any

import factory
from factory.django import DjangoModelFactory

from suite.directory.folding import fold, fold_epci
from suite.directory.identifiers import luhn
from suite.directory.models import DeclaredContact, Department, Name, Operator, Organization

DEPARTMENTS = {
    "01": ("Ain", "Auvergne-Rhône-Alpes"),
    "35": ("Ille-et-Vilaine", "Bretagne"),
    "38": ("Isère", "Auvergne-Rhône-Alpes"),
    "56": ("Morbihan", "Bretagne"),
    "75": ("Paris", "Île-de-France"),
    "85": ("Vendée", "Pays de la Loire"),
    "987": ("Polynésie française", ""),
}


def siren(number: int) -> str:
    """Return a SIREN with a right checksum. No collectivité's starts with 29."""
    stem = f"29{number:06d}"
    return next(stem + last for last in "0123456789" if luhn(stem + last))


def siret(of: str, establishment: int = 1) -> str:
    """Return a SIRET of the SIREN `of`, with a right checksum."""
    stem = f"{of}{establishment:04d}"
    return next(stem + last for last in "0123456789" if luhn(stem + last))


class DepartmentFactory(DjangoModelFactory[Department]):
    """A département by its real code; the same code gives the same row."""

    class Meta:
        model = Department
        django_get_or_create = ("code",)

    code = "01"
    name = factory.LazyAttribute(lambda it: DEPARTMENTS.get(it.code, (f"Département {it.code}", ""))[0])
    region = factory.LazyAttribute(lambda it: DEPARTMENTS.get(it.code, ("", "Région"))[1])


class NameFactory(DjangoModelFactory[Name]):
    """A name one may search; by default that of a commune déléguée of `organization`."""

    class Meta:
        model = Name
        django_get_or_create = ("organization", "kind", "code")

    organization = factory.SubFactory("tests.factories.directory.CommuneFactory")
    kind = Name.Kind.DELEGATED
    code = factory.Sequence(lambda n: f"01{n % 1000:03d}")
    name = factory.Sequence(lambda n: f"Ancienne-Commune-{n}")
    folded = factory.LazyAttribute(
        lambda it: (fold_epci if it.organization.kind == Organization.Kind.EPCI else fold)(it.name)
    )


class OrganizationFactory(DjangoModelFactory[Organization]):
    """What communes and EPCI have in common, their current name included."""

    class Meta:
        model = Organization
        abstract = True
        skip_postgeneration_save = True

    siren = factory.Sequence(siren)
    population = 1200
    population_year = 2023
    departments = factory.LazyAttribute(lambda it: [it.department.code] if it.department else [])

    class Params:
        no_siren = factory.Trait(siren=None)
        unknown_population = factory.Trait(population=None, population_year=None)
        above = factory.Trait(population=20_000)

    @factory.post_generation  # type: ignore[untyped-decorator] # factory_boy declares no types
    def current_name(self: Any, create: bool, extracted: object, **_: object) -> None:  # noqa: FBT001 - factory_boy's signature
        if create and extracted is not False:
            NameFactory.create(organization=self, kind=Name.Kind.CURRENT, code=self.code, name=self.name)


class CommuneFactory(OrganizationFactory):
    """A village of 1,200 inhabitants of the Ain, without EPCI; `department__code` moves it."""

    kind = Organization.Kind.COMMUNE
    nature = "COM"
    zone = "metro"
    department = factory.SubFactory(DepartmentFactory)
    code = factory.LazyAttributeSequence(lambda it, n: f"{it.department.code[:2]}{n % 1000:03d}")
    name = factory.Sequence(lambda n: f"Essai-sur-Ville-{n}")
    postcodes = factory.LazyAttribute(lambda it: [f"{it.code[:2].replace('2A', '20').replace('2B', '20')}000"])

    class Params:
        com = factory.Trait(zone="com", siren=None, department=factory.SubFactory(DepartmentFactory, code="987"))
        empty = factory.Trait(population=0)
        in_epci = factory.Trait(epci=factory.SubFactory("tests.factories.directory.EpciFactory"))
        closed = factory.Trait(
            closed_on=dt.date(2026, 1, 1),
            successor=factory.SubFactory("tests.factories.directory.CommuneFactory"),
        )


class EpciFactory(OrganizationFactory):
    """A communauté de communes of 9,000 inhabitants of the Ain; its code is its SIREN."""

    kind = Organization.Kind.EPCI
    nature = "CC"
    department = factory.SubFactory(DepartmentFactory)
    siren = factory.Sequence(lambda n: siren(500_000 + n))
    code = factory.SelfAttribute("siren")
    name = factory.Sequence(lambda n: f"CC des Essais {n}")
    population = 9_000
    population_year = 2022

    class Params:
        agglomeration = factory.Trait(nature="CA", population=60_000)
        closed = factory.Trait(
            closed_on=dt.date(2026, 1, 1), successor=factory.SubFactory("tests.factories.directory.EpciFactory")
        )


class OperatorFactory(DjangoModelFactory[Operator]):
    """An operator (OPSN) that serves the Ain with services of its own."""

    class Meta:
        model = Operator

    name = factory.Sequence(lambda n: f"Syndicat-Numérique-{n}")
    name_with_article = factory.LazyAttribute(lambda it: f"le {it.name}")
    url = "https://operateur.example/"
    email = "contact@operateur.example"
    status = Operator.Status.ACTIVE
    departments = factory.LazyFunction(lambda: ["01"])

    class Params:
        national_one = factory.Trait(
            name="ANCT", name_with_article="l’ANCT", status="", national=True, departments=factory.LazyFunction(list)
        )
        partner = factory.Trait(status=Operator.Status.PARTNER)
        intent = factory.Trait(status=Operator.Status.INTENT)
        hidden = factory.Trait(status="")


class DeclaredContactFactory(DjangoModelFactory[DeclaredContact]):
    """A town hall of the public directory, with a mailbox at its own domain and an address."""

    class Meta:
        model = DeclaredContact

    organization = factory.SubFactory(CommuneFactory)
    emails = factory.LazyFunction(lambda: ["mairie@commune.example"])
    address_lines = factory.LazyAttribute(lambda it: ["1 place de la Mairie", f"01000 {it.organization.name.upper()}"])
    source = "essai"
    observed_on = dt.date(2026, 11, 1)

    class Params:
        free = factory.Trait(emails=factory.LazyFunction(lambda: ["mairie.essai@orange.fr"]))
        without_email = factory.Trait(emails=factory.LazyFunction(list))
        without_address = factory.Trait(address_lines=factory.LazyFunction(list))
