"""The factories every other test leans on make rows the database accepts."""

import pytest

from suite.directory.identifiers import is_insee, is_siren, is_siret
from suite.directory.models import Name
from tests.factories.directory import (
    CommuneFactory,
    DepartmentFactory,
    EpciFactory,
    NameFactory,
    OperatorFactory,
    siret,
)

pytestmark = pytest.mark.django_db


def test_communes_are_distinct_and_their_numbers_are_right() -> None:
    communes = CommuneFactory.create_batch(20)
    assert len({commune.siren for commune in communes}) == 20
    assert all(is_siren(commune.siren or "") and is_insee(commune.code) for commune in communes)
    assert all(is_siret(siret(commune.siren or "")) for commune in communes)
    assert Name.objects.filter(kind=Name.Kind.CURRENT).count() == 20


def test_every_situation_is_accepted_by_the_database() -> None:
    assert CommuneFactory.create(com=True).siren is None
    assert CommuneFactory.create(closed=True).successor is not None
    assert CommuneFactory.create(in_epci=True).epci is not None
    assert EpciFactory.create(closed=True).successor is not None
    assert EpciFactory.create(agglomeration=True).nature == "CA"
    assert CommuneFactory.create(department__code="56").departments == ["56"]
    assert OperatorFactory.create(national_one=True).status == ""
    assert OperatorFactory.create(partner=True, departments=["56"]).departments == ["56"]
    assert NameFactory.create().organization.names.count() == 2
    assert DepartmentFactory.create() == DepartmentFactory.create()
