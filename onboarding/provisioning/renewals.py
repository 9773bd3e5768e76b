"""Domains that expire: asked daily until when they are held, renewed where the operator agreed, told in time.

Windows of 60, 30, 15, 7 and 1 days, and the day itself (`due_windows`). What we registered is renewed by the registrar
for one more year when its operator has agreed once for all; a commune's own domain is only spoken of.
"""

import datetime as dt
import logging
import time

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from onboarding.provisioning import backends
from onboarding.provisioning import renewals_workflow as verbs
from onboarding.provisioning.due_windows import Stage, settle
from onboarding.provisioning.errors import NotYet, Outcome, Refused
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.move_models import DueStage, Renewal
from suite.notices.models import Notice
from suite.notices.workflow import queue

logger = logging.getLogger(__name__)

LOOK_EVERY = dt.timedelta(days=1)
AGAIN = dt.timedelta(hours=1)  # after a look or a renewal that failed
WORK = 12.0  # seconds for a sweep
MOST = 50
RENEW_AHEAD = dt.timedelta(days=60)
DAYS = (60, 30, 15, 7, 1, 0)
STAGES = tuple(Stage(f"renewal_{days}", dt.timedelta(days=days)) for days in DAYS)
# Told to the commune too: a name about to be lost is not the operator's affair alone.
TO_THE_COMMUNE = frozenset({"renewal_15", "renewal_7", "renewal_1", "renewal_0"})


def sweep(now: dt.datetime | None = None) -> int:
    """Look at the domains whose turn has come, renew and tell what is due; return how many were told."""
    now = now or timezone.now()
    _follow_new_ones()
    until = time.monotonic() + WORK
    for row in list(_to_look(now)[:MOST]):
        if time.monotonic() > until:
            break
        look(row, now)
    return sum(tell(row, now) for row in _to_tell(now))


def look(row: Renewal, now: dt.datetime) -> None:
    """Ask the registrar until when the name is held, outside any transaction, and renew it if it is time and agreed."""
    domain = row.deployment.domain
    if not is_ours(row.deployment):
        return
    try:
        expires = backends.registrar().expires_at(domain)
        # Known whatever comes of the renewal: the windows are counted from it.
        Renewal.objects.filter(pk=row.pk).update(expires_at=expires, seen_at=now)
        row.expires_at = expires
        if row.automatic and expires - RENEW_AHEAD <= now:
            backends.registrar().ensure_renewed(domain, one_year_after(expires))
            expires = backends.registrar().expires_at(domain)
            if expires - RENEW_AHEAD <= now:
                # It said done, and is not.
                note = "Le bureau d’enregistrement dit avoir renouvelé le nom, mais sa date n’a pas changé."
                raise Refused("not_renewed", note)  # noqa: TRY301 - one way to fail
            verbs.renewed(row, expires, now)
        else:
            verbs.seen(row, expires, now)
    except NotYet as wait:
        Renewal.objects.filter(pk=row.pk).update(looked_at=now, note=wait.note[:500], code=wait.code[:60])
    except Outcome as trouble:
        backends.renew()
        verbs.failed(row, trouble.code, trouble.note, now)
    except Exception:
        logger.exception("Looking at the renewal of %s failed", domain)
        backends.renew()
        verbs.failed(row, "unexpected", "Une erreur inattendue s’est produite ; nos équipes la voient.", now)


def learn(deployment: Deployment, expires_at: dt.datetime, *, now: dt.datetime | None = None) -> None:
    """Write what a registry publishes of a domain that is the commune's own (RDAP, event « expiration »)."""
    now = now or timezone.now()
    row, _ = Renewal.objects.get_or_create(deployment=deployment)
    verbs.seen(row, expires_at, now)


@transaction.atomic
def tell(row: Renewal, now: dt.datetime) -> bool:
    """Say the latest stage reached, once for that date; nothing while an agreed renewal goes well."""
    if row.expires_at is None or _on_its_way(row, row.expires_at, now):
        return False
    line = settle(row.deployment.domain, STAGES, row.expires_at, now)
    if line is None:
        return False
    line.notice = _notify(row, line, now)
    line.save(update_fields=["notice"])
    return True


def _on_its_way(row: Renewal, expires: dt.datetime, now: dt.datetime) -> bool:
    """Whether an agreed renewal goes well; far from the date, a registrar may be out of reach for a day."""
    if not row.automatic:
        return False
    return row.alarm_since is None or (row.alarm_since > now - LOOK_EVERY and expires - now > dt.timedelta(days=15))


def is_ours(deployment: Deployment) -> bool:
    """Whether we hold the name: it is ours to renew."""
    return deployment.zone_kind == Deployment.ZoneKind.REGISTERED


def one_year_after(moment: dt.datetime) -> dt.datetime:
    """Return the same day of the next year; the 28th for a 29th of February."""
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:
        return moment.replace(year=moment.year + 1, day=28)


def _notify(row: Renewal, line: DueStage, now: dt.datetime) -> Notice | None:
    deployment = row.deployment
    ours = is_ours(deployment)
    context = {
        "deployment": deployment,
        "renewal": row,
        "days": max((line.due_at - now).days, 0),
        "over": line.due_at <= now,
        "ours": ours,
        "url": settings.PUBLIC_BASE_URL + reverse("provisioning:renewal", args=[deployment.pk]),
    }
    key = f"renewal:{deployment.pk}:{line.kind}:{line.due_at.isoformat()}"
    notice = None
    if not ours or line.kind in TO_THE_COMMUNE:
        notice = queue("renewal_due", to=deployment.welcome_email, key=key, context=context)
    if ours or line.kind in TO_THE_COMMUNE:
        notice = queue("renewal_due", to=deployment.operator.email, key=key, context=context)
    return notice


def _follow_new_ones() -> None:
    """Have a row for each domain that has a registrar: under the shared zone nothing expires."""
    live = Deployment.objects.filter(closed_at__isnull=True, renewal__isnull=True)
    held = Q(steps__name=Step.Name.REGISTRATION, steps__status__in=Step.FINISHED)
    new = live.filter(held | Q(zone_kind=Deployment.ZoneKind.EXTERNAL)).distinct()[:500]
    Renewal.objects.bulk_create([Renewal(deployment=each) for each in new], ignore_conflicts=True)


def _open() -> QuerySet[Renewal]:
    return Renewal.objects.filter(deployment__closed_at__isnull=True).select_related(
        "deployment__organization", "deployment__operator"
    )


def _to_look(now: dt.datetime) -> QuerySet[Renewal]:
    """Return whose turn has come, the longest unseen first."""
    turn = Q(looked_at__isnull=True) | Q(looked_at__lte=now - LOOK_EVERY) | ~Q(code="") & Q(looked_at__lte=now - AGAIN)
    rows = _open().filter(turn, deployment__zone_kind=Deployment.ZoneKind.REGISTERED)
    return rows.order_by(F("looked_at").asc(nulls_first=True))


def _to_tell(now: dt.datetime) -> QuerySet[Renewal]:
    """Return the domains in a window. A date long past is a domain lost, or sold: nothing more is said."""
    soon = now + dt.timedelta(days=DAYS[0])
    return _open().filter(expires_at__lte=soon, expires_at__gte=now - dt.timedelta(days=30))
