"""How personal text is erased: columns are emptied, rows stay to be counted, the chain of events holds."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

from onboarding.intake import thread_files
from onboarding.intake.models import Dossier
from onboarding.intake.personal_models import DossierErasure
from onboarding.intake.request_models import CoAuthor
from onboarding.intake.retention_fields import DOSSIER_FIELDS, DOSSIER_ROWS
from onboarding.intake.thread_models import Attachment, MessageVersion
from suite.journal.models import Event, EventText
from suite.notices.models import Notice

# What the database does not take empty: a message says something.
_NEVER_EMPTY = {"intake.Message.body": "Texte effacé."}
# Everything else hangs on its dossier by its own column.
_WAYS: dict[type[models.Model], str] = {
    Dossier: "pk__in",
    Attachment: "message__dossier__in",
    MessageVersion: "message__dossier__in",
}


def rows_of(model: type[models.Model], pks: list[Any]) -> QuerySet[Any]:
    """Return the rows of a model that belong to these dossiers."""
    return model._default_manager.filter(**{_WAYS.get(model, "dossier__in"): pks})  # noqa: SLF001 - Django's documented API


def empty_value(field: "models.Field[Any, Any]") -> Any:  # noqa: ANN401 - of any column
    """Return what a column holds once erased."""
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, ArrayField):
        return []
    return None if field.null else ""


def columns_of(names: Iterable[str]) -> dict[type[models.Model], dict[str, Any]]:
    """Return, model by model, what to write in the columns of a registry's entry."""
    found: dict[type[models.Model], dict[str, Any]] = defaultdict(dict)
    for name in names:
        app, model_name, field = name.split(".")
        if f"{app}.{model_name}" in DOSSIER_ROWS:
            continue
        model = apps.get_model(app, model_name)
        column = model._meta.get_field(field)  # noqa: SLF001 - Django's documented API
        assert isinstance(column, models.Field)  # noqa: S101 - no relation is listed
        found[model][field] = _NEVER_EMPTY.get(name, empty_value(column))
    return found


def erase_dossiers(pks: list[Any]) -> None:
    """Empty all personal text of these dossiers: theirs, their rows', their events' and their notices'.

    What is counted stays: the dossier, its dates and territory, its rows without their words, the chain of its events.
    """
    thread_files.erase(Attachment.objects.filter(message__dossier__in=pks))
    for model, values in columns_of(DOSSIER_FIELDS).items():
        rows_of(model, pks).update(**values)
    for name in DOSSIER_ROWS:
        rows_of(apps.get_model(name), pks).delete()
    shared = CoAuthor.objects.filter(dossier__in=pks)
    events = Event.objects.filter(
        Q(stream="dossier", subject__in=pks) | Q(stream="co_author", subject__in=shared.values("pk"))
    )
    EventText.objects.filter(event__in=events.values("pk")).update(actor_label="", comment="")
    erase_notices(Notice.objects.filter(event__in=events.values("pk")).exclude(state=Notice.State.QUEUED))
    now = timezone.now()
    for pk in pks:
        DossierErasure.objects.update_or_create(dossier_id=pk, defaults={"erased_at": now})


def erase_notices(rows: QuerySet[Notice]) -> None:
    """Keep that these messages left, and when; not to whom, nor what they said."""
    for pk, key in rows.values_list("pk", "dedupe_key"):
        # The key names the recipient: its digest still says that this very message left.
        hidden = key if key.startswith("erased:") else f"erased:{hashlib.sha256(key.encode()).hexdigest()}"
        Notice.objects.filter(pk=pk).update(
            dedupe_key=hidden, recipient="", subject="", body_text="", body_html="", error="", url=""
        )
