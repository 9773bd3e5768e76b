"""What every test stands on: no network but where a test is about the network, and the catalogue of services.

The database: `tests/settings.py`.
"""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from pytest_django import DjangoDbBlocker
from pytest_socket import disable_socket, enable_socket

from onboarding.agreements.models import Text
from onboarding.provisioning import circuits
from suite.catalog.models import Service
from suite.trade import reading
from tests.demonstration import Demo

_DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_reset_sequences"}


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> None:
    """Close every socket but PostgreSQL's, except in the folders whose subject is the network."""
    if {"live", "browser", "proconnect"} & set(request.path.parts):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let a transactional test empty the tables that the product only adds to."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE journal_event DISABLE TRIGGER journal_event_no_truncate")
        cursor.execute("ALTER TABLE analytics_publishedfigure DISABLE TRIGGER analytics_figure_no_truncate")


@pytest.fixture(autouse=True)
def _settings_of_the_trade() -> None:
    """Start without any setting: those of the test before were rolled back."""
    reading.assume_empty()
    circuits.forget()


@pytest.fixture(autouse=True)
def _catalogue(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> None:
    """Give every test with a database what migrations wrote: a transactional test empties those tables too.

    Written before the test's own transaction, so that the tests that follow find it.
    """
    if request.node.get_closest_marker("django_db") or _DATABASE_FIXTURES & set(request.fixturenames):
        request.getfixturevalue("django_db_setup")
        with django_db_blocker.unblock():
            if not Service.objects.exists():
                import_module("suite.catalog.migrations.0002_services").load(apps, None)
            if not Text.objects.exists():
                import_module("onboarding.agreements.migrations.0003_model_texts").load(apps, None)
        request.getfixturevalue("_django_db_helper")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run `manage.py demo`, once for all who look at it: they share the xdist group "demonstration"."""
    enable_socket()  # this comes before `_network`
    demo = Demo(tmp_path_factory.mktemp("demo"))
    demo.start()
    yield demo
    if demo.process.poll() is None:
        demo.stop()
