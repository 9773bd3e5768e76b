"""The Celery application. The database remembers; Celery only wakes: a lost or doubled message changes nothing."""

import os
from pathlib import Path
from typing import Any

from celery import Celery, Task, states
from celery.signals import task_postrun
from django.conf import settings

from suite import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
if not settings.configured:
    # A worker or beat starts here; whoever comes by `SuiteConfig.ready` has read its settings already.
    embedded.connect()

app = Celery("suite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_postrun.connect(dispatch_uid="suite: heartbeat")
def _beat(task: Task[..., Any], state: str | None = None, **_facts: object) -> None:
    """Leave a heartbeat of each task of the schedule that ended well."""
    if state == states.SUCCESS:
        from suite import health  # noqa: PLC0415 - needs the models

        health.note(task.name)


# The broker made of files does not make its own folders; a worker started by hand must not need to know.
_options: dict[str, Any] = settings.CELERY_BROKER_TRANSPORT_OPTIONS
for _folder in {"data_folder_in", "control_folder"} & set(_options):
    Path(_options[_folder]).mkdir(parents=True, exist_ok=True)
