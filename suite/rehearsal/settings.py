"""The settings of a rehearsal's processes: the product's, on a scratch database and broker, its backends wrapped."""

from suite.settings import *  # noqa: F403 - the point of the file
from suite.settings import BACKENDS

BACKENDS = {
    **BACKENDS,
    **{role: f"suite.rehearsal.faults.{role.title()}" for role in ("registrar", "dns", "mail", "storage")},
}
SECRET_KEY = "rehearsal-only-0123456789-0123456789-0123456789-0123456789"  # noqa: S105 - nobody signs in here
CELERY_IMPORTS = ["suite.rehearsal.tasks"]
CELERY_BEAT_SCHEDULE = {"sweep": {"task": "onboarding.provisioning.tasks.sweep", "schedule": 1.0}}
# What is sent to people is queued and counted, and stays there: the rehearsal measures the building.
CELERY_TASK_ROUTES = {"suite.notices.*": {"queue": "notices"}}
# A worker killed on purpose gives its commune back in seconds, not in a minute.
CELERY_TASK_TIME_LIMIT = 8
CELERY_TASK_SOFT_TIME_LIMIT = 6
PROVISIONING_LEASE_SECONDS = 10
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# Each step that did not end is one line of the engine's log: that is what « retries » counts.
LOGGING["handlers"]["counted"] = {"class": "suite.rehearsal.faults.Counted"}  # type: ignore[index]  # noqa: F405
LOGGING["loggers"] = {"onboarding.provisioning.engine": {"level": "INFO", "handlers": ["counted"]}}  # noqa: F405
LOGGING["root"]["level"] = "ERROR"  # type: ignore[index]  # noqa: F405
