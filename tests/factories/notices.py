"""Messages of the ledger."""

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from suite.notices.models import Notice


class NoticeFactory(DjangoModelFactory[Notice]):
    """A message that should leave now."""

    class Meta:
        model = Notice

    dedupe_key = factory.Sequence(lambda number: f"key:essai-{number}")
    kind = "essai"
    recipient = factory.Sequence(lambda number: f"mairie{number}@commune.example")
    subject = "Votre demande avance"
    body_text = "Bonjour,\n\nVotre demande avance.\n"
    body_html = "<p>Bonjour,</p><p>Votre demande avance.</p>"

    class Params:
        sent = factory.Trait(state=Notice.State.SENT, sent_at=factory.LazyFunction(timezone.now), attempts=1)
        failed = factory.Trait(state=Notice.State.FAILED, error="Adresse refusée par le serveur d’envoi (550).")
