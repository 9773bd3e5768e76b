"""What a copy of everything takes from here: the dossier, as its requester may download it."""

import json
from collections.abc import Iterator

from django.core.serializers.json import DjangoJSONEncoder

from onboarding.intake import presentation, record
from onboarding.provisioning import exporting
from onboarding.provisioning.models import Deployment


def dossiers(deployment: Deployment) -> Iterator[tuple[str, bytes]]:
    """Yield each dossier of the deployment, as (name, JSON)."""
    for dossier in presentation.complete().filter(deployment=deployment):
        said = json.dumps(record.record(dossier), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
        yield f"{dossier.reference}.json", said.encode()


exporting.CONTRIBUTORS.append(dossiers)
