"""How steps ended, and the one statement that writes many ends at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from onboarding.provisioning.models import Step


@dataclass(frozen=True)
class End:
    """The columns of a step once it ran. What it saw of its resource is on the step (`steps.observe`)."""

    step: Step
    status: str
    due_at: datetime
    failures: int
    code: str = ""
    note: str = ""
    finished_at: datetime | None = None

    @classmethod
    def untouched(cls, step: Step, now: datetime) -> "End":
        """Return the end of a step that was leased and not run: as it was, and due."""
        return cls(step, Step.Status.WAITING, now, step.failures, step.code, step.note)


# No join through Django here: each row is tested and set on itself, whoever changes it at the same instant.
_STEPS = """
UPDATE provisioning_step AS step
SET status = ended.status, due_at = ended.due_at, failures = ended.failures, code = ended.code, note = ended.note,
    finished_at = ended.finished_at
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::timestamptz[], %s::int[], %s::text[], %s::text[], %s::timestamptz[])
    AS ended (id, attempt, status, due_at, failures, code, note, finished_at)
WHERE step.id = ended.id AND step.attempt = ended.attempt AND step.status = 'waiting'
RETURNING step.id
"""
# Unless a later look was written meanwhile.
_RESOURCES = """
UPDATE provisioning_resource AS resource
SET observed = looked.seen::jsonb, observed_at = looked.at, looked_at = looked.at, unknown_since = NULL
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS looked (id, seen, at)
WHERE resource.id = looked.id AND (resource.observed_at IS NULL OR resource.observed_at <= looked.at)
"""


def store(ends: Sequence[End]) -> set[UUID]:
    """Write each end whose step nobody took since, and what the steps saw; return the steps written."""
    columns: list[Any] = [
        [end.step.pk for end in ends],
        [end.step.attempt for end in ends],
        [str(end.status) for end in ends],
        [end.due_at for end in ends],
        [end.failures for end in ends],
        [end.code for end in ends],
        [end.note for end in ends],
        [end.finished_at for end in ends],
    ]
    looks = [(end.step.resource_id, *end.step.seen) for end in ends if end.step.seen and end.step.resource_id]
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, columns)
        ours = {row[0] for row in cursor.fetchall()}
        if looks:
            cursor.execute(
                _RESOURCES,
                [[pk for pk, _, _ in looks], [json.dumps(seen) for _, seen, _ in looks], [at for _, _, at in looks]],
            )
    return ours
