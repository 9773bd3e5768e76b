"""Runs the steps. The rows are the queue: taking some is an UPDATE, and so is ending them.

Several workers may run this on the same deployment; any may die at any line. A worker leases all that may follow at
once, runs it outside any transaction, and writes an end only if nobody took the step since. Ends are written together,
twice a second at least: what a killed worker had done and not yet written is only done again.
"""

import logging
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, groupby
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connections, models, transaction
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from onboarding.provisioning import backends, ends, steps
from onboarding.provisioning.ends import End
from onboarding.provisioning.errors import Held, NotYet, Outcome, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Step
from suite.journal.workflow import record

logger = logging.getLogger(__name__)

FAILURES_MAX = 12  # with the delays below, most of an hour
BACKOFF = timedelta(seconds=2)
BACKOFF_MAX = timedelta(minutes=15)
WOKEN_PER_SWEEP = 200
MESSAGE_LIFE = 30  # seconds; a later sweep writes another message
WRITTEN_EVERY = 0.5  # seconds: what people watch is never older
# They read from the rows how the steps before them ended.
READERS = frozenset({Step.Name.END_TO_END, Step.Name.WELCOME})
# Many in one plan, and nearly all their time is the provider's.
OVERLAPPING = frozenset({Step.Name.MAILBOX})
SLOW = 0.05  # seconds for one call: under that, threads cost more than they spare
AT_ONCE = 8


def advance(deployment_id: UUID) -> int:
    """Run, one after the other, the steps of a deployment that may run now; return how many.

    Stops well before the task's time limit, and wakes another task for the rest.
    """
    until = time.monotonic() + settings.CELERY_TASK_SOFT_TIME_LIMIT / 2
    taken = take(deployment_id)
    ran = Run(taken).go(until) if taken else 0
    if time.monotonic() >= until:
        wake(deployment_id)
    return ran


def sweep() -> int:
    """Wake the deployments with something due, the longest waiting first; return how many."""
    due = Step.objects.due().values("deployment").annotate(since=models.Min("due_at")).order_by("since")
    deployments = [row["deployment"] for row in due[:WOKEN_PER_SWEEP]]
    for deployment in deployments:
        wake(deployment)
    return len(deployments)


def wake(deployment_id: UUID) -> None:
    """Ask a worker to look at a deployment. A broker out of reach costs one sweep, and nothing else."""
    from onboarding.provisioning import tasks  # noqa: PLC0415 - the task calls this module back

    try:
        tasks.advance.apply_async((str(deployment_id),), expires=MESSAGE_LIFE, retry=False)
    except (KombuError, ChannelError, OSError):
        logger.warning("The broker is out of reach: deployment %s waits for the next sweep.", deployment_id)


def claim(deployment_id: UUID) -> Step | None:
    """Take one runnable step for the length of a lease, or return None: two workers never share one."""
    taken = take(deployment_id, most=1)
    return taken[0] if taken else None


@transaction.atomic(durable=True)
def take(deployment_id: UUID, *, most: int | None = None) -> list[Step]:
    """Lease what may run now, and what may run once that is done; in the order of the plan."""
    # Whoever takes or ends steps of one deployment queues here.
    deployments = Deployment.objects.select_related("organization", "operator", "closure").filter(
        pk=deployment_id, closed_at__isnull=True
    )
    deployment = deployments.select_for_update(no_key=True, of=("self",)).first()
    if deployment is None:
        return []
    unfinished = Step.objects.filter(deployment=deployment_id).exclude(status__in=Step.FINISHED)
    if hasattr(deployment, "closure"):
        # Nothing is built any more; what was confirmed of its end goes on.
        unfinished = unfinished.filter(name=Step.Name.DELETION)
    rows, now = unfinished.select_related("resource").order_by("plan", "position", "due_at", "pk"), timezone.now()
    # The plans do not wait for each other.
    plans = (_chain(plan, now) for _, plan in groupby(rows, key=lambda step: step.plan))
    taking = list(chain.from_iterable(plans))[:most]
    until = timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
    if taking:
        taken = Step.objects.filter(pk__in=[step.pk for step in taking], status=Step.Status.WAITING)
        taken.update(due_at=until, attempt=models.F("attempt") + 1)
    for step in taking:
        step.attempt, step.due_at, step.deployment = step.attempt + 1, until, deployment
    return taking


def _chain(unfinished: Iterable[Step], now: datetime) -> Iterator[Step]:
    """Yield the steps that may run one after the other, up to the first place where something else is awaited."""
    for _, group in groupby(unfinished, key=lambda step: step.position):
        steps_there = list(group)
        ready = [step for step in steps_there if step.status == Step.Status.WAITING and step.due_at <= now]
        yield from ready
        if any(not step.is_left_over for step in steps_there if step not in ready):
            return


@dataclass
class Run:
    """Steps that this worker holds, and those it ended without having written it yet."""

    held: list[Step]
    ended: list[End] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def go(self, until: float) -> int:
        """Run them, group by group, and leave to others what cannot be run now; return how many ran."""
        ran, stopped = 0, set()
        for (plan, _), places in groupby(list(self.held), key=lambda step: (step.plan, step.position)):
            group = list(places)
            if plan in stopped:
                continue
            if group[0].name in READERS or time.monotonic() - self.written > WRITTEN_EVERY:
                self.write()
            try:
                outcomes = _outcomes(group)
            except SoftTimeLimitExceeded:
                late = Unavailable("time_limit", "L’opération a pris trop de temps ; nous la reprendrons.")
                self._end([(step, late) for step in group])
                self.write(leaving=True)
                raise
            self._end(outcomes)
            ran += len(outcomes)
            open_ends = [step for step, outcome in outcomes if outcome is not None and not _left_over(step, outcome)]
            if open_ends:
                stopped.add(plan)
            if time.monotonic() >= until:
                break
        self.write(leaving=True)
        return ran

    def _end(self, outcomes: list[tuple[Step, Outcome | None]]) -> None:
        now = timezone.now()
        self.ended += [_end(step, outcome, now) for step, outcome in outcomes]
        over = {step.pk for step, _ in outcomes}
        self.held = [step for step in self.held if step.pk not in over]

    def write(self, *, leaving: bool = False) -> None:
        """Write what ended; when leaving, give back what was not run."""
        self.written = time.monotonic()
        given_back = [End.untouched(step, timezone.now()) for step in self.held] if leaving else []
        if leaving:
            self.held = []
        if self.ended or given_back:
            write(self.ended, given_back)
        self.ended = []


def _left_over(step: Step, outcome: Outcome) -> bool:
    """Tell a step that a person must see to, but that keeps nothing from going on."""
    end = _end(step, outcome, timezone.now())
    return step.name in Step.LEFTOVERS and (end.status == Step.Status.BLOCKED or end.code == Step.HOLDERS_TURN)


def _outcomes(group: list[Step]) -> list[tuple[Step, Outcome | None]]:
    """Run independent steps: one after the other, or side by side once the provider proves slow."""
    started = time.monotonic()
    outcomes = [(group[0], outcome_of(group[0]))]
    rest = group[1:]
    if rest and rest[0].name in OVERLAPPING and time.monotonic() - started > SLOW:
        outcomes += zip(rest, _pool().map(_apart, rest), strict=True)
    else:
        outcomes += [(step, outcome_of(step)) for step in rest]
    return outcomes


def _apart(step: Step) -> Outcome | None:
    """Run a step in a thread, which leaves no connection behind."""
    try:
        return outcome_of(step)
    finally:
        connections.close_all()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="steps")


def outcome_of(step: Step) -> Outcome | None:
    """Run a claimed step and return how it ended, None when done. Nothing else that it raises gets out."""
    try:
        steps.perform(step)
    except Outcome as outcome:
        logger.info("Step %s of %s: %s %s", step.name, step.deployment.domain, type(outcome).__name__, outcome.code)
        if isinstance(outcome, Unavailable):
            backends.renew()
        return outcome
    except SoftTimeLimitExceeded:
        backends.renew()
        raise
    except Exception:
        logger.exception("Step %s (%s) of deployment %s failed", step.pk, step.name, step.deployment_id)
        backends.renew()
        return Unavailable("unexpected", "Une erreur inattendue s’est produite ; nos équipes la voient.")
    return None


def finish(step: Step, outcome: Outcome | None) -> bool:
    """Write the end of a step, unless somebody took it since: then the late worker's word is dropped, return False."""
    return bool(write([_end(step, outcome, timezone.now())]))


@transaction.atomic(durable=True)
def write(ended: list[End], given_back: Iterable[End] = ()) -> set[UUID]:
    """Write how steps of one deployment ended; return those that were still ours, the others are dropped."""
    every = [*ended, *given_back]
    deployment = every[0].step.deployment_id
    # Whoever ends last sees that nothing is left.
    Deployment.objects.select_for_update(no_key=True).only("pk").get(pk=deployment)
    ours = ends.store(every)
    for end in every:
        if end.step.pk not in ours:
            logger.warning("Step %s was taken by another worker meanwhile.", end.step.pk)
    for end in ended:
        if end.step.pk in ours and end.status == Step.Status.BLOCKED:
            payload = {"step": end.step.name, "id": str(end.step.pk), "code": end.code}
            record("deployment", deployment, "step_blocked", by=None, payload=payload)
    done = {end.step.plan: end.step for end in ended if end.status == Step.Status.DONE and end.step.pk in ours}
    for step in done.values():
        passed(step)
    return ours


def passed(step: Step) -> None:
    """After a step done or skipped: write that all is done, if it is."""
    steps_of = Step.objects.filter(deployment=step.deployment_id, plan=step.plan)
    if not steps_of.exclude(status__in=Step.FINISHED).exists():
        gaps = steps_of.filter(status=Step.Status.SKIPPED).count()
        # A later plan is a change: the building is completed once.
        said: tuple[str, dict[str, int]] = ("change_completed", {"plan": step.plan}) if step.plan else ("completed", {})
        record("deployment", step.deployment_id, said[0], by=None, payload={"skipped": gaps, **said[1]})


def _end(step: Step, outcome: Outcome | None, now: datetime) -> End:
    """Return the columns that say how a step ended."""
    failures, waiting = step.failures + 1, Step.Status.WAITING
    code, note = (outcome.code[:60], outcome.note[:500]) if outcome else ("", "")
    match outcome:
        case None:
            return End(step, Step.Status.DONE, due_at=now, failures=0, finished_at=now)
        case Held():
            # Nothing was asked: what failed before stays.
            return End(step, waiting, due_at=now + outcome.after, failures=step.failures, code=code, note=note)
        case NotYet():
            # The other side answered: what failed before is over.
            return End(step, waiting, due_at=now + outcome.after, failures=0, code=code, note=note)
        case Unavailable() if failures < FAILURES_MAX:
            return End(step, waiting, due_at=now + backoff(failures), failures=failures, code=code, note=note)
        case Unavailable() | Refused():
            return End(step, Step.Status.BLOCKED, due_at=now, failures=failures, code=code, note=note)
        case _:
            raise TypeError(f"Not a way to end: {outcome!r}")


def backoff(failures: int) -> timedelta:
    """Return how long to wait after that many failures in a row: doubled each time, bounded, spread by a quarter."""
    delay = min(BACKOFF * (1 << (failures - 1)), BACKOFF_MAX)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - to spread calls, not to hide anything
