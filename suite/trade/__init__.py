"""What the trade may change without a developer: typed settings, their versions, and the value in force."""

from typing import Any


def read(key: str) -> Any:  # noqa: ANN401 - each key has its own type, said by its schema
    """Return the value in force of a setting, in the type its schema gives. One query every two seconds."""
    from suite.trade.reading import current  # noqa: PLC0415 - this package is imported before the models may be

    return current(key)
