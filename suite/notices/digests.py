"""Once a day, one message for what can wait: what is due is a window that opened, never « today at seven »."""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from suite.notices.models import Notice
from suite.notices.workflow import queue

OPENS_AT = dt.time(7)


class Section(NamedTuple):
    """A list that joins the digest of somebody: a title, and (line, address of its page) for each."""

    title: str
    lines: tuple[tuple[str, str], ...]


def opened_at(now: dt.datetime | None = None) -> dt.datetime:
    """Return when the present window opened: the last seven o'clock of the town that has struck."""
    now = timezone.localtime(now)
    zone = timezone.get_current_timezone()
    today = dt.datetime.combine(now.date(), OPENS_AT, zone)
    return today if now >= today else dt.datetime.combine(now.date() - dt.timedelta(days=1), OPENS_AT, zone)


def waiting() -> list[str]:
    """Return the addresses for which something is gathered since before the window opened."""
    due = Notice.objects.waiting_for_a_digest().filter(created_at__lt=opened_at())
    return sorted(set(due.values_list("recipient", flat=True)))


@transaction.atomic
def gather(to: str, sections: Iterable[Section] = (), *, page: str = "") -> Notice | None:
    """Queue the digest of one reader for the present window; None when there is nothing in it, or it was made already.

    `page` is where the reader says how often it comes. After days without a worker one digest holds everything.
    """
    opened = opened_at()
    key = f"digest:{timezone.localdate(opened)}"
    if not to or Notice.objects.filter(dedupe_key=f"key:{key}:digest:{to}").exists():
        return None
    due = list(
        Notice.objects.waiting_for_a_digest()
        .filter(recipient=to, created_at__lt=opened)
        .order_by("created_at")
        .select_for_update(skip_locked=True)
    )
    sections = [section for section in sections if section.lines]
    if not due and not sections:
        return None
    url = f"{settings.PUBLIC_BASE_URL}{page}" if page else ""
    news = [(notice.subject, notice.url) for notice in due]
    digest = queue("digest", to=to, key=key, context={"news": news, "sections": sections, "url": url})
    Notice.objects.filter(pk__in=[notice.pk for notice in due], state=Notice.State.QUEUED).update(
        state=Notice.State.GATHERED, gathered_in=digest
    )
    return digest
