"""The real territory, as in `tests/directory`."""

from tests.directory.conftest import france, shipped, valley

__all__ = ["france", "shipped", "valley"]
