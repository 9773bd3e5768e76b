"""Counts that stop: « plus de 1000 » tells as much as the exact number, and costs the same at 35,000 dossiers."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import QuerySet, Subquery

from suite.accounts.models import User

MOST = 1000


class _Count(Subquery):
    """How many rows a query has, as a column of another."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS bounded)"
    output_field = models.IntegerField()


def counts(user: User, found: Sequence[QuerySet[Any]]) -> list[str]:
    """Return how many rows each query has, in words and up to `MOST`. One query for them all."""
    if not found:
        return []
    columns = {f"count_{index}": _Count(one.order_by().values("pk")[: MOST + 1]) for index, one in enumerate(found)}
    row = User.objects.filter(pk=user.pk).values_list(*columns.values()).get()
    return [f"plus de {MOST}" if count > MOST else str(count) for count in row]
