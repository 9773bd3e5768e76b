"""Let a correction name the mailboxes it is about; those asked before stand for the whole list."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("intake", "0011_stages")]
    operations = [
        migrations.AddField(
            model_name="remark",
            name="rows",
            field=ArrayField(
                models.CharField(max_length=36),
                blank=True,
                default=list,
                help_text="Of the list of mailboxes, the identities of those to correct; none: the whole list.",
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="remark",
            constraint=models.CheckConstraint(
                condition=Q(rows=[]) | Q(fields__contains=["mailboxes"]), name="remark_rows_are_of_the_list"
            ),
        ),
    ]
