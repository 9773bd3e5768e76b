"""Rebuild every published figure from the journal, and say which are not what is stored."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.analytics.figure_models import PublishedFigure
from onboarding.analytics.publishing import mismatches


class Command(BaseCommand):
    """Say whether the journal still tells what was published."""

    help = "Recalcule les chiffres publiés à partir du journal et signale ceux qui en diffèrent."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's own arguments
        """Print each figure that differs; exit 1 when there is one."""
        wrong = list(mismatches())
        for figure in wrong:
            self.stdout.write(figure)
        if wrong:
            raise CommandError(f"{len(wrong)} figures are not what the journal tells.")
        self.stdout.write(f"{PublishedFigure.objects.count()} figures are what the journal tells.")
