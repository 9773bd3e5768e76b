"""Give the dossiers already there the dates that the verbs now keep."""

from typing import Any

from django.db import migrations

from onboarding.intake.calendar import add_working_days, advance, worked

TAKE_DAYS, DECIDE_DAYS = 2, 5


def fill(apps: Any, _: Any) -> None:
    """Start each clock at the first sending; what waits for the commune stands still since its last change."""
    rows = apps.get_model("intake", "Dossier").objects.filter(submitted_at__isnull=False).select_related("organization")
    for dossier in rows.iterator(chunk_size=500):
        place = dossier.organization.department_id or next(iter(dossier.organization.departments), "")
        dossier.clock_at = dossier.last_submitted_at = start = dossier.submitted_at
        if dossier.status == "needs_changes":
            dossier.paused_at = dossier.changed_at
        if dossier.status in {"submitted", "in_review", "second_approval"}:
            days = TAKE_DAYS if dossier.status == "submitted" else DECIDE_DAYS
            dossier.due_at = add_working_days(start, days, place)
            dossier.watch_at = advance(start, worked(start, dossier.due_at, place) * 0.6, place)
        dossier.save(update_fields=["clock_at", "last_submitted_at", "paused_at", "due_at", "watch_at"])


class Migration(migrations.Migration):
    dependencies = [("intake", "0003_states")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
