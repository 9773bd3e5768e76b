"""What every test stands on: a real PostgreSQL, and no network but where a test is about the network."""

import os

import pytest
from pytest_socket import disable_socket, enable_socket

# Before Django reads its settings: the tests' own embedded server, unless DATABASE_URL names another.
if "DATABASE_URL" not in os.environ:
    from suite import embedded

    embedded.connect("test-postgres")


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> None:
    """Close every socket but PostgreSQL's, except in the folders whose subject is the network."""
    if {"live", "browser"} & set(request.path.parts):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)
