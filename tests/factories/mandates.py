"""Proofs of mandate in each situation of their life, built without the verbs."""

import datetime as dt

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from suite.accounts.mandate_models import MandateProof
from tests.factories.accounts import CommuneRowFactory, UserFactory


class MandateProofFactory(DjangoModelFactory[MandateProof]):
    """An established code by e-mail; the traits give the other routes and an end."""

    class Meta:
        model = MandateProof

    organization = factory.SubFactory(CommuneRowFactory)
    user = factory.SubFactory(UserFactory)
    requested_by = factory.LazyAttribute(lambda it: it.user or UserFactory.create())
    route = MandateProof.Route.EMAIL
    state = MandateProof.State.PROVED
    proved_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(lambda it: it.proved_at + dt.timedelta(days=365) if it.proved_at else None)

    class Params:
        letter = factory.Trait(route=MandateProof.Route.LETTER)
        document = factory.Trait(route=MandateProof.Route.DOCUMENT)
        pending = factory.Trait(state=MandateProof.State.PENDING, proved_at=None, expires_at=None)
        over = factory.Trait(expires_at=factory.LazyFunction(lambda: timezone.now() - dt.timedelta(days=1)))
