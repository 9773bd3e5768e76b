"""What was published, for good: a trigger of the database refuses that a figure be changed or deleted."""

from django.db import models

NATIONAL = "national"
DEPARTMENT, OPERATOR = "department:", "operator:"


class PublishedFigure(models.Model):
    """One figure of one month, for one scope, as the events recorded before `as_of` tell it.

    The first `as_of` of a month is its closing (`months.closing`): the published figure. A later one is « révisé ».
    """

    metric = models.CharField(max_length=80, help_text="A code of `definitions`.")
    definition_version = models.PositiveSmallIntegerField()
    scope = models.CharField(max_length=60, help_text="national, department:<code> or operator:<identifier>.")
    period = models.DateField(help_text="The first day of the month.")
    as_of = models.DateTimeField(help_text="Events recorded from that instant on are not counted.")
    # A count, whole working days or hours, or a share between 0 and 1. Null: nothing to measure.
    value = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    n = models.PositiveIntegerField(help_text="How many dossiers, decisions or services the value is about.")
    event_high_water = models.PositiveBigIntegerField(help_text="The highest event known at `as_of`; 0, none.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["period", "scope", "metric", "definition_version", "as_of"], name="figure_published_once"
            ),
            models.CheckConstraint(condition=models.Q(period__day=1), name="figure_of_a_whole_month"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.scope} {self.period:%Y-%m}"
