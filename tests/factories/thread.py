"""Messages of a thread, built without the verbs."""

import factory
from factory.django import DjangoModelFactory

from onboarding.intake.thread_models import Message
from tests.factories.intake import DossierFactory


class MessageFactory(DjangoModelFactory[Message]):
    """What the operator wrote to the commune; `answer` is the commune's, `note` stays between operators."""

    class Meta:
        model = Message

    dossier = factory.SubFactory(DossierFactory, in_review=True)
    kind = Message.Kind.MESSAGE
    side = Message.Side.OPERATOR
    author_label = "Dominique L’Hostis"
    body = factory.Sequence(lambda number: f"Message d’essai {number}.")

    class Params:
        answer = factory.Trait(side=Message.Side.COMMUNE, author_label="Camille Dupont")
        note = factory.Trait(kind=Message.Kind.NOTE)
