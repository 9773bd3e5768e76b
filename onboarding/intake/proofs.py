"""The verbs of a proof of ownership: start it, have it read again, and what a worker concludes.

A domain is proved when all its servers show the record, twice, at least ten minutes apart. The record is read again
while the dossier is open, because what is built on the domain must still be its holder's wish.
"""

import secrets
from datetime import timedelta
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from onboarding.intake import availability, names, proof_reading
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import STREAM, GuardFailed
from onboarding.intake.name_notifications import domain_proved
from onboarding.intake.proof_models import OwnershipProof
from onboarding.provisioning import backends
from suite.accounts.models import User
from suite.journal import workflow as journal

State, Outcome = OwnershipProof.State, OwnershipProof.Outcome

LIFETIME = timedelta(days=30)
APART = timedelta(seconds=settings.PROOF_APART_SECONDS)
AGAIN = timedelta(hours=12)  # a proved domain, until the dossier is decided
AT_MOST_EVERY = timedelta(minutes=1)  # whatever people click
LEASE = timedelta(seconds=2 * settings.CELERY_TASK_TIME_LIMIT)
# Twelve readings five minutes apart, a day of hourly ones, then one a day.
BACKOFF = ((12, timedelta(minutes=5)), (36, timedelta(hours=1)))
LONGEST = timedelta(days=1)
UNDECIDED = (Dossier.Status.DRAFT, *Dossier.OPEN)
TOKEN_BYTES = 20  # 160 bits


@transaction.atomic
def start(dossier: Dossier, *, by: User) -> OwnershipProof:
    """Give the dossier a token for the domain it wishes to keep, or return the one it has.

    One proof is active per domain: what a draft began and nobody published gives way, so that a stranger never blocks a
    commune; between two dossiers that were sent, the first keeps its turn and an operator decides.
    """
    domain = _domain(dossier)
    now = timezone.now()
    mine = OwnershipProof.objects.filter(dossier=dossier, state__in=OwnershipProof.ACTIVE)
    current = mine.filter(domain=domain).first()
    if current is not None and (current.state == State.PROVED or current.expires_at > now):
        return current
    mine.update(state=State.VOID, due_at=None)
    _make_room(domain)
    try:
        with transaction.atomic():
            proof = OwnershipProof.objects.create(
                dossier=dossier,
                domain=domain,
                token=secrets.token_hex(TOKEN_BYTES),
                started_by=by,
                started_at=now,
                expires_at=now + LIFETIME,
                due_at=now,
            )
    except IntegrityError:
        if (other := mine.filter(domain=domain).first()) is not None:  # the same person, in another tab
            return other
        said = (
            "Une autre demande prouve déjà ce domaine : l’opérateur examinera les deux. Prévenez-le si c’est le vôtre."
        )
        raise GuardFailed([Problem("name", 2, said)]) from None
    journal.record(STREAM, dossier.pk, "proof_started", by=by, payload={"domain": domain})
    transaction.on_commit(lambda: wake(proof.pk), robust=True)
    return proof


def _make_room(domain: str) -> None:
    """End the proofs of the domain that keep nobody's turn: over, of a closed dossier, or of a draft and never seen."""
    now = timezone.now()
    others = OwnershipProof.objects.filter(domain=domain, state__in=OwnershipProof.ACTIVE)
    closed = others.filter(dossier__status__in=["withdrawn", "expired", "rejected", "revoked"])
    drafts = others.filter(dossier__status=Dossier.Status.DRAFT)
    # No join where one tests and sets: what a worker sees at this very moment is seen here too.
    ended = Q(pk__in=list(closed.values_list("pk", flat=True)))
    unseen = Q(pk__in=list(drafts.values_list("pk", flat=True)), state=State.PENDING, first_seen_at__isnull=True)
    over = Q(state=State.PENDING, expires_at__lte=now)
    others.filter(ended | unseen | over).update(state=State.VOID, due_at=None)


def _domain(dossier: Dossier) -> str:
    wish = next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), "")
    said = names.problem(wish, Dossier.Family.EXISTING, shared_zone=settings.COLLECTIVITE_ZONE)
    if dossier.family != Dossier.Family.EXISTING or dossier.status not in UNDECIDED:
        said = "Cette demande ne porte pas sur un domaine que vous avez déjà."
    elif not said and availability.taken([wish]):
        said = availability.TAKEN
    if said:
        raise GuardFailed([Problem("name", 2, said)])
    return wish


def check_now(proof: OwnershipProof) -> bool:
    """Have the record read at once, at most once a minute; say whether a reading is coming."""
    now = timezone.now()
    waiting = OwnershipProof.objects.filter(pk=proof.pk, state__in=OwnershipProof.ACTIVE, due_at__gt=now)
    if waiting.filter(checked_at__lt=now - AT_MOST_EVERY).update(due_at=now, tries=0):
        transaction.on_commit(lambda: wake(proof.pk), robust=True)
        return True
    return OwnershipProof.objects.filter(pk=proof.pk, due_at__lte=now + LEASE).exists()


def of(dossier: Dossier) -> OwnershipProof | None:
    """Return the active proof of the dossier's own wish. One query."""
    wish = next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), "")
    proofs = (proof for proof in dossier.ownership_proofs.all() if proof.state in OwnershipProof.ACTIVE)
    return next((proof for proof in proofs if proof.domain == wish), None)


def proved(dossier: Dossier, fqdn: str) -> OwnershipProof | None:
    """Return the proof that the dossier controls the domain, seen in the last 24 hours; None without one."""
    proof = OwnershipProof.objects.filter(dossier=dossier, domain=fqdn, state=State.PROVED).first()
    return proof if proof is not None and availability.is_fresh(proof) else None


def wake(pk: UUID) -> None:
    """Ask a worker to read; a lost call costs one sweep."""
    current_app.send_task("onboarding.intake.tasks.read_proof", (str(pk),), expires=60, retry=False)


# --- The worker -------------------------------------------------------------------------------------------------------


def run(pk: UUID) -> None:
    """Read one proof if it is due and nobody else is at it; no transaction is open while the servers are asked."""
    proof = _claim(pk)
    if proof is None:
        return
    resolver = backends.resolver()
    if proof.inventory is None or None in proof.inventory.values():  # the DNS was silent about some of it
        OwnershipProof.objects.filter(pk=pk, attempt=proof.attempt).update(
            inventory=proof_reading.inventory(proof.domain, resolver), inventoried_at=timezone.now()
        )
    outcome, readings = proof_reading.read(proof.domain, proof.host, proof.value, resolver)
    _settle(proof, outcome, readings)


def _claim(pk: UUID) -> OwnershipProof | None:
    now = timezone.now()
    proof = OwnershipProof.objects.filter(pk=pk, state__in=OwnershipProof.ACTIVE, due_at__lte=now).first()
    if proof is None:
        return None
    same = OwnershipProof.objects.filter(pk=pk, attempt=proof.attempt, due_at__lte=now)
    if proof.state == State.PENDING and proof.expires_at <= now:
        same.update(state=State.VOID, due_at=None)
        return None
    taken = same.update(attempt=proof.attempt + 1, due_at=now + LEASE)
    proof.attempt += 1
    return proof if taken else None


@transaction.atomic
def _settle(proof: OwnershipProof, outcome: str, readings: list[dict[str, object]]) -> None:
    """Write what was read, unless another worker took over or the proof was given up meanwhile."""
    now = timezone.now()
    dossier = Dossier.objects.select_for_update(no_key=True, of=("self",)).get(pk=proof.dossier_id)
    same = OwnershipProof.objects.filter(pk=proof.pk, attempt=proof.attempt, state__in=OwnershipProof.ACTIVE)
    fresh = same.first()
    if fresh is None:
        return
    if dossier.status not in UNDECIDED:
        # Decided: what was proved stays written, nothing is read any more.
        same.update(due_at=None)
        return
    seen = outcome == Outcome.SEEN
    facts: dict[str, object] = {"outcome": outcome, "readings": readings, "checked_at": now}
    if seen:
        first = fresh.first_seen_at or now
        facts |= {"first_seen_at": first, "last_seen_at": now, "tries": 0, "due_at": now + AGAIN}
        if fresh.state == State.PENDING and now - first >= APART:
            facts |= {"state": State.PROVED, "proved_at": now}
        elif fresh.state == State.PENDING:
            facts["due_at"] = first + APART
    else:
        facts |= {"tries": fresh.tries + 1, "due_at": now + backoff(fresh.tries + 1)}
        if outcome != Outcome.UNKNOWN and fresh.state == State.PENDING:
            facts["first_seen_at"] = None  # two readings that agree, one after the other
    same.update(**facts)
    if facts.get("state") == State.PROVED:
        event = journal.record(STREAM, dossier.pk, "domain_proved", by=None, payload={"domain": proof.domain})
        domain_proved(dossier, event, proof.domain)
    elif fresh.state == State.PROVED and fresh.outcome == Outcome.SEEN and not seen and outcome != Outcome.UNKNOWN:
        journal.record(STREAM, dossier.pk, "proof_lost", by=None, payload={"domain": proof.domain, "outcome": outcome})


def backoff(tries: int) -> timedelta:
    """Return how long to wait after so many readings without success."""
    return next((wait for most, wait in BACKOFF if tries <= most), LONGEST)
