"""Looks names up outside, from a worker: the rows are the queue, the cache and the single flight (`NameLookup`)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from onboarding.audits.facts import Lookup
from onboarding.intake import rdap
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.name_models import NameLookup
from onboarding.provisioning import backends
from suite.accounts.limits import allow
from suite.accounts.models import User

CACHED = timedelta(minutes=10)
# Nothing was learned: worth asking again sooner.
CACHED_UNKNOWN = timedelta(minutes=2)
# What an approval may lean on; the sweep looks again at half of it.
FRESH = timedelta(hours=24)
LEASE = timedelta(seconds=2 * settings.CELERY_TASK_TIME_LIMIT)
KEPT = timedelta(days=90)
# One sweep's part: registries are asked politely.
BATCH = 20
# How many tries in how many seconds.
PER_USER, PER_ADDRESS, ALL_TOGETHER = (30, 600), (60, 600), (600, 600)

_ASK = """
    INSERT INTO intake_namelookup AS known (fqdn, asked_at, due_at, attempt, code, evidence)
    VALUES (%(fqdn)s, %(now)s, %(now)s, 0, '', '{}')
    ON CONFLICT (fqdn) DO UPDATE SET asked_at = excluded.asked_at, due_at = excluded.due_at
    WHERE known.due_at IS NULL
      AND (known.checked_at < %(old)s OR (known.code = 'unknown' AND known.checked_at < %(old_unknown)s))
    RETURNING fqdn
"""


def may_check(user: User, address: str) -> bool:
    """Count one request to check names, and say whether it is within the limits of the person, its place, everybody."""
    return all(
        [
            allow("name_check", f"user:{user.pk}", limit=PER_USER[0], seconds=PER_USER[1]),
            allow("name_check", f"address:{address}", limit=PER_ADDRESS[0], seconds=PER_ADDRESS[1]),
            allow("name_check", "everybody", limit=ALL_TOGETHER[0], seconds=ALL_TOGETHER[1]),
        ]
    )


def to_look_up(dossier: Dossier) -> list[str]:
    """Return those of the dossier's names that only the outside world can speak of: new ones."""
    if dossier.family != Dossier.Family.NEW:
        return []
    return [choice.fqdn for choice in dossier.names.all() if rdap.is_askable(choice.fqdn)]


def ask(fqdns: Iterable[str]) -> list[str]:
    """Queue a look at each name, but for those known for less than ten minutes or already queued; return the queued.

    Two people who ask at once cause one look.
    """
    now = timezone.now()
    queued = []
    with connection.cursor() as cursor:
        for fqdn in sorted(set(fqdns)):  # one order: two transactions never wait for each other
            values: dict[str, str | datetime] = {
                "fqdn": fqdn,
                "now": now,
                "old": now - CACHED,
                "old_unknown": now - CACHED_UNKNOWN,
            }
            cursor.execute(_ASK, values)
            queued += [name for (name,) in cursor.fetchall()]
    for name in queued:
        transaction.on_commit(lambda name=name: wake(name), robust=True)  # type: ignore[misc] # bound now
    return queued


def wake(fqdn: str) -> None:
    """Ask a worker to look; a lost call costs one sweep."""
    current_app.send_task("onboarding.intake.tasks.look_up", (fqdn,), expires=60, retry=False)


def run(fqdn: str) -> None:
    """Look one name up if it is due and nobody else is at it; no transaction is open meanwhile."""
    attempt = _claim(fqdn)
    if attempt is None:
        return
    code, evidence = look(fqdn)
    NameLookup.objects.filter(pk=fqdn, attempt=attempt).update(
        code=code, evidence=evidence, checked_at=timezone.now(), due_at=None
    )


def _claim(fqdn: str) -> int | None:
    row = NameLookup.objects.filter(pk=fqdn, due_at__lte=timezone.now()).first()
    if row is None:
        return None
    taken = NameLookup.objects.filter(pk=fqdn, attempt=row.attempt, due_at__lte=timezone.now()).update(
        attempt=row.attempt + 1, due_at=timezone.now() + LEASE
    )
    return row.attempt + 1 if taken else None


def look(fqdn: str) -> tuple[str, dict[str, Any]]:
    """Ask the DNS, then the registry; return the verdict and what each said."""
    resolver = backends.resolver()
    ns = resolver.lookup(fqdn, "NS")
    soa = resolver.lookup(fqdn, "SOA") if ns.outcome != "answer" else None
    registry = rdap.ask(fqdn)
    evidence: dict[str, Any] = {"ns": _seen(ns), "rdap": registry._asdict()}
    if soa is not None:
        evidence["soa"] = _seen(soa)
    return judge(ns, soa, registry), evidence


def judge(ns: Lookup, soa: Lookup | None, registry: rdap.Answer) -> str:
    """Say what the answers amount to: a name that is delegated or registered is taken; only the registry says free.

    A name that the DNS does not know may be registered all the same.
    """
    if ns.outcome == "answer" or (soa is not None and soa.outcome == "answer") or registry.code == "taken":
        return NameLookup.Code.TAKEN
    return NameLookup.Code.FREE if registry.code == "free" else NameLookup.Code.UNKNOWN


def _seen(lookup: Lookup) -> dict[str, Any]:
    return {"outcome": lookup.outcome, "detail": lookup.detail, "values": [value[:253] for value in lookup.values[:8]]}


def refresh() -> list[str]:
    """Queue again the new names of open dossiers whose last look is getting old; forget what nobody asks any more."""
    now = timezone.now()
    fresh = NameLookup.objects.filter(checked_at__gt=now - FRESH / 2).values("pk")
    running = NameLookup.objects.filter(due_at__isnull=False).values("pk")
    names = (
        NameChoice.objects.filter(dossier__status__in=Dossier.OPEN, dossier__family=Dossier.Family.NEW)
        .exclude(fqdn="")
        .exclude(fqdn__in=fresh)
        .exclude(fqdn__in=running)
        .order_by("dossier__submitted_at", "rank")
        .values_list("fqdn", flat=True)
    )
    NameLookup.objects.filter(asked_at__lt=now - KEPT, due_at__isnull=True).delete()
    return ask(fqdn for fqdn in names[:BATCH] if rdap.is_askable(fqdn))
