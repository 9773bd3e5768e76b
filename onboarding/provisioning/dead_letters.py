"""« À reprendre »: the steps that need a person, by cause; retried together once seen, and never forgotten."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, Max, Min
from django.urls import reverse
from django.utils import timezone

from onboarding.provisioning import workflow
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Step
from suite.accounts.models import User
from suite.directory.models import Operator
from suite.notices.workflow import queue

PREVIEWED_MAX = 500  # steps retried by one gesture
OLD = timedelta(days=1)


@dataclass(frozen=True)
class Cause:
    """Why steps of one kind are blocked: how many, since when, and what was last said of it."""

    name: str
    code: str
    count: int
    since: datetime
    note: str

    @property
    def label(self) -> str:
        """The name of the step, as people read it."""
        return Step.Name(self.name).label

    @property
    def old(self) -> bool:
        """Whether the oldest waits for longer than it should."""
        return self.since < timezone.now() - OLD


def causes(user: User | AnonymousUser) -> list[Cause]:
    """Return the causes of what the person sees blocked, the most frequent first. One query."""
    rows = (
        Step.objects.to_resume(user)
        .order_by()
        .values("name", "code")
        .annotate(count=Count("pk"), since=Min("due_at"), note=Max("note"))
        .order_by("-count", "since")
    )
    return [Cause(**row) for row in rows]


def of_cause(user: User | AnonymousUser, name: str, code: str) -> list[Step]:
    """Return the steps of one cause that the person may act on, the longest blocked first: what a retry would take."""
    steps = Step.objects.to_resume(user).filter(name=name, code=code)[:PREVIEWED_MAX]
    return [step for step in steps if workflow.may_operate(user, step.deployment)]


def retry_all(name: str, code: str, previewed: Collection[UUID], *, by: User) -> tuple[int, int]:
    """Run again the steps that the person was shown, and no other; return how many, and how many had moved on."""
    retried = 0
    for step in of_cause(by, name, code):
        if step.pk not in previewed:
            continue
        try:
            workflow.retry(step, by=by)
        except WrongState:
            continue
        retried += 1
    return retried, len(set(previewed)) - retried


def alert() -> int:
    """Tell each operator, once a day, that something of theirs has waited for more than a day; return how many."""
    now, today = timezone.now(), timezone.localdate()
    old = (
        Step.objects.filter(status=Step.Status.BLOCKED, due_at__lt=now - OLD, deployment__closed_at__isnull=True)
        .values("deployment__operator")
        .annotate(count=Count("pk"), since=Min("due_at"))
    )
    waiting = {row["deployment__operator"]: row for row in old}
    for operator in Operator.objects.filter(pk__in=waiting):
        queue(
            "blocked_steps",
            to=operator.email,
            context={
                "operator": operator,
                "count": waiting[operator.pk]["count"],
                "since": waiting[operator.pk]["since"],
                "url": settings.PUBLIC_BASE_URL + reverse("provisioning:blocked"),
            },
            key=f"blocked:{operator.pk}:{today:%Y-%m-%d}",
        )
    return len(waiting)
