"""The verbs of a cutover: the commune reads, chooses a date, calls off, goes back; a worker moves it along."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from onboarding.provisioning import cutover_records, moves
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.move_models import Cutover
from suite.accounts.models import User
from suite.accounts.permissions import CUT_OVER, allows, organization_roles
from suite.journal.workflow import record
from suite.notices.workflow import queue

S = Cutover.State

SOONEST = dt.timedelta(days=3)  # the time to live is lowered two days before
LATEST = dt.timedelta(days=180)
CONSENT = (
    "J’ai lu les changements proposés pour {domain}. J’accepte que son courrier arrive à La Suite à partir du {at}, et "
    "je sais qu’un retour en arrière reste possible pendant trente jours."
)


class CutoverRefused(Exception):
    """The cutover cannot go there; `field` names what to change, the text says how, in French."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class WrongState(Exception):
    """The cutover is no longer where the person saw it; the text says so, in French."""

    def __init__(self) -> None:
        super().__init__("La bascule n’en est plus là : relisez la page, elle est à jour.")


def consent_of(domain: str, at: dt.datetime) -> str:
    """Return the sentence that the commune agrees to."""
    return CONSENT.format(domain=domain, at=f"{timezone.localtime(at):%d/%m/%Y à %H:%M}")


@transaction.atomic
def begin(deployment: Deployment, *, by: User) -> Cutover:
    """Have the present records read, so that the commune sees what would change. Binds nobody."""
    _check(by, deployment)
    if deployment.closed_at is not None or hasattr(deployment, "closure"):
        raise CutoverRefused("", "Cette suite est fermée ou en cours de fermeture.")
    try:
        with transaction.atomic():
            row = Cutover.objects.create(deployment=deployment, asked_by=by)
    except IntegrityError:
        raise WrongState from None
    _record("cutover_begun", row, by=by)
    _wake(row)
    return row


@transaction.atomic
def plan(row: Cutover, *, by: User, at: dt.datetime, nothing_to_bring: bool) -> None:
    """Choose the hour, for the first time or again: the consent is of this person, today, for this hour."""
    _check(by, row.deployment)
    now = timezone.now()
    if not now + SOONEST <= at <= now + LATEST:
        first, last = timezone.localtime(now + SOONEST), timezone.localtime(now + LATEST)
        text = f"Choisissez une date entre le {first:%d/%m/%Y à %H:%M} et le {last:%d/%m/%Y}."
        raise CutoverRefused("at", text)
    if row.before is None:
        raise CutoverRefused("", "Nous n’avons pas encore pu lire votre domaine : réessayez dans un instant.")
    spec = cutover_records.known_spec(row.deployment)
    if spec is not None and cutover_records.is_ours(row.before["mx"], spec):
        raise CutoverRefused("", "Le courrier de ce domaine arrive déjà à La Suite : il n’y a rien à basculer.")
    _move(
        row, {S.DRAFT, S.PLANNED, S.PREPARED, S.POSTPONED},
        state=S.PLANNED, at=at, consent_by=by, consent_at=now, consent_text=consent_of(row.deployment.domain, at),
        nothing_to_bring=nothing_to_bring, due_at=now, checks=[], checked_at=None, code="", note="",
    )  # fmt: skip
    row.refresh_from_db()
    event = _record("cutover_planned", row, by=by, at=at.isoformat())
    tell(row, "planned", event=event)
    _wake(row)


@transaction.atomic
def declare_lowered(row: Cutover, *, by: User) -> None:
    """Write that the commune lowered the time to live of its MX, which nobody reads from outside with certainty."""
    _check(by, row.deployment)
    if row.ttl_lowered_at is None:
        _move(row, {S.PLANNED, S.PREPARED}, ttl_lowered_at=timezone.now(), due_at=timezone.now())
        _record("cutover_ttl_lowered", row, by=by)
        _wake(row)


@transaction.atomic
def check_now(row: Cutover, *, by: User) -> None:
    """Have the checks made again now."""
    _check(by, row.deployment)
    _move(row, {*S} - set(Cutover.ENDED), due_at=timezone.now())
    _wake(row)


@transaction.atomic
def cancel(row: Cutover, *, by: User) -> None:
    """Call it off, as long as nothing has been switched."""
    _check(by, row.deployment)
    _move(row, set(Cutover.BEFORE), state=S.CANCELLED, ended_at=timezone.now(), due_at=None, code="", note="")
    event = _record("cutover_cancelled", row, by=by)
    if row.consent_by_id is not None:
        tell(row, "cancelled", event=event)


@transaction.atomic
def revert(row: Cutover, *, by: User) -> None:
    """Go back to the servers of before."""
    _check(by, row.deployment)
    now = timezone.now()
    _move(
        row, set(Cutover.REVERTIBLE), state=S.REVERTING, revert_asked_at=now, revert_asked_by=by, due_at=now,
        code="", note="",
    )  # fmt: skip
    event = _record("cutover_reverting", row, by=by)
    tell(row, "reverting", event=event)
    _wake(row)


@transaction.atomic
def advance(row: Cutover, target: S, what: str = "", **columns: Any) -> bool:  # noqa: ANN401 - columns
    """Move along, as the worker that holds the row; False when a person acted meanwhile. `what` is told by mail."""
    now = timezone.now()
    if target in Cutover.ENDED:
        columns["ended_at"] = now
    held = Cutover.objects.filter(pk=row.pk, attempt=row.attempt, version=row.version, state=row.state)
    if not held.update(state=target, **columns):
        return False
    row.refresh_from_db()
    event = _record(f"cutover_{target}", row, by=None)
    if what:
        tell(row, what, event=event)
    return True


def tell(row: Cutover, what: str, *, event: Any = None, key: str = "") -> Any:  # noqa: ANN401 - an event, a notice
    """Tell whoever agreed to it, and its operator when something is wrong."""
    deployment = row.deployment
    url = settings.PUBLIC_BASE_URL + reverse("provisioning:cutover", args=[deployment.pk])
    context = {"deployment": deployment, "cutover": row, "what": what, "external": is_external(deployment), "url": url}
    if what in {"postponed", "late", "unverified"}:
        queue("cutover_told", to=deployment.operator.email, event=event, key=key, context=context)
    person = row.consent_by or row.asked_by
    return queue("cutover_told", to=person.email, event=event, key=key, context=context)


def is_external(deployment: Deployment) -> bool:
    """Whether the commune publishes the records of its domain itself."""
    return deployment.zone_kind == Deployment.ZoneKind.EXTERNAL


def may_cut_over(user: User, deployment: Deployment) -> bool:
    """Whether the person decides for the organization."""
    return allows(CUT_OVER, organization_roles(user, deployment.organization))


def _check(by: User, deployment: Deployment) -> None:
    if not may_cut_over(by, deployment):
        raise PermissionDenied(CUT_OVER.refusal)


def _move(row: Cutover, sources: set[S], **columns: Any) -> None:  # noqa: ANN401 - columns
    """Test and set in one statement; a worker that holds the row sees that its version is over."""
    open_ = Cutover.objects.filter(pk=row.pk, state__in=sources, version=row.version)
    if not open_.update(version=F("version") + 1, **columns):
        raise WrongState


def _record(kind: str, row: Cutover, *, by: User | None, **payload: str) -> Any:  # noqa: ANN401 - an event
    return record("deployment", row.deployment_id, kind, by=by, payload={"cutover": str(row.pk), **payload})


def _wake(row: Cutover) -> None:
    transaction.on_commit(lambda: moves.wake("cutover", row.pk), robust=True)
