from django.db import migrations, models


class Migration(migrations.Migration):
    """Stands in for the migration that gives a dossier its due date."""

    dependencies = [("intake", "0002_assisted")]

    operations = [
        migrations.AddField(
            model_name="dossier",
            name="due_at",
            field=models.DateTimeField(blank=True, db_index=True, null=True),
        ),
    ]
