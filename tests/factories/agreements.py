"""Texts in each situation of their life, built without the verbs."""

import datetime as dt

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from onboarding.agreements.digests import digest
from onboarding.agreements.models import Text


class TextFactory(DjangoModelFactory[Text]):
    """A convention of the national model, published and in force; `draft` leaves it to be written."""

    class Meta:
        model = Text

    kind = Text.Kind.CONVENTION
    title = "Convention d’essai"
    body = factory.Sequence(lambda n: f"## Article {n}\n\nLa collectivité et l’opérateur conviennent.")
    number = factory.Sequence(lambda n: n + 10)
    effective_on = factory.LazyFunction(lambda: timezone.localdate() - dt.timedelta(days=1))
    published_at = factory.LazyFunction(timezone.now)
    digest = factory.LazyAttribute(lambda it: digest(it.kind, it.title, it.body) if it.published_at else "")
    changes = "Le préavis passe à six mois."

    class Params:
        draft = factory.Trait(number=None, effective_on=None, published_at=None)
        coming = factory.Trait(effective_on=factory.LazyFunction(lambda: timezone.localdate() + dt.timedelta(days=9)))
