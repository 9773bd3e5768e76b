"""The Celery application. The database remembers; Celery only wakes: a lost or doubled message changes nothing."""

import os

from celery import Celery

from suite import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
embedded.connect()

app = Celery("suite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
