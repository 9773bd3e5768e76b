"""The WSGI entry point, for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from suite import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
embedded.connect()

application = get_wsgi_application()
