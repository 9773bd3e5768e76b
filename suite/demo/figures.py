"""The demonstration's pilot group: real communes, figures of the programme for one week, invented ones before it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from math import exp

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import MD5, RowNumber

from onboarding.analytics import workflow
from onboarding.analytics.models import PilotGroup
from suite.catalog.models import Service
from suite.catalog.workflow import Usage, record_usage
from suite.directory.models import Organization

SLUG = "pilote-2025"
# What the programme told in November 2025: so many collectivités, and users per week.
REPORT_WEEK = date(2025, 11, 17)
COLLECTIVITES = 146
WEEKS = 31
WAVES = 8


@dataclass(frozen=True)
class _Story:
    """A service: its users in the week of the report, how many collectivités they come from, when it took off."""

    slug: str
    users: int
    collectivites: int
    half_way: float  # the week at which half of the growth is made, from 0 to 1


STORIES = (
    _Story("projets", 350, 121, 0.55),
    _Story("fichiers", 200, 84, 0.6),
    _Story("messages", 150, 67, 0.7),
)


@transaction.atomic
def ensure_pilot() -> int:
    """Create what is missing of the group and of its samples; return how many collectivités it has.

    Always chooses the same communes and the same figures from the same directory; a second call changes nothing.

    Raises:
        LookupError: the directory holds too few eligible communes; import it first.
    """
    group, created = PilotGroup.objects.get_or_create(slug=SLUG, defaults={"name": "Groupe pilote"})
    if not created:
        return group.members.count()
    communes = _choose()
    # Waves of nearly equal size, from the first week to four weeks before the report.
    bounds = [COLLECTIVITES * number // WAVES for number in range(WAVES + 1)]
    first = REPORT_WEEK - timedelta(weeks=WEEKS - 1)
    arrivals: list[int] = []
    for number in range(WAVES):
        week = number * (WEEKS - 5) // (WAVES - 1)
        wave = communes[bounds[number] : bounds[number + 1]]
        workflow.enroll(group, wave, since=first + timedelta(weeks=week), by=None)
        arrivals += [week] * len(wave)
    ids = dict(Service.objects.filter(slug__in=[story.slug for story in STORIES]).values_list("slug", "pk"))
    record_usage(
        (
            Usage(communes[place].pk, ids[story.slug], first + timedelta(weeks=week), users)
            for story in STORIES
            for week, place, users in _invent(story, arrivals)
        ),
        demonstration=True,
    )
    return len(communes)


def _choose() -> list[Organization]:
    """Take a commune in each département, then a second one, in an order that means nothing and never changes."""
    mixed = MD5("code")
    chosen = list(
        Organization.objects.current()
        .filter(kind=Organization.Kind.COMMUNE, zone="metro", population__gt=0, population__lt=3500)
        .annotate(
            turn=Window(RowNumber(), partition_by=F("department"), order_by=mixed.asc()),
            mixed=mixed,
        )
        .order_by("turn", "mixed")[:COLLECTIVITES]
    )
    if len(chosen) < COLLECTIVITES:
        raise LookupError(
            f"The directory holds {len(chosen)} communes for a group of {COLLECTIVITES}: import it first "
            "(manage.py import_directory)."
        )
    return sorted(chosen, key=lambda one: _lot("arrival", one.code))


def _invent(story: _Story, arrivals: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (week, place of the collectivité, users) such that the last week adds up to the programme's figure."""
    users_of = sorted(range(len(arrivals)), key=lambda place: _lot(story.slug, str(place)))[: story.collectivites]
    growth = [1 / (1 + exp(-9 * (week / (WEEKS - 1) - story.half_way))) for week in range(WEEKS)]
    samples = []
    for week in range(WEEKS):
        here = [place for place in users_of if arrivals[place] <= week]
        # Holidays empty the town halls: a dip in August, as everywhere.
        monday = REPORT_WEEK - timedelta(weeks=WEEKS - 1 - week)
        season = 0.6 if monday.month == 8 else 1  # noqa: PLR2004 - August
        noise = 1 if week == WEEKS - 1 else 0.96 + 0.08 * _lot(story.slug, f"week {week}")
        total = round(story.users * growth[week] / growth[-1] * season * noise)
        weights = [0.4 + _lot(story.slug, f"weight {place}") for place in here]
        samples += [(week, place, users) for place, users in zip(here, _share(total, weights), strict=True)]
    return samples


def _share(total: int, weights: Sequence[float]) -> list[int]:
    """Cut a whole number into whole parts, in proportion to the weights: they always add up to it."""
    if not weights:
        return []
    reached = [round(total * sum_ / sum(weights)) for sum_ in accumulate(weights)]
    reached[-1] = total
    return [after - before for before, after in zip([0, *reached], reached, strict=False)]


def _lot(*names: str) -> float:
    """Draw a number in [0, 1) that depends on the names alone: chance, the same at every run."""
    return int.from_bytes(hashlib.sha256(":".join(names).encode()).digest()[:6]) / 2**48
