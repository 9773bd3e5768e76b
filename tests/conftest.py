"""What every test stands on: no network but where a test is about the network. The database: `tests/settings.py`."""

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> None:
    """Close every socket but PostgreSQL's, except in the folders whose subject is the network."""
    if {"live", "browser"} & set(request.path.parts):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)
