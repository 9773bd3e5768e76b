"""Spares a provider in trouble: a circuit that opens, and a bound on our calls at once, shared by all workers.

Both live in the database. A process keeps what it read for a second at most, and only to spare a query: each change
is tested and set on the row.
"""

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from onboarding.provisioning.errors import Held, NotYet, Refused, Unavailable
from onboarding.provisioning.provider_models import Provider, Slot
from suite.journal.workflow import record

ROLES = ("registrar", "dns", "mail", "storage", "identity")
OPENS_AFTER = 10  # calls in a row without an answer, of all workers together
OPENS_AT_ONCE = frozenset({"denied"})  # our key is refused: asking again only makes it worse
OPEN_FOR = timedelta(seconds=30)
OPEN_FOR_MAX = timedelta(minutes=10)
FRESH = 1.0  # seconds
NOTED_EVERY = timedelta(minutes=1)
FULL_FOR = timedelta(seconds=1)
NAMES = {
    "registrar": "bureau d’enregistrement",
    "dns": "hébergeur DNS",
    "mail": "messagerie",
    "storage": "stockage",
    "identity": "fournisseur d’identité",
}


@dataclass
class _Known:
    """What this process last read, and when."""

    at: float = 0.0
    providers: dict[str, Provider] | None = None


_known = _Known()
_reading = threading.Lock()


def forget() -> None:
    """Read the rows again at the next call."""
    _known.providers = None


def provider(role: str) -> Provider:
    """Return the provider as it was a second ago at most; its row is made at first use."""
    with _reading:
        known = _known.providers
        if known is None or role not in known or time.monotonic() - _known.at > FRESH:
            known = {each.role: each for each in Provider.objects.all()}
            if role not in known:
                known[role], _ = Provider.objects.get_or_create(role=role)
            _known.providers, _known.at = known, time.monotonic()
        return known[role]


class Guarded:
    """A backend behind its circuit. It has the methods of the backend, and raises `Held` instead of calling."""

    def __init__(self, role: str, backend: object) -> None:
        self._role = role
        self._backend = backend

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of the backend
        method = getattr(self._backend, name)
        if not callable(method):
            return method
        call = _guarded(self._role, method)
        # Found at once the next time.
        setattr(self, name, call)
        return call


def _guarded(role: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with passing(role):
            answer = method(*args, **kwargs)
        return _each(role, answer) if isinstance(answer, Iterator) else answer

    return call


def _each(role: str, answers: Iterator[Any]) -> Iterator[Any]:
    """Hand on what a provider lists: it may fail in the middle of it too."""
    with passing(role):
        yield from answers


@contextlib.contextmanager
def passing(role: str) -> Iterator[None]:
    """Let one call pass, and note how it ended. Raises `Held` when none may."""
    now = timezone.now()
    known = provider(role)
    if known.opened_at is not None:
        _take_probe(known, now)
    slot = _take_slot(role, now)
    try:
        yield
    except Unavailable as error:
        failed(role, error)
        raise
    except (NotYet, Refused):
        # It answered.
        succeeded(role)
        raise
    else:
        succeeded(role)
    finally:
        if slot is not None:
            Slot.objects.filter(holder=slot).update(holder=None, until=timezone.now())


@transaction.atomic
def failed(role: str, error: Unavailable) -> None:
    """Count a call without an answer; open the circuit when it is one too many, or at once when we are denied."""
    now = timezone.now()
    row = Provider.objects.select_for_update().get(pk=provider(role).pk)
    row.failures += 1
    told = {"code": error.code[:60], "note": error.note[:500]}
    if row.opened_at is not None:
        row.trips += 1
        changes: dict[str, Any] = {**told, "trips": row.trips, "probe_at": now + open_for(row.trips)}
    elif row.failures >= OPENS_AFTER or error.code in OPENS_AT_ONCE:
        changes = {**told, "trips": 0, "opened_at": now, "probe_at": now + open_for(0)}
        record("provider", row.pk, "circuit_opened", by=None, payload={"provider": role, "code": error.code[:60]})
    else:
        changes = {}
    Provider.objects.filter(pk=row.pk).update(failures=row.failures, **changes)
    forget()


def succeeded(role: str) -> None:
    """Note that the provider answers: what failed before is over, and an open circuit closes."""
    known, now = provider(role), timezone.now()
    if not (known.failures or known.opened_at) and known.succeeded_at and now - known.succeeded_at < NOTED_EVERY:
        return
    with transaction.atomic():
        row = Provider.objects.select_for_update().get(pk=known.pk)
        if row.opened_at is not None:
            payload = {"provider": role, "code": row.code, "seconds": round((now - row.opened_at).total_seconds())}
            record("provider", row.pk, "circuit_closed", by=None, payload=payload)
        closed = {"opened_at": None, "probe_at": None, "trips": 0, "code": "", "note": ""}
        Provider.objects.filter(pk=row.pk).update(failures=0, succeeded_at=now, **closed)
    forget()


def open_for(trips: int) -> timedelta:
    """Return how long no call passes: doubled by each probe that failed, bounded, spread by a quarter."""
    delay = min(OPEN_FOR * (1 << min(trips, 10)), OPEN_FOR_MAX)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - to spread calls, not to hide anything


def _take_probe(known: Provider, now: Any) -> None:  # noqa: ANN401 - a moment
    """Be the one call that tries an open circuit, or raise `Held`."""
    lease = now + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
    if Provider.objects.filter(pk=known.pk, opened_at__isnull=False, probe_at__lte=now).update(probe_at=lease):
        return
    forget()
    row = Provider.objects.get(pk=known.pk)
    if row.opened_at is None or row.probe_at is None:
        return  # closed since we read it
    # Not all at the same instant: the first finds out for the others.
    after = max(row.probe_at - now, timedelta()) + timedelta(seconds=random.uniform(0.5, 5))  # noqa: S311
    name = NAMES[known.role]
    raise Held("circuit_open", f"Nous n’appelons plus le service « {name} » pour l’instant : il est en panne.", after=after)


def _take_slot(role: str, now: Any) -> uuid.UUID | None:  # noqa: ANN401 - a moment
    """Take one of the calls that the provider bears at once, or raise `Held`; None when it is not bounded."""
    cap = int(settings.PROVIDER_CAPS.get(role, 0))
    if not cap:
        return None
    holder = uuid.uuid4()
    lease = now + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
    slots = Slot.objects.filter(role=role, number__lt=cap)
    for _ in range(2):
        with transaction.atomic():
            free = slots.filter(until__lte=now).select_for_update(skip_locked=True).first()
            if free is not None:
                Slot.objects.filter(pk=free.pk).update(holder=holder, until=lease)
                return holder
        if slots.count() == cap:
            break
        Slot.objects.bulk_create([Slot(role=role, number=n, until=now) for n in range(cap)], ignore_conflicts=True)
    after = FULL_FOR * random.uniform(0.5, 1.5)  # noqa: S311 - idem
    raise Held("provider_busy", f"Le service « {NAMES[role]} » a déjà assez à faire ; nous reprenons.", after=after)


def shown() -> models.QuerySet[Provider]:
    """Return what operators see: the providers whose circuit is open, the longest first."""
    return Provider.objects.filter(opened_at__isnull=False).order_by("opened_at")
