"""Events; their number, their hash and their link to the one before come from the only verb that writes them."""

import uuid
from typing import Any

import factory
from factory.django import DjangoModelFactory

from suite.journal.models import Event
from suite.journal.workflow import record


class EventFactory(DjangoModelFactory[Event]):
    """The next event of a thing; give `stream` and `subject` to lengthen a chain."""

    class Meta:
        model = Event

    stream = "essai"
    subject = factory.LazyFunction(uuid.uuid4)
    kind = "essai.fait"
    by = None

    @classmethod
    def _create(cls, model_class: type[Event], *args: Any, **kwargs: Any) -> Event:  # noqa: ARG003 - factory_boy's
        return record(kwargs.pop("stream"), kwargs.pop("subject"), kwargs.pop("kind"), **kwargs)
