"""Campaigns over the country: started once, worked by whoever is free, resumed where a killed worker left them."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Least
from django.utils import timezone

from onboarding.audits import campaign
from onboarding.audits.confirmation import SECOND_AFTER, Settled, kept, settle
from onboarding.audits.declarations import declaration_of, owners
from onboarding.audits.declared import Declaration
from onboarding.audits.pace import SharedBudget
from onboarding.audits.results_models import Alert, Change, Examination, Run, Shard
from onboarding.audits.rules import RULESET
from onboarding.audits.rules.report import CRITERIA, Case, report
from onboarding.audits.trends import count
from suite.directory.models import Organization

SHARDS = 64
BATCH = 48
# A batch lasts a minute at most (two visits of 30 s); a task stops taking them after SLICE.
LEASE, SLICE = timedelta(seconds=150), timedelta(seconds=40)
FRESH, SPREAD = timedelta(days=1), 3_600
# More than this share of domains without any answer means that our own probe is ill: nothing of it is kept.
ILL_SHARE, ILL_FROM, ILL_WAIT = 0.5, 10, timedelta(minutes=5)


class Overtaken(Exception):
    """Another worker holds this shard."""


class ProbeIll(Exception):
    """Nobody answers us: that says nothing of anybody."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    total: int
    done: int
    finished: bool


def audited() -> QuerySet[Organization]:
    """Return the collectivités that a campaign looks at: those of the public directory that still exist."""
    return Organization.objects.filter(closed_on=None, declared_contact__isnull=False)


@transaction.atomic
def start(kind: str = Run.Kind.NATIONAL, *, shards: int = SHARDS) -> Run:
    """Start a run over every audited collectivité; the unfinished national run if there is one."""
    current = Run.objects.filter(kind=Run.Kind.NATIONAL, finished_at=None).first()
    if current is not None and kind == Run.Kind.NATIONAL:
        return current
    run = Run.objects.create(kind=kind, total=0, parts=shards, ruleset=RULESET)
    rows = [Shard(run=run, number=at, total=_part(at, shards).count()) for at in range(shards)]
    Shard.objects.bulk_create(row for row in rows if row.total)
    Run.objects.filter(pk=run.pk).update(total=sum(row.total for row in rows))
    finish(run.pk)
    run.refresh_from_db()
    return run


def take(shard: int) -> int | None:
    """Take a shard if it is free, until LEASE is over; return the attempt that holds it."""
    now = timezone.now()
    taken = Shard.objects.filter(pk=shard, status=Shard.Status.TODO, due_at__lte=now).update(
        due_at=now + LEASE, attempt=F("attempt") + 1
    )
    return Shard.objects.values_list("attempt", flat=True).get(pk=shard) if taken else None


def work(shard: int, *, server: str = "", until: datetime | None = None) -> bool:
    """Look at what is left of a shard, batch by batch; return whether it is done.

    Whoever comes late, or comes back after another took over, does nothing.
    """
    attempt = take(shard)
    if attempt is None:
        return False
    row = Shard.objects.select_related("run").get(pk=shard)
    until = until or timezone.now() + SLICE
    owned = owners()
    for batch in _left(row):
        if timezone.now() >= until:
            Shard.objects.filter(pk=shard, attempt=attempt).update(due_at=timezone.now())
            return False
        said = {each.pk: declaration_of(each, owned) for each in batch}
        try:
            looked = campaign.look(said, server=server, budget=SharedBudget())
            _check_health(looked)
            keep(looked, run=row.run, shard=shard, attempt=attempt)
        except ProbeIll:
            Shard.objects.filter(pk=shard, attempt=attempt).update(due_at=timezone.now() + ILL_WAIT)
            return False
        except Overtaken:
            return False
    Shard.objects.filter(pk=shard, attempt=attempt).update(status=Shard.Status.DONE, done=F("total"))
    finish(row.run_id)
    return True


@transaction.atomic
def keep(
    looked: Mapping[uuid.UUID, Case],
    *,
    run: Run | None = None,
    shard: int | None = None,
    attempt: int = 0,
    at: datetime | None = None,
) -> dict[uuid.UUID, Settled]:
    """Store what was seen of some collectivités, settled with what stood.

    Raises:
        Overtaken: `attempt` no longer holds the shard.
    """
    at = at or timezone.now()
    if shard is not None:
        held = Shard.objects.filter(pk=shard, attempt=attempt, status=Shard.Status.TODO)
        if not held.update(due_at=at + LEASE, done=Least(F("done") + len(looked), F("total"))):
            raise Overtaken
    # In one order, so that two workers on the same collectivités wait for each other and never for ever.
    before = {row.pk: row for row in Examination.objects.select_for_update().filter(pk__in=looked).order_by("pk")}
    settled, rows = {}, []
    for key in sorted(looked):
        case, old = looked[key], before.get(key)
        judged = report(case).findings
        stood = kept(_declared(old), case.declaration, old.verdicts) if old else {}
        pending = {rule: each for rule, each in old.pending.items() if rule in stood} if old else {}
        settled[key] = settle(judged, at, verdicts=stood, pending=pending)
        rows.append(_row(key, case, settled[key], run, at))
    fields = ["declaration", "facts", "verdicts", "groups", "pending", "ruleset", "run", "checked_at", "expires_at"]
    Examination.objects.bulk_create(rows, update_conflicts=True, unique_fields=["organization"], update_fields=fields)
    _tell(settled, at)
    return settled


def judge_again(row: Examination, case: Case, at: datetime) -> bool:
    """Store what the rules of today say of facts already stored; return whether a state changed.

    Nothing was looked at: the attempt is that of the facts, and a failure that waits for its second goes on waiting.
    Call it in a transaction.
    """
    settled = settle(report(case).findings, row.checked_at, verdicts=row.verdicts, pending=row.pending)
    row.verdicts, row.groups, row.pending, row.ruleset = settled.verdicts, settled.groups, settled.pending, RULESET
    row.save(update_fields=["verdicts", "groups", "pending", "ruleset"])
    _tell({row.pk: settled}, at)
    return bool(settled.turns)


def look_now(organization: uuid.UUID, *, server: str = "") -> Settled | None:
    """Look at one collectivité, for somebody who waits; None when it is not one that is audited.

    Seconds as a rule, a minute at most. A first failure is « à confirmer » (ruling 22) until `look_again`.
    """
    found = audited().select_related("declared_contact").filter(pk=organization)
    said = {each.pk: declaration_of(each) for each in found}
    if not said:
        return None
    return keep(campaign.look(said, server=server, budget=SharedBudget()))[organization]


def look_again(*, server: str = "", limit: int = BATCH) -> int:
    """Look at those whose turn has come: a second attempt that is due, a day gone by, a newcomer. Return how many.

    Who takes a row pushes its date, so that nobody else takes it before LEASE is over.
    """
    now = timezone.now()
    with transaction.atomic():
        turn = Examination.objects.filter(expires_at__lte=now, organization__closed_on=None)
        keys = list(
            turn.select_for_update(skip_locked=True, of=("self",))
            .order_by("expires_at")
            .values_list("pk", flat=True)[:limit]
        )
        Examination.objects.filter(pk__in=keys).update(expires_at=now + LEASE)
    newcomers = audited().filter(examination=None).order_by("pk").values_list("pk", flat=True)
    keys += newcomers[: limit - len(keys)]
    rows = audited().filter(pk__in=keys).select_related("declared_contact")
    owned = owners()
    looked = campaign.look(
        {each.pk: declaration_of(each, owned) for each in rows}, server=server, budget=SharedBudget()
    )
    try:
        _check_health(looked)
    except ProbeIll:
        return 0  # they come back when the lease is over
    return len(keep(looked))


def finish(run: uuid.UUID) -> bool:
    """Close a run of which nothing is left, once, and count what stands."""
    if Shard.objects.filter(run=run, status=Shard.Status.TODO).exists():
        return False
    if not Run.objects.filter(pk=run, finished_at=None).update(finished_at=timezone.now()):
        return False
    count(timezone.localdate())
    return True


def progress(run: uuid.UUID) -> Progress:
    """Say how far a run is. Two queries."""
    row = Run.objects.get(pk=run)
    done = Shard.objects.filter(run=run).aggregate(done=Sum("done"))["done"] or 0
    return Progress(row.total, done, row.finished_at is not None)


def due(run: uuid.UUID | None = None) -> list[int]:
    """Return the shards that somebody may take now."""
    rows = Shard.objects.due() if run is None else Shard.objects.due().filter(run=run)
    return list(rows.order_by("due_at", "pk").values_list("pk", flat=True))


def _part(number: int, shards: int) -> QuerySet[Organization]:
    """Return the collectivités of one shard: keys are drawn at random, so equal ranges hold equal numbers."""
    low, high = ((1 << 128) * at // shards for at in (number, number + 1))
    found = audited().filter(pk__gte=uuid.UUID(int=low))
    return found.filter(pk__lt=uuid.UUID(int=high)) if high < 1 << 128 else found


def _left(shard: Shard) -> Iterator[list[Organization]]:
    """Return what the run has not looked at yet of a shard, by batches."""
    after = uuid.UUID(int=0)
    left = _part(shard.number, shard.run.parts).exclude(examination__run=shard.run_id)
    while batch := list(left.filter(pk__gt=after).select_related("declared_contact").order_by("pk")[:BATCH]):
        yield batch
        after = batch[-1].pk


def _check_health(looked: Mapping[uuid.UUID, Case]) -> None:
    asked = [case.mail.mx.outcome for case in looked.values() if case.mail is not None]
    if len(asked) >= ILL_FROM and asked.count("unknown") > ILL_SHARE * len(asked):
        raise ProbeIll


def _declared(row: Examination) -> Declaration:
    return Declaration(**row.declaration)


def _row(key: uuid.UUID, case: Case, settled: Settled, run: Run | None, at: datetime) -> Examination:
    return Examination(
        organization_id=key,
        declaration=asdict(case.declaration),
        facts={
            "mail": case.mail.as_json() if case.mail else None,
            "web": case.web.as_json() if case.web else None,
            "servers": case.servers.as_json() if case.servers else None,
        },
        verdicts=settled.verdicts,
        groups=settled.groups,
        pending=settled.pending,
        ruleset=RULESET,
        run=run,
        checked_at=at,
        # Each has a minute of its own: the country is spread over the day, and stays so.
        expires_at=at + (SECOND_AFTER if settled.due else FRESH + timedelta(seconds=key.int % SPREAD)),
    )


def _tell(settled: Mapping[uuid.UUID, Settled], at: datetime) -> None:
    """Write what changed; open an alert where a criterion no longer passes, close it where it does again."""
    changes = Change.objects.bulk_create(
        Change(
            organization_id=key,
            criterion=turn.criterion,
            before=turn.before,
            after=turn.after,
            reason=turn.reason[:60],
            at=at,
            ruleset=RULESET,
        )
        for key, found in settled.items()
        for turn in found.turns
    )
    # Whatever mended it, another declaration included.
    mended = [
        alert.pk
        for alert in Alert.objects.filter(organization__in=settled, closed_at=None)
        if settled[alert.organization_id].verdicts.get(alert.criterion, ("",))[0] == "pass"
    ]
    Alert.objects.filter(pk__in=mended, closed_at=None).update(closed_at=at)
    Alert.objects.bulk_create(
        (
            Alert(organization_id=change.organization_id, criterion=change.criterion, opened_at=at, change=change)
            for change in changes
            if change.criterion in CRITERIA and change.after == "fail"
        ),
        ignore_conflicts=True,
    )
