from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _own_world(settings: Settings, tmp_path: Path) -> None:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
