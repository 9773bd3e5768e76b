"""Let an act on many dossiers wait for a worker."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("intake", "0012_remark_rows")]
    operations = [
        migrations.AddField(
            model_name="bulkact",
            name="pending_at",
            field=models.DateTimeField(
                blank=True, help_text="Since when there is something to do; else null.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="bulkact",
            index=models.Index(condition=Q(pending_at__isnull=False), fields=["pending_at"], name="bulk_act_pending"),
        ),
    ]
