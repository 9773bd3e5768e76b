"""The sessions of a person: listed, closed one by one by their owner, all at once when a right is withdrawn.

A session carries the id of its row, which survives the rotation of its key. A session opened elsewhere than by `start`
has no row and is not listed; `end_all` ends it too.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from suite.accounts.models import User, UserSession
from suite.journal.workflow import record

SIGNED_IN_AT = "signed_in_at"  # seconds since 1970, of the sign-in
LENGTH = "session_seconds"  # of a break-glass session, shorter than the others
KEY = "user_session"
SEEN_EVERY = timedelta(minutes=5)
WARNING = timedelta(minutes=10)
# The first that fits wins: Edge and Opera say they are Chrome, which says it is Safari.
_BROWSERS = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("Android", r"Android"),
    ("iPhone ou iPad", r"iPhone|iPad"),
    ("Windows", r"Windows"),
    ("Mac", r"Mac OS X|Macintosh"),
    ("Linux", r"Linux|X11"),
)


def start(request: HttpRequest, user: User) -> UserSession:
    """Write down the session that a sign-in has just opened. The journal has the sign-in itself."""
    row = UserSession.objects.create(user=user, device=device(request.headers.get("User-Agent", "")))
    request.session[KEY] = str(row.pk)
    request.session[SIGNED_IN_AT] = row.started_at.timestamp()
    return row


def finish(session: SessionBase) -> None:
    """Close the row of a session that its owner signs out of."""
    if pk := _row(session):
        UserSession.objects.filter(pk=pk, ended_at__isnull=True).update(ended_at=timezone.now())


def is_over(session: SessionBase, user: User) -> bool:
    """Whether the session is too old, or was closed from elsewhere. One query; a second every five minutes."""
    now = timezone.now()
    if now >= ends_at(session, user) or (
        user.sessions_ended_at and _started_at(session, user) < user.sessions_ended_at
    ):
        return True
    pk = _row(session)
    if pk is None:
        return False
    row = UserSession.objects.filter(pk=pk, user=user, ended_at__isnull=True).first()
    if row is not None and now - row.seen_at > SEEN_EVERY:
        # The session's own book-keeping, like Django's table of sessions: no fact of the trade.
        UserSession.objects.filter(pk=pk).update(seen_at=now)
    return row is None


def ends_at(session: SessionBase, user: User) -> datetime:
    """Return the instant after which one must sign in again, whatever happened in between."""
    return _started_at(session, user) + timedelta(seconds=session.get(LENGTH, settings.SESSION_ABSOLUTE_SECONDS))


def warning(request: HttpRequest) -> datetime | None:
    """Return the end of the session when it is ten minutes away or less."""
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not hasattr(request, "session"):
        return None
    end = ends_at(request.session, user)
    return end if end - timezone.now() <= WARNING else None


def current(request: HttpRequest) -> UUID | None:
    """Return the id of the row of the request's own session."""
    return _row(request.session)


def of(user: User) -> list[UserSession]:
    """Return the sessions that are open, the last seen first."""
    oldest = timezone.now() - timedelta(seconds=settings.SESSION_ABSOLUTE_SECONDS)
    found = UserSession.objects.filter(user=user, ended_at__isnull=True, started_at__gt=oldest)
    if user.sessions_ended_at:
        found = found.filter(started_at__gte=user.sessions_ended_at)
    return list(found.order_by("-seen_at"))


@transaction.atomic
def close(user: User, pks: list[UUID]) -> int:
    """Close sessions of the person, at the person's own wish; return how many were open."""
    closed = UserSession.objects.filter(user=user, pk__in=pks, ended_at__isnull=True).update(ended_at=timezone.now())
    if closed:
        record("account", user.pk, "account.sessions_closed", by=user, payload={"sessions": closed})
    return closed


@transaction.atomic
def end_all(user: User, *, by: User | None, reason: str) -> None:
    """End every session of the account at its next request. `reason` is a code for the journal."""
    now = timezone.now()
    User.objects.filter(pk=user.pk).update(sessions_ended_at=now)
    closed = UserSession.objects.filter(user=user, ended_at__isnull=True).update(ended_at=now)
    record("account", user.pk, "account.sessions_ended", by=by, payload={"sessions": closed, "reason": reason})


def device(agent: str) -> str:
    """Return a few words that let the owner recognise a browser: "Firefox sur Windows"."""
    agent = agent[:500]
    browser = next((name for name, pattern in _BROWSERS if re.search(pattern, agent)), "Navigateur inconnu")
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, agent)), "")
    return f"{browser} sur {system}" if system else browser


def _started_at(session: SessionBase, user: User) -> datetime:
    stamp = session.get(SIGNED_IN_AT)
    if stamp is None:
        # A session that no sign-in of ours opened: the account's last sign-in is the instant.
        return user.last_login or datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp(stamp, UTC)


def _row(session: SessionBase) -> UUID | None:
    try:
        return UUID(session[KEY])
    except (KeyError, ValueError):
        return None
