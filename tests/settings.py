"""The product's settings, with the tests' own places."""

import os
import tempfile
from pathlib import Path

# Before the product reads its own: the tests' embedded server, unless DATABASE_URL names another. pytest-django comes
# here before any conftest.py; under xdist the controller comes first, and its workers inherit DATABASE_URL.
if "DATABASE_URL" not in os.environ:
    import psycopg

    from suite import embedded

    embedded.connect("test-postgres")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as _server:
        # Nothing here must survive a power cut: durability off, for this server only.
        for _name in ("fsync", "synchronous_commit", "full_page_writes"):
            _server.execute(f"ALTER SYSTEM SET {_name} = off")
        _server.execute("SELECT pg_reload_conf()")

from suite.settings import *  # noqa: F403 - the point of the file, once the server is known

SECRET_KEY = "tests-only-0123456789-0123456789-0123456789-0123456789"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PUBLIC_BASE_URL = "http://testserver"  # the name by which Django's test client asks
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
OIDC_REQUIRE_CALLBACK_ISS = False  # as for a provider that does not promise it
# The two passwords of the site are hashed slowly on purpose; not thousands of times a run.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
_place = Path(tempfile.mkdtemp(prefix="suite-tests-"))
LOCAL_WORLD = _place / "world.sqlite3"
DOCUMENTS_DIR = _place / "documents"
ATTACHMENTS_DIR = _place / "attachments"
INBOUND_MAIL_DOMAIN = "retours.suite.example"
STATIC_ROOT = str(_place)  # it exists: whitenoise warns of one that does not
# The DNS of the local world, read without a socket.
BACKENDS = {**BACKENDS, "resolver": "tests.provisioning.world.WorldResolver"}  # noqa: F405
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING["root"]["level"] = "WARNING"  # type: ignore[index]  # noqa: F405

# Every new client would look through the 1,600 files of the design system; they are looked for when asked instead.
WHITENOISE_AUTOREFRESH = True
