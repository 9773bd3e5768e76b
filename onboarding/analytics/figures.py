"""What the pilot page counts. Every figure comes from stored samples, never from how things are today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Max, Min, QuerySet, Sum

from onboarding.analytics.chart import Series
from onboarding.analytics.models import PilotMember, PilotMemberQuerySet
from suite.catalog.models import UsageSample

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Span:
    """The first and the last week (Mondays) for which a group has samples."""

    first: date
    last: date

    def months(self) -> list[date]:
        """Return the first day of each month of the span, latest first."""
        month, months = self.last.replace(day=1), []
        while month >= self.first.replace(day=1):
            months.append(month)
            month = (month - timedelta(days=1)).replace(day=1)
        return months


@dataclass(frozen=True)
class Figures:
    """The weeks of the period, a series per service that has samples in it, and what stands at the last week."""

    weeks: Sequence[date]
    series: Sequence[Series]
    demonstration: bool
    members: int
    using_base: int

    def rows(self) -> list[tuple[date, list[int | None]]]:
        """Return the table of the chart: a line per week, latest first."""
        return [
            (week, [one.values[index] for one in self.series]) for index, week in reversed(list(enumerate(self.weeks)))
        ]


def samples_of(members: PilotMemberQuerySet) -> QuerySet[UsageSample]:
    """Return the samples of the organizations of a group."""
    return UsageSample.objects.filter(organization__in=members.values("organization"))


def span(members: PilotMemberQuerySet) -> Span | None:
    """Return the weeks known of these members; None when there is no sample."""
    ends = samples_of(members).aggregate(first=Min("week"), last=Max("week"))
    return Span(ends["first"], ends["last"]) if ends["last"] else None


def compute(members: PilotMemberQuerySet, since: date, last: date) -> Figures:
    """Count the members' weekly users per service from the week of `since` to the week `last`: three queries."""
    first = since - timedelta(days=since.weekday())
    weeks = [first + WEEK * number for number in range((last - first).days // 7 + 1)]
    totals: dict[tuple[str, date], int] = {}
    names: dict[str, int] = {}
    demonstration = False
    rows = (
        samples_of(members)
        .filter(week__range=(first, last))
        .values("service__name", "week")
        .annotate(users=Sum("weekly_users"), invented=BoolOr("demonstration"))
        .order_by("week", "service__position", "service")
    )
    for row in rows:
        totals[row["service__name"], row["week"]] = row["users"]
        names[row["service__name"]] = row["users"]
        demonstration = demonstration or row["invented"]
    there = members.filter(since__lte=last + WEEK)
    # The most used at the end come first: they get the plainest lines.
    ordered = sorted(names, key=lambda name: -names[name])
    return Figures(
        weeks=weeks,
        series=[Series(name, [totals.get((name, week)) for week in weeks]) for name in ordered],
        demonstration=demonstration,
        members=there.count(),
        using_base=samples_of(there)
        .filter(week=last, service__base=True, weekly_users__gt=0)
        .values("organization")
        .distinct()
        .count(),
    )


def users_at(week: date, members: Sequence[PilotMember]) -> dict[tuple[object, str], int]:
    """Return the users of each of these members per service name, that week."""
    samples = UsageSample.objects.filter(week=week, organization__in=[member.organization_id for member in members])
    return {
        (organization, name): users
        for organization, name, users in samples.values_list("organization", "service__name", "weekly_users")
    }
