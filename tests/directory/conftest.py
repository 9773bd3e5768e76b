"""The real territory, imported once for the modules that ask for it, and removed after them."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from suite.directory import importer, snapshot
from suite.directory.snapshot import Commune, Department, Epci, PastName, Region, Territory


@pytest.fixture(scope="session")
def shipped() -> Territory:
    return snapshot.shipped()[0]


@pytest.fixture(scope="module")
def france(shipped: Territory, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Commit the whole territory for one module."""
    with django_db_blocker.unblock():
        importer.load(shipped, snapshot.mergers(), snapshot.digest(snapshot.read_shipped()))
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE directory_organization, directory_department, directory_importrun CASCADE")


@pytest.fixture
def valley() -> Territory:
    """A territory of four communes and two EPCI, with SIRENs of the real ones."""
    return Territory(
        source="essai",
        vintage=snapshot.VINTAGE_2026,
        regions=(Region("84", "Auvergne-Rhône-Alpes"),),
        departments=(Department("01", "Ain", "84"), Department("38", "Isère", "84")),
        epci=(Epci("200069193", "CC de la Dombes", "CC", 4000), Epci("200042497", "CC Dombes Saône Vallée", "CC", 900)),
        communes=(
            Commune("01001", "L'Abergement-Clémenciat", "metro", "01", "210100012", 860, ("01400",), "200069193"),
            Commune("01002", "L'Abergement-de-Varey", "metro", "01", "210100020", 270, ("01640",), "200069193"),
            Commune("01015", "Arboys en Bugey", "metro", "01", "200053668", 710, ("01300",), "200042497"),
            Commune("38061", "La Buisse", "metro", "38", "213800618", 3500, ("38500", "38501"), "200042497"),
        ),
        past=(PastName("deleguee", "01015", "Arbignieu", "01015"), PastName("ancienne", "01340", "", "01015")),
    )
