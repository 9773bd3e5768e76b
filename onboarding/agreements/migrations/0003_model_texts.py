from typing import Any

from django.db import migrations

from onboarding.agreements import shipped


def load(apps: Any, schema_editor: Any) -> None:
    shipped.load(apps.get_model("agreements", "Text"), apps.get_model("agreements", "PriceLine"))


class Migration(migrations.Migration):
    dependencies = [("agreements", "0002_never_changed")]

    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
