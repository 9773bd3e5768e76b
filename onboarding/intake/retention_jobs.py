"""The jobs that keep nothing longer than `retention` says: in batches, under a cap, and told to the journal in numbers.

A job counts first. Above the cap it stops and says so: a wrong clock must not empty the database. Each batch is one
transaction that locks its rows, and reads again whether they are due.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.sessions.models import Session
from django.db import connection, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from onboarding.agreements.models import Acceptance, Confirmation, Signatory
from onboarding.intake import retention
from onboarding.intake.desk_models import BulkAct, SavedView
from onboarding.intake.erasure import erase_dossiers, erase_notices
from onboarding.intake.models import Dossier
from onboarding.intake.personal_models import DossierErasure, ErasureRequest
from onboarding.intake.retention_category import DRAFT_NOTICE, draft_kept
from onboarding.provisioning.change_models import ExportPart, MoreRequest
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.block_models import AccountBlock
from suite.accounts.mandate_models import Document, Letter, MandateProof, Objection
from suite.accounts.models import (
    AccessRequest,
    Identity,
    Invitation,
    Membership,
    OperatorRole,
    RelinkRequest,
    User,
    UserSession,
)
from suite.journal.models import Event, EventText
from suite.journal.workflow import record
from suite.notices.models import Notice

STREAM = "retention"
NAMESPACE = uuid.UUID("0f5c3a0e-3a0b-4a53-8d67-2c2e7c0b1f11")
BATCH = 100
CAP = 2000
_LOCK = 0x7E221777

S = Dossier.Status
Rows = QuerySet[Any]


@dataclass(frozen=True)
class Job:
    """What is due at an instant, and how a batch of it is erased. One row of `due` is one in the count."""

    code: str
    category: str
    due: Callable[[dt.datetime], Rows]
    erase: Callable[[list[Any]], None]


@dataclass(frozen=True)
class Result:
    """What one job found and did; `stopped`: more was due than the cap allows, and nothing was touched."""

    job: str
    due: int
    done: int = 0
    stopped: bool = False


def run(*, now: dt.datetime | None = None, dry: bool = False, cap: int = CAP, only: str = "") -> list[Result]:
    """Run every job, or `only` one; `dry` counts and touches nothing. One run at a time: a second finds it busy."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return []
    try:
        return [_run(job, now, dry=dry, cap=cap) for job in JOBS if only in {"", job.code}]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _run(job: Job, now: dt.datetime, *, dry: bool, cap: int) -> Result:
    count = job.due(now).count()
    if dry or not count:
        return Result(job.code, count, stopped=count > cap)
    subject = uuid.uuid5(NAMESPACE, job.code)
    if count > cap:
        record(STREAM, subject, "retention.stopped", by=None, payload={"job": job.code, "due": count, "cap": cap})
        return Result(job.code, count, stopped=True)
    done = 0
    for _ in range(-(-count // BATCH)):
        with transaction.atomic():
            locked = list(
                job.due(now).select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:BATCH]
            )
            # Read again under the lock: what was granted or reopened while we waited is not due any more.
            still = list(job.due(now).filter(pk__in=locked).values_list("pk", flat=True))
            if still:
                job.erase(still)
                done += len(still)
                record(STREAM, subject, "retention.ran", by=None, payload={"job": job.code, "rows": len(still)})
        if not locked:
            break
    return Result(job.code, count, done)


def as_dict(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the results as plain values."""
    return [asdict(one) for one in results]


def _before(category: str, now: dt.datetime) -> dt.datetime:
    period = retention.BY_CODE[category].period
    assert period is not None  # noqa: S101 - the categories with a job have one
    return now - period


def _not_erased() -> Q:
    return ~Q(Exists(DossierErasure.objects.filter(dossier=OuterRef("pk"), erased_at__isnull=False)))


# --- Dossiers ---------------------------------------------------------------------------------------------------------


def _abandoned() -> QuerySet[Dossier]:
    return Dossier.objects.filter(_not_erased(), status__in=[S.EXPIRED, S.WITHDRAWN], submitted_at__isnull=True)


def _drafts_to_warn(now: dt.datetime) -> Rows:
    warned = DossierErasure.objects.filter(dossier=OuterRef("pk"), warned_at__isnull=False)
    return _abandoned().filter(
        ~Exists(warned),
        ~Q(requester_email=""),
        status=S.EXPIRED,
        changed_at__lte=now - draft_kept() + DRAFT_NOTICE,
    )


def _warn(pks: list[Any]) -> None:
    from onboarding.intake import personal_notifications  # noqa: PLC0415 - it reads the pages, which read this

    now = timezone.now()
    for dossier in Dossier.objects.filter(pk__in=pks).select_related("organization"):
        DossierErasure.objects.update_or_create(dossier=dossier, defaults={"warned_at": now})
        personal_notifications.purge_soon(dossier)


def _drafts(now: dt.datetime) -> Rows:
    """An expired draft goes a week after the warning, a withdrawn one, or one that nobody can be told of, by itself."""
    told = DossierErasure.objects.filter(dossier=OuterRef("pk"), warned_at__lte=now - DRAFT_NOTICE)
    return _abandoned().filter(
        Exists(told) | Q(requester_email="") | Q(status=S.WITHDRAWN), changed_at__lte=now - draft_kept()
    )


def erase_drafts(pks: list[Any]) -> None:
    """A draft was nobody's business but its author's: its rows go too."""
    erase_dossiers(pks)
    for dossier in Dossier.objects.filter(pk__in=pks):
        for rows in (
            dossier.names, dossier.mailboxes, dossier.requested_services, dossier.revisions, dossier.remarks,
            dossier.co_authors, dossier.claims,
        ):  # fmt: skip
            rows.all().delete()


def _refused(now: dt.datetime) -> Rows:
    closed = Q(status__in=[S.REJECTED, S.REVOKED, S.WITHDRAWN, S.EXPIRED], submitted_at__isnull=False)
    return Dossier.objects.filter(_not_erased(), closed, changed_at__lte=_before("refused", now))


def _erase_refused(pks: list[Any]) -> None:
    erase_dossiers(pks)
    # What was accepted on sending never took effect.
    signed = Acceptance.objects.filter(case__in=pks)
    Signatory.objects.filter(acceptance__in=signed).delete()
    told = Event.objects.filter(stream="agreement", subject__in=signed.values("pk"))
    EventText.objects.filter(event__in=told.values("pk")).update(actor_label="", comment="")


def _accepted(now: dt.datetime) -> Rows:
    return Dossier.objects.filter(_not_erased(), status=S.APPROVED, decided_at__lte=_before("accepted", now))


# --- What surrounds them ----------------------------------------------------------------------------------------------


def _journal(now: dt.datetime) -> Rows:
    old = Event.objects.filter(pk=OuterRef("event"), recorded_at__lte=_before("journal", now))
    return EventText.objects.filter(Exists(old)).exclude(actor_label="", comment="")


def _notices(now: dt.datetime) -> Rows:
    return Notice.objects.filter(created_at__lte=_before("notices", now)).exclude(
        Q(state=Notice.State.QUEUED) | Q(dedupe_key__startswith="erased:")
    )


def _signatures(now: dt.datetime) -> Rows:
    live = Deployment.objects.filter(organization=OuterRef("acceptance__organization"), closed_at__isnull=True)
    old = Acceptance.objects.filter(pk=OuterRef("acceptance"), accepted_at__lte=_before("signatures", now))
    return Signatory.objects.filter(Exists(old), ~Exists(live))


def _erase_signatures(pks: list[Any]) -> None:
    Confirmation.objects.filter(acceptance__in=pks).update(check_text="")
    Signatory.objects.filter(pk__in=pks).delete()


def _services(now: dt.datetime) -> Rows:
    return Deployment.objects.filter(closed_at__lte=_before("services", now)).exclude(welcome_email="")


def _erase_services(pks: list[Any]) -> None:
    Deployment.objects.filter(pk__in=pks).update(welcome_email="")
    Step.objects.filter(deployment__in=pks).update(note="")
    MoreRequest.objects.filter(deployment__in=pks).update(reason="", answer="")
    ExportPart.objects.filter(export__deployment__in=pks).update(note="")
    for resource in Resource.objects.filter(deployment__in=pks, kind=Resource.Kind.MAILBOX):
        observed: dict[str, Any] | None = None if resource.observed is None else {}
        Resource.objects.filter(pk=resource.pk).update(
            key=f"erased-{resource.pk}", desired={}, observed=observed, drift=[]
        )


def _mandates(now: dt.datetime) -> Rows:
    over = MandateProof.objects.filter(changed_at__lte=_before("mandates", now)).exclude(state__in=MandateProof.LIVE)
    named = Exists(Document.objects.filter(proof=OuterRef("pk")).exclude(signatory=""))
    told = Exists(Objection.objects.filter(proof=OuterRef("pk"), closed_at__isnull=False).exclude(finding="effacé"))
    addressed = Exists(Letter.objects.filter(proof=OuterRef("pk")).exclude(address_lines=[]))
    return over.filter(~Q(sent_to="") | ~Q(reason="") | named | told | addressed)


def _erase_mandates(pks: list[Any]) -> None:
    MandateProof.objects.filter(pk__in=pks).update(sent_to="", reason="")
    Document.objects.filter(proof__in=pks).update(signatory="")
    Letter.objects.filter(proof__in=pks).update(address_lines=[])
    # A closed objection is signed and says something: the database's own law.
    Objection.objects.filter(proof__in=pks, closed_at__isnull=False).update(finding="effacé")


def _invitations(now: dt.datetime) -> Rows:
    limit = _before("asked", now)
    return Invitation.objects.filter(
        Q(expires_at__lte=limit) | Q(accepted_at__lte=limit) | Q(revoked_at__lte=limit)
    ).exclude(email="")


def _accesses(now: dt.datetime) -> Rows:
    return AccessRequest.objects.filter(answered_at__lte=_before("asked", now)).exclude(message="")


def _relinks(now: dt.datetime) -> Rows:
    return RelinkRequest.objects.filter(expires_at__lte=_before("asked", now)).exclude(email="")


def _erase_relinks(pks: list[Any]) -> None:
    for pk in pks:
        # One open request per identity: an erased one keeps a name of its own.
        RelinkRequest.objects.filter(pk=pk).update(
            email="", given_name="", usual_name="", sub=f"erased-{pk}", siret="", idp_id="", uid="",
            organization_label="", roles=[],
        )  # fmt: skip


def _requests(now: dt.datetime) -> Rows:
    answered = ErasureRequest.objects.filter(answered_at__lte=_before("requests", now))
    return answered.exclude(message="", answer="")


def _administrators(now: dt.datetime) -> Rows:
    return AdministratorChange.objects.filter(ended_at__lte=_before("administrators", now)).exclude(
        reason="", ending="", objection_digest=""
    )


def _erase_administrators(pks: list[Any]) -> None:
    rows = AdministratorChange.objects.filter(pk__in=pks)
    rows.update(reason="", ending="", objection_digest="")
    # A change of address has one: the database's own law.
    rows.exclude(email="").update(email="efface@efface.invalid")


def _blocks(now: dt.datetime) -> Rows:
    return AccountBlock.objects.filter(decided_at__lte=_before("administrators", now)).exclude(reason="")


def _bulk(now: dt.datetime) -> Rows:
    return BulkAct.objects.filter(created_at__lte=_before("bulk", now))


def _delete_bulk(pks: list[Any]) -> None:
    BulkAct.objects.filter(pk__in=pks).delete()


def _places(now: dt.datetime) -> Rows:
    return OperatorRole.objects.filter(active=False, changed_at__lte=_before("asked", now)).exclude(suspended_for="")


# --- Accounts ---------------------------------------------------------------------------------------------------------


def forgettable() -> QuerySet[User]:
    """Return the accounts that hold no right at all, and that nothing under way waits for."""
    live = Membership.objects.filter(user=OuterRef("pk")).exclude(state=Membership.State.ENDED)
    places = OperatorRole.objects.filter(user=OuterRef("pk"), active=True)
    under_way = Dossier.objects.filter(status__in=[S.DRAFT, *Dossier.OPEN])
    mine = under_way.filter(Q(author=OuterRef("pk")) | Q(assignee=OuterRef("pk")))
    return User.objects.filter(
        ~Exists(live), ~Exists(places), ~Exists(mine), is_superuser=False, is_staff=False, break_glass__isnull=True
    ).exclude(email="", given_name="", usual_name="", is_active=False)


def _accounts(now: dt.datetime) -> Rows:
    seen = Coalesce("last_login", "created_at")
    # No join may stand under the lock: those above are subqueries, and this one too.
    return User.objects.filter(pk__in=forgettable().annotate(seen=seen).filter(seen__lte=_before("account", now)))


def erase_accounts(pks: list[Any]) -> None:
    """Make these accounts nobody's: they open no session, and name no one. Whoever comes back gets a new one."""
    User.objects.filter(pk__in=pks).update(
        email="", given_name="", usual_name="", is_active=False, sessions_ended_at=timezone.now()
    )
    for identity in Identity.objects.filter(user__in=pks):
        Identity.objects.filter(pk=identity.pk).update(
            sub=f"erased-{identity.pk}", siret="", idp_id="", uid="", organization_label="", roles=[],
            revoked_at=identity.revoked_at or timezone.now(),
        )  # fmt: skip
    UserSession.objects.filter(user__in=pks).delete()
    Membership.objects.filter(user__in=pks).update(recovery_email="")
    SavedView.objects.filter(owner__in=pks).delete()


def _columns(model: type[models.Model], **values: str) -> Callable[[list[Any]], None]:
    def erase(pks: list[Any]) -> None:
        model._default_manager.filter(pk__in=pks).update(**values)  # noqa: SLF001 - Django's documented API

    return erase


def _delete_sessions(pks: list[Any]) -> None:
    Session.objects.filter(pk__in=pks).delete()


JOBS = (
    Job("warnings", "drafts", _drafts_to_warn, _warn),
    Job("drafts", "drafts", _drafts, erase_drafts),
    Job("refused", "refused", _refused, _erase_refused),
    Job("accepted", "accepted", _accepted, erase_dossiers),
    Job("journal", "journal", _journal, _columns(EventText, actor_label="", comment="")),
    Job("notices", "notices", _notices, lambda pks: erase_notices(Notice.objects.filter(pk__in=pks))),
    Job("signatures", "signatures", _signatures, _erase_signatures),
    Job("services", "services", _services, _erase_services),
    Job("mandates", "mandates", _mandates, _erase_mandates),
    Job("asked", "asked", _invitations, _columns(Invitation, email="")),
    Job("accesses", "asked", _accesses, _columns(AccessRequest, message="")),
    Job("relinks", "asked", _relinks, _erase_relinks),
    Job("places", "asked", _places, _columns(OperatorRole, suspended_for="")),
    Job("requests", "requests", _requests, _columns(ErasureRequest, message="", answer="")),
    Job("administrators", "administrators", _administrators, _erase_administrators),
    Job("blocks", "administrators", _blocks, _columns(AccountBlock, reason="")),
    Job("bulk", "bulk", _bulk, _delete_bulk),
    Job("sessions", "cookies", lambda now: Session.objects.filter(expire_date__lt=now), _delete_sessions),
    Job("accounts", "account", _accounts, erase_accounts),
)
