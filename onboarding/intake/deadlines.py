"""Stands in for the working days of the states: the lead drops this file at the merge."""

import datetime as dt

from onboarding.intake.models import Dossier

WATCH = 0.6


def band(dossier: Dossier, now: dt.datetime) -> str:
    """Return "on_time", "watch" (over 60 % of the time), "late", "paused", or "" for what is decided."""
    if dossier.status not in Dossier.OPEN or dossier.due_at is None:
        return ""
    if dossier.status == Dossier.Status.NEEDS_CHANGES:
        return "paused"
    if dossier.due_at < now:
        return "late"
    start = dossier.submitted_at or dossier.created_at
    return "watch" if now > start + WATCH * (dossier.due_at - start) else "on_time"


def age(dossier: Dossier, now: dt.datetime) -> int:
    """Return how many working days ago the dossier was first sent."""
    start, end = (dossier.submitted_at or dossier.created_at).date(), now.date()
    weeks, days = divmod((end - start).days, 7)
    return 5 * weeks + sum(1 for one in range(days) if (start + dt.timedelta(days=one + 1)).weekday() < 5)  # noqa: PLR2004
