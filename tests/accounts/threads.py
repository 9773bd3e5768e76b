"""Several people at once."""

import threading
from collections.abc import Callable

from django.db import connection


def together(act: Callable[[], object], times: int) -> tuple[list[object], list[Exception]]:
    """Run it in as many threads, released at once; return the results and the failures."""
    barrier = threading.Barrier(times)
    results: list[object] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=10)
            results.append(act())
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return results, failures
