"""Groups, and who is in them."""

from datetime import date

import factory
from factory.django import DjangoModelFactory

from onboarding.analytics.models import PilotGroup, PilotMember
from tests.factories.directory import CommuneFactory


class PilotGroupFactory(DjangoModelFactory[PilotGroup]):
    class Meta:
        model = PilotGroup

    slug = factory.Sequence(lambda number: f"groupe-{number}")
    name = factory.Sequence(lambda number: f"Groupe d’essai {number}")


class PilotMemberFactory(DjangoModelFactory[PilotMember]):
    class Meta:
        model = PilotMember

    group = factory.SubFactory(PilotGroupFactory)
    organization = factory.SubFactory(CommuneFactory)
    since = date(2025, 5, 5)
