"""What has to be said ahead of a date: a stage is reached when its time has come, never « on the day ».

A sweep that did not run for weeks says the latest stage only, and writes the ones it overtook as skipped; one that runs
twice says nothing twice.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from onboarding.provisioning.move_models import DueStage


class Stage(NamedTuple):
    """One thing to say, that long before the date (zero: on the date itself)."""

    kind: str
    before: dt.timedelta


def reached(stages: Sequence[Stage], about: dt.datetime, now: dt.datetime) -> list[Stage]:
    """Return the stages whose time has come, the latest last."""
    come = [stage for stage in stages if about - stage.before <= now]
    return sorted(come, key=lambda stage: -stage.before)


@transaction.atomic
def settle(subject: str, stages: Sequence[Stage], about: dt.datetime, now: dt.datetime) -> DueStage | None:
    """Write the stages reached; return the latest when it is to be said now, by this caller and no other."""
    come = reached(stages, about, now)
    if not come:
        return None
    *overtaken, latest = come
    line, created = DueStage.objects.get_or_create(
        subject=subject, kind=latest.kind, due_at=about, defaults={"outcome": DueStage.Outcome.DONE, "done_at": now}
    )
    if not created:
        return None
    DueStage.objects.bulk_create(
        [
            DueStage(subject=subject, kind=stage.kind, due_at=about, outcome=DueStage.Outcome.SKIPPED, done_at=now)
            for stage in overtaken
        ],
        ignore_conflicts=True,  # those that were said in their time
    )
    return line
