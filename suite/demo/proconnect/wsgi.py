"""The WSGI entry point: `gunicorn suite.demo.proconnect.wsgi --workers 1 --threads 4`. Prepares its database first."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "suite.demo.proconnect.settings"

from django.core.wsgi import get_wsgi_application

from suite.demo.proconnect.prepare import prepare

application = get_wsgi_application()
prepare()
