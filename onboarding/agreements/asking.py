"""Who has still to accept what: shown to managers and operators, and asked again by a sweep when a text changes.

Each stage has a day; the sweep sends what is due and was never asked, so that a late or doubled run changes nothing.
After a gap only the latest stage is sent, and those before it are written down as passed over.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django.utils import timezone

from onboarding.agreements.models import Acceptance, Asked, Text
from onboarding.agreements.texts import chosen, effective
from suite.accounts.models import Membership, User
from suite.accounts.rights import LIVE
from suite.directory.models import Operator, Organization
from suite.notices.workflow import queue

SPEAKING = (Membership.Role.MANAGER, Membership.Role.REQUESTER)
BATCH = 200
REMINDER_BEFORE = dt.timedelta(days=14)


@dataclass(frozen=True)
class Lack:
    """Texts in force that an organization has not accepted, and the last day to do so."""

    organization: Organization
    operator: Operator
    texts: tuple[Text, ...]

    @property
    def due_on(self) -> dt.date:
        """The first of the last days."""
        return min(due_on(text) for text in self.texts)

    @property
    def overdue(self) -> bool:
        """Whether one of the delays is over."""
        return timezone.localdate() > self.due_on


def due_on(text: Text) -> dt.date:
    """Return the last day to accept a version."""
    assert text.effective_on is not None  # noqa: S101 - a published text has its date
    return text.effective_on + dt.timedelta(days=text.grace_days)


def served() -> QuerySet[Organization]:
    """Return the organizations that an operator serves, with it; what they sign, they sign with the first."""
    return (
        Organization.objects.filter(operators__isnull=False, successor__isnull=True)
        .distinct()
        .prefetch_related(Prefetch("operators", Operator.objects.order_by("national", "name")))
        .order_by("name", "pk")
    )


def lacks(organizations: Iterable[Organization]) -> Iterator[Lack]:
    """Yield what each of these organizations has still to accept. Two queries, whatever their number."""
    organizations = list(organizations)
    if not organizations:
        return
    serving = {one.pk: next(iter(one.operators.all())) for one in organizations}
    versions = list(effective({one.pk: one for one in serving.values()}.values()))
    texts = {operator.pk: chosen(versions, operator) for operator in serving.values()}
    accepted: dict[UUID, set[UUID]] = defaultdict(set)
    rows = Acceptance.objects.filter(organization__in=[one.pk for one in organizations])
    for organization, text in rows.values_list("organization", "text"):
        accepted[organization].add(text)
    for one in organizations:
        lacking = tuple(text for text in texts[serving[one.pk].pk] if text.pk not in accepted[one.pk])
        if lacking:
            yield Lack(one, serving[one.pk], lacking)


def to_accept(user: User) -> list[Lack]:
    """Return what the organizations for which the person speaks have still to accept. Four queries at most."""
    own = Membership.objects.filter(user=user, state__in=LIVE, role__in=SPEAKING).values("organization")
    return list(lacks(served().filter(pk__in=own)))


# --- The sweep --------------------------------------------------------------------------------------------------------


def stages(text: Text) -> list[tuple[str, dt.date]]:
    """Return the days on which a version is asked for: at once, two weeks before the end, and at the end."""
    assert text.effective_on is not None  # noqa: S101 - a published text has its date
    end = due_on(text)
    return [
        ("asked", text.effective_on),
        ("reminder", max(end - REMINDER_BEFORE, text.effective_on)),
        ("over", end + dt.timedelta(days=1)),
    ]


def sweep(today: dt.date | None = None) -> int:
    """Ask what is due and was not asked yet; return how many organizations were written to."""
    today = today or timezone.localdate()
    count = 0
    pks = list(served().values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        batch = list(served().filter(pk__in=pks[start : start + BATCH]))
        known = set(
            Asked.objects.filter(organization__in=[one.pk for one in batch], cause__startswith="text:").values_list(
                "organization", "cause", "stage"
            )
        )
        for lack in lacks(batch):
            if any(
                (lack.organization.pk, f"text:{text.pk}", stage) not in known
                for text in lack.texts
                for stage, day in stages(text)
                if day <= today
            ):
                count += _ask(lack, today)
    return count


@transaction.atomic
def _ask(lack: Lack, today: dt.date) -> bool:
    """Write to the organization about all it lacks, once: the rows say what was asked, under a lock."""
    Organization.objects.select_for_update(of=("self",), no_key=True).get(pk=lack.organization.pk)
    done = set(
        Asked.objects.filter(organization=lack.organization, cause__startswith="text:").values_list("cause", "stage")
    )
    latest = ""
    for text in lack.texts:
        due = [(stage, day) for stage, day in stages(text) if day <= today]
        fresh = [(stage, day) for stage, day in due if (f"text:{text.pk}", stage) not in done]
        if not fresh or due[-1] not in fresh:
            continue  # a later stage was sent already: what comes before it is past
        Asked.objects.bulk_create(
            Asked(
                organization=lack.organization,
                cause=f"text:{text.pk}",
                stage=stage,
                due_on=day,
                skipped=(stage, day) != fresh[-1],
            )
            for stage, day in fresh
        )
        latest = max(latest, fresh[-1][0], key=["", "asked", "reminder", "over"].index)
    if not latest:
        return False
    key = f"agreements:{lack.organization.pk}:{latest}:{'+'.join(sorted(str(text.pk)[:8] for text in lack.texts))}"
    page = reverse("agreements:accept", args=[lack.organization.pk])
    context = {
        "organization": lack.organization,
        "operator": lack.operator,
        "texts": lack.texts,
        "due_on": lack.due_on,
        "over": lack.overdue,
        "url": f"{settings.PUBLIC_BASE_URL}{page}",
    }
    for address in managers_of(lack.organization):
        queue("agreements_to_accept", to=address, key=key, context=context)
    if latest == "over":
        page = reverse("agreements:follow")
        queue(
            "agreements_overdue",
            to=lack.operator.email,
            key=key,
            context={**context, "url": f"{settings.PUBLIC_BASE_URL}{page}"},
        )
    return True


def managers_of(organization: Organization) -> list[str]:
    """Return the addresses of those who manage the organization, of those who speak for it when nobody manages."""
    speaking = organization.memberships.filter(state__in=LIVE, role__in=SPEAKING).exclude(user__email="")
    managers = speaking.filter(role=Membership.Role.MANAGER)
    return sorted(set((managers if managers.exists() else speaking).values_list("user__email", flat=True)))
