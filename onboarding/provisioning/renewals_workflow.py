"""The verbs of a renewal: an operator agrees to it, or not any more; a worker writes what it saw and did."""

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from onboarding.provisioning.models import Deployment
from onboarding.provisioning.move_models import Renewal
from onboarding.provisioning.workflow import may_operate
from suite.accounts.models import User
from suite.accounts.permissions import OPERATE
from suite.journal.workflow import record


@transaction.atomic
def agree(deployment: Deployment, *, by: User, automatic: bool) -> None:
    """Have the name renewed by itself, at the operator's cost, or not any more; signed and dated."""
    if not may_operate(by, deployment):
        raise PermissionDenied(OPERATE.refusal)
    row, _ = Renewal.objects.get_or_create(deployment=deployment)
    signed = {"consent_by": by, "consent_at": timezone.now()}
    # The registrar is asked at the next sweep, and not a day later.
    if Renewal.objects.filter(pk=row.pk, automatic=not automatic).update(automatic=automatic, looked_at=None, **signed):
        record("deployment", deployment.pk, "renewal_automatic" if automatic else "renewal_by_hand", by=by)


@transaction.atomic
def seen(row: Renewal, expires_at: dt.datetime, now: dt.datetime) -> None:
    """Write until when the name is held; a later date ends an alarm."""
    columns = {"expires_at": expires_at, "seen_at": now, "looked_at": now, "code": "", "note": "", "alarm_since": None}
    Renewal.objects.filter(pk=row.pk).update(**columns)
    _copy(row, columns)


@transaction.atomic
def renewed(row: Renewal, expires_at: dt.datetime, now: dt.datetime) -> None:
    """Write that the name is held for longer."""
    seen(row, expires_at, now)
    Renewal.objects.filter(pk=row.pk).update(renewed_at=now)
    payload = {"domain": row.deployment.domain, "until": expires_at.date().isoformat()}
    record("deployment", row.deployment_id, "renewed", by=None, payload=payload)


@transaction.atomic
def failed(row: Renewal, code: str, note: str, now: dt.datetime) -> None:
    """Write why nobody knows, or why it is not renewed; the first time, in the journal."""
    columns = {"looked_at": now, "code": code[:60], "note": note[:500], "alarm_since": row.alarm_since or now}
    Renewal.objects.filter(pk=row.pk).update(**columns)
    _copy(row, columns)
    if columns["alarm_since"] == now:
        record("deployment", row.deployment_id, "renewal_failed", by=None, payload={"code": code[:60]})


def _copy(row: Renewal, columns: dict[str, object]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
