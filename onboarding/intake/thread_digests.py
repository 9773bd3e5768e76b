"""The daily digest of each person: what could wait, and for operators the dossiers that are late."""

from collections.abc import Callable
from importlib import import_module, util

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from onboarding.intake.thread_models import Rhythm
from suite.accounts.models import User
from suite.notices import digests
from suite.notices.digests import Section

# Given a person of an operator's staff, returns (line, address) of each late dossier it is to know of.
Late = Callable[[User], list[tuple[str, str]]]
DEADLINES = "onboarding.intake.deadlines"
MOST_LATE = 50


def is_daily(user: User | None) -> bool:
    """Whether the person asked to have once a day what can wait. One query."""
    return user is not None and Rhythm.objects.filter(user=user, daily=True).exists()


def choose(user: User, *, daily: bool) -> None:
    """Write how often the person wants what can wait; what is gathered already leaves with the next digest."""
    Rhythm.objects.update_or_create(user=user, defaults={"daily": daily, "changed_at": timezone.now()})


def send() -> None:
    """Queue the digest of everybody for whom something waits: may run at any time, late, or twice."""
    page = reverse("intake:rhythm")
    staff = {
        user.email: user
        for user in User.objects.filter(is_active=True, operator_roles__active=True).exclude(email="").distinct()
    }
    late = _late()
    for to in sorted({*digests.waiting(), *(staff if late else ())}):
        sections = []
        if late and to in staff:
            lines = late(staff[to])[:MOST_LATE]
            sections.append(Section("Demandes en retard", tuple(lines)))
        with transaction.atomic():
            digests.gather(to, sections, page=page)


def _late() -> Late | None:
    """Return what knows the working days, where this part of the product is installed."""
    if util.find_spec(DEADLINES) is None:
        return None
    found: Late | None = getattr(import_module(DEADLINES), "late_for", None)
    return found
