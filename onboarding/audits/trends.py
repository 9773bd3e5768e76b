"""What stands of the country, counted once a day: everywhere, and by département."""

from collections import Counter, defaultdict
from datetime import date

from django.db import transaction

from onboarding.audits.results_models import Examination, Trend

EVERYWHERE = "FR"


@transaction.atomic
def count(day: date) -> None:
    """Count every group and criterion by state, for each département and for all; a second count replaces the first."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    seen: Counter[str] = Counter()
    rows = Examination.objects.filter(organization__closed_on=None).values_list(
        "organization__departments", "groups", "verdicts"
    )
    for departments, groups, verdicts in rows.iterator(2_000):
        states = {**groups, **{rule: verdict[0] for rule, verdict in verdicts.items()}}
        for scope in (EVERYWHERE, *departments):
            seen[scope] += 1
            for name, state in states.items():
                counts[scope][name][state] += 1
    Trend.objects.bulk_create(
        [Trend(day=day, scope=scope, counts=found, organizations=seen[scope]) for scope, found in counts.items()],
        update_conflicts=True,
        unique_fields=["day", "scope"],
        update_fields=["counts", "organizations"],
    )
