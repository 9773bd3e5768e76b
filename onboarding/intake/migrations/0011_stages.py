"""Name the stages of a wait by their rank: their days are a setting now, and may change."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

STAGES = {
    "draft_15": "draft_reminder_1",
    "draft_45": "draft_reminder_2",
    "draft_60": "draft_expiry",
    "needs_changes_7": "needs_changes_reminder_1",
    "needs_changes_21": "needs_changes_reminder_2",
    "needs_changes_45": "needs_changes_expiry",
}


def rename(apps: Apps, _schema: BaseDatabaseSchemaEditor, names: dict[str, str] = STAGES) -> None:
    """Write the new name of each stage."""
    items = apps.get_model("intake", "DueItem")
    for old, new in names.items():
        items.objects.filter(kind=old).update(kind=new)


def back(apps: Apps, schema: BaseDatabaseSchemaEditor) -> None:
    """Write the old ones again."""
    rename(apps, schema, {new: old for old, new in STAGES.items()})


class Migration(migrations.Migration):
    dependencies = [("intake", "0010_desk_indexes")]
    operations = [migrations.RunPython(rename, back)]
