"""The product's settings, with the tests' own places."""

import tempfile
from pathlib import Path

from suite.settings import *  # noqa: F403 - the point of the file

SECRET_KEY = "tests-only-0123456789-0123456789-0123456789-0123456789"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
_place = Path(tempfile.mkdtemp(prefix="suite-tests-"))
LOCAL_WORLD = _place / "world.sqlite3"
# The DNS of the local world, read without a socket.
BACKENDS = {**BACKENDS, "resolver": "tests.provisioning.world.WorldResolver"}  # noqa: F405
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING["root"]["level"] = "WARNING"  # type: ignore[index]  # noqa: F405
