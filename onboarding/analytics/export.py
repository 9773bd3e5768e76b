"""The pilot group's figures as a CSV file that no spreadsheet takes for formulas."""

import csv
from collections.abc import Iterator

from onboarding.analytics.figures import samples_of
from onboarding.analytics.models import PilotMemberQuerySet
from onboarding.intake.export import neutral

HEADER = ("Collectivité", "Code INSEE ou SIREN", "Département", "Service", "Semaine du", "Utilisateurs", "Données")


class _Echo:
    """A file that gives back what is written to it: the `csv` module formats, we send."""

    def write(self, line: str) -> str:
        return line


def lines(members: PilotMemberQuerySet) -> Iterator[str]:
    """Yield the file line by line: a BOM and semicolons, as French spreadsheets expect, one row per weekly sample."""
    writer = csv.writer(_Echo(), delimiter=";")
    yield "\ufeff" + writer.writerow(HEADER)
    rows = (
        samples_of(members)
        .order_by("week", "organization__name", "organization", "service")
        .values_list(
            "organization__name",
            "organization__code",
            "organization__department",
            "service__name",
            "week",
            "weekly_users",
            "demonstration",
        )
    )
    for *texts, week, users, demonstration in rows.iterator(chunk_size=1000):
        source = "démonstration" if demonstration else "mesurées"
        yield writer.writerow([*neutral(texts), week.isoformat(), users, source])
