"""How fast the country is asked, all workers together: a row of the database is the clock they share."""

from django.conf import settings
from django.db import connection

from onboarding.audits.results_models import Pace

# What was not asked is not asked faster afterwards.
BURST = 1.0  # second


class SharedBudget:
    """Questions a second for all workers; one statement for each block of questions, whoever asks."""

    def __init__(self, name: str = "dns", rate: float | None = None) -> None:
        self._name, self._rate = name, settings.AUDIT_QUERIES_PER_SECOND if rate is None else rate

    def reserve(self, count: int) -> float:
        """Reserve `count` questions and return how many seconds from now they may leave."""
        if self._rate <= 0:
            return 0.0
        table = connection.ops.quote_name(Pace._meta.db_table)  # noqa: SLF001 - Django's documented API
        takes = count / self._rate
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} AS pace (name, free_at) VALUES (%s, clock_timestamp() + %s * interval '1 s')"  # noqa: S608 - a table's name
                " ON CONFLICT (name) DO UPDATE SET"
                " free_at = GREATEST(pace.free_at, clock_timestamp() - %s * interval '1 s') + %s * interval '1 s'"
                " RETURNING EXTRACT(EPOCH FROM free_at - %s * interval '1 s' - clock_timestamp())",
                [self._name, takes, BURST, takes, takes],
            )
            (wait,) = cursor.fetchone()
        return max(float(wait), 0.0)
