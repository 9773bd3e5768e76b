"""Runs the moves: a row is taken by an UPDATE, worked on outside any transaction, and given back by whoever holds it.

The law is the engine's (`engine.py`): several workers, any of which may die at any line. A worker that lost its lease
changes nothing; a verb that a person called meanwhile wins over the worker's own idea of what comes next.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from onboarding.provisioning import backends, engine
from onboarding.provisioning.closure_models import Closure
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.move_models import Cutover, MailImport, Move

logger = logging.getLogger(__name__)

SLOWEST = dt.timedelta(hours=1)  # between two tries of what a person must see to
WOKEN_PER_SWEEP = 100
M = TypeVar("M", Cutover, MailImport)


def sweep() -> int:
    """Wake a worker for every move that is due, the longest waiting first; return how many."""
    woken = 0
    for name, due in (("mail_import", _due(MailImport)), ("cutover", _due(Cutover))):
        for pk in due.order_by("due_at").values_list("pk", flat=True)[:WOKEN_PER_SWEEP]:
            wake(name, pk)
            woken += 1
    return woken


def wake(name: str, pk: UUID) -> None:
    """Ask a worker to go on with a move. A broker out of reach costs one sweep."""
    from onboarding.provisioning import tasks  # noqa: PLC0415 - the task calls this module back

    try:
        tasks.move.apply_async((name, str(pk)), expires=engine.MESSAGE_LIFE, retry=False)
    except (KombuError, ChannelError, OSError):
        logger.warning("The broker is out of reach: %s %s waits for the next sweep.", name, pk)


def run(name: str, pk: UUID) -> bool:
    """Take a move and go on with it for a while; return False when there is nothing to take."""
    from onboarding.provisioning import cutover, mail_import  # noqa: PLC0415 - they call this module's verbs back

    if name == "mail_import":
        return _run(MailImport, pk, mail_import.perform)
    return _run(Cutover, pk, cutover.perform)


def _run(model: type[M], pk: UUID, perform: Callable[[M], None]) -> bool:
    row = take(model, pk)
    if row is None:
        return False
    outcome: Outcome | None = None
    try:
        perform(row)
    except Outcome as raised:
        if isinstance(raised, Unavailable):
            backends.renew()
        outcome = raised
    except SoftTimeLimitExceeded:
        backends.renew()
        give_back(row, Unavailable("time_limit", "L’opération a pris trop de temps ; nous la reprendrons."))
        raise
    except Exception:
        logger.exception("%s %s failed", model.__name__, row.pk)
        backends.renew()
        outcome = Unavailable("unexpected", "Une erreur inattendue s’est produite ; nos équipes la voient.")
    if give_back(row, outcome) and isinstance(outcome, NotYet) and not outcome.after:
        wake("cutover" if isinstance(row, Cutover) else "mail_import", row.pk)
    return True


def take(model: type[M], pk: UUID) -> M | None:
    """Hold a due move for the length of a lease, or return None: two workers never hold one."""
    until = timezone.now() + dt.timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
    if not _due(model).filter(pk=pk).update(held_until=until, attempt=F("attempt") + 1):
        return None
    row: M = model._default_manager.get(pk=pk)  # noqa: SLF001 - Django's documented API
    return row


def give_back(row: Move, outcome: Outcome | None) -> bool:
    """End a hold, unless the lease was taken over since (then False): say when to go on, unless a verb has said."""
    now = timezone.now()
    ours = type(row)._default_manager.filter(pk=row.pk, attempt=row.attempt)  # noqa: SLF001
    columns: dict[str, object] = {"held_until": None, "failures": 0}
    match outcome:
        case None:
            columns["due_at"] = None
        case NotYet():
            columns |= {"due_at": now + outcome.after, "code": outcome.code[:60], "note": outcome.note[:500]}
        case Unavailable() | Refused():
            # A provider's refusal is tried again too, slowly: what was refused today may be mended by somebody.
            failures = row.failures + 1
            slow = isinstance(outcome, Refused) or failures >= engine.FAILURES_MAX
            after = SLOWEST if slow else engine.backoff(failures)
            columns |= {"due_at": now + after, "failures": failures}
            columns |= {"code": outcome.code[:60], "note": outcome.note[:500]}
        case _:
            raise TypeError(f"Not a way to end: {outcome!r}")
    if ours.filter(version=row.version).update(**columns):
        return True
    return bool(ours.update(held_until=None))


def is_closing(deployment: Deployment) -> bool:
    """Whether nothing more is brought or switched there."""
    return deployment.closed_at is not None or Closure.objects.filter(deployment=deployment).exists()


def still_held(row: Move) -> bool:
    """Whether this worker's hold stands and no person has acted since: asked between two pieces of work."""
    return type(row)._default_manager.filter(pk=row.pk, attempt=row.attempt, version=row.version).exists()  # noqa: SLF001


def _due(model: type[M]) -> QuerySet[M]:
    now = timezone.now()
    return model._default_manager.filter(due_at__lte=now).filter(Q(held_until__isnull=True) | Q(held_until__lte=now))  # noqa: SLF001
