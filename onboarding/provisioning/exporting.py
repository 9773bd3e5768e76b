"""A copy of everything an organization has here, made by a worker part after part, kept seven days, then deleted.

A part that is finished is never made again; a part cut short begins anew. Nothing is held in memory but a piece of a
file. The archive is a file of the workers' and the web's shared folder, never of the web root.
"""

import fcntl
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.provisioning import backends, mbox
from onboarding.provisioning.archive import Archive, TooLargeError, digest_of, safe_path
from onboarding.provisioning.change_models import Export, ExportPart
from onboarding.provisioning.engine import backoff
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable, WrongState
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts.models import User
from suite.catalog.models import Subscription
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.templatetags.suite import gigabytes

logger = logging.getLogger(__name__)

KEPT = timedelta(days=7)
LEASE = timedelta(minutes=2)
PULSE = 20.0  # seconds between two renewals of the lease
FAILURES_MAX = 12
MOST_AT_ONCE = 1  # each takes a worker for as long as it lasts, and a disk
# What other apps keep about an organization and it may take away: each adds a function that yields (name, content).
CONTRIBUTORS: list[Callable[[Deployment], Iterator[tuple[str, bytes]]]] = []
Kind = ExportPart.Kind


class LostError(Exception):
    """Another worker took the export meanwhile."""


# --- The verbs --------------------------------------------------------------------------------------------------------


@transaction.atomic
def ask(deployment: Deployment, *, by: User) -> Export:
    """Ask for a copy. WrongState when one is being made, or when it would pass what we can hold."""
    locked = Deployment.objects.select_for_update(no_key=True).get(pk=deployment.pk)
    if locked.closed_at is not None:
        raise WrongState("Ce service est fermé : il n’y a plus rien à copier.")
    if (expected := estimate(locked)) > settings.EXPORT_MOST_BYTES:
        raise WrongState(
            f"Vos données font environ {gigabytes(expected)}, plus que les {gigabytes(settings.EXPORT_MOST_BYTES)} "
            "d’une copie : votre opérateur vous les remettra autrement, écrivez-lui."
        )
    try:
        with transaction.atomic():
            export = Export.objects.create(deployment=locked, asked_by=by)
    except IntegrityError as error:
        raise WrongState("Une copie est déjà en cours : elle sera là d’ici peu.") from error
    resources = Resource.objects.filter(deployment=locked, removed_at__isnull=True).order_by("key")
    parts: list[tuple[str, Resource | None]] = [(Kind.DOSSIER, None)]
    kinds = {Resource.Kind.ZONE: Kind.ZONE, Resource.Kind.MAILBOX: Kind.MAILBOX, Resource.Kind.STORAGE: Kind.FILES}
    parts += [(kinds[Resource.Kind(one.kind)], one) for kind in kinds for one in resources if one.kind == kind]
    ExportPart.objects.bulk_create(
        ExportPart(export=export, position=number, kind=kind, resource=resource)
        for number, (kind, resource) in enumerate(parts, start=1)
    )
    record("deployment", locked.pk, "export_asked", by=by, payload={"export": str(export.pk), "parts": len(parts)})
    return export


def estimate(deployment: Deployment) -> int:
    """Return about how many bytes there are to copy, by what was last seen."""
    seen = Resource.objects.filter(
        deployment=deployment, removed_at__isnull=True, kind__in=[Resource.Kind.MAILBOX, Resource.Kind.STORAGE]
    ).values_list("observed", flat=True)
    return sum((one or {}).get("used") or 0 for one in seen)


def downloaded(export: Export, *, by: User) -> Path | None:
    """Note that somebody takes the copy out, and return its file; None when it is gone or past its day."""
    path = folder_of(export) / "archive.zip"
    if not export.available or not path.exists():
        return None
    record("deployment", export.deployment_id, "export_downloaded", by=by, payload={"export": str(export.pk)})
    return path


def folder_of(export: Export) -> Path:
    """Return where its files are."""
    return Path(settings.EXPORTS_DIR) / export.pk.hex


# --- The worker -------------------------------------------------------------------------------------------------------


def due() -> list[UUID]:
    """Return the exports that a worker may take now, the longest waiting first."""
    open_ones = Export.objects.filter(ready_at__isnull=True, given_up_at__isnull=True)
    held = open_ones.filter(due_at__gt=timezone.now(), attempt__gt=0, failures=0).count()
    waiting = open_ones.filter(due_at__lte=timezone.now()).order_by("due_at")
    return list(waiting.values_list("pk", flat=True)[: max(MOST_AT_ONCE - held, 0)])


def run(pk: UUID) -> bool:
    """Take an export and make what is left of it; return whether it is ready."""
    now = timezone.now()
    waiting = Export.objects.filter(pk=pk, ready_at__isnull=True, given_up_at__isnull=True, due_at__lte=now)
    export = waiting.select_related("deployment__organization", "deployment__operator").first()
    if export is None:
        return False
    attempt = export.attempt + 1
    if not waiting.filter(attempt=export.attempt).update(attempt=attempt, due_at=now + LEASE):
        return False
    export.attempt = attempt
    try:
        with _alone(export):
            _make(export)
    except LostError:
        logger.warning("Export %s was taken by another worker meanwhile.", pk)
    except TooLargeError:
        said = (
            f"Vos données passent les {gigabytes(settings.EXPORT_MOST_BYTES)} d’une copie : écrivez à votre opérateur."
        )
        _give_up(export, said)
    except Outcome as outcome:
        backends.renew()
        _later(export, outcome.note, given_up=isinstance(outcome, Refused))
    except SoftTimeLimitExceeded:
        backends.renew()
        _mine(export).update(due_at=timezone.now())
        raise
    except Exception:
        logger.exception("Export %s failed", pk)
        backends.renew()
        _later(export, "Une erreur inattendue s’est produite ; nos équipes la voient.")
    return Export.objects.filter(pk=pk, ready_at__isnull=False).exists()


def expire() -> int:
    """Delete the copies whose days are over, and what is left of those given up; return how many."""
    now, done = timezone.now(), 0
    over = Export.objects.filter(deleted_at__isnull=True, expires_at__lte=now) | Export.objects.filter(
        deleted_at__isnull=True, given_up_at__isnull=False
    )
    for export in over:
        shutil.rmtree(folder_of(export), ignore_errors=True)
        if not folder_of(export).exists():
            Export.objects.filter(pk=export.pk, deleted_at__isnull=True).update(deleted_at=now)
            record("deployment", export.deployment_id, "export_deleted", by=None, payload={"export": str(export.pk)})
            done += 1
    return done


def _make(export: Export) -> None:
    pulse = _Pulse(export)
    parts = list(export.parts.select_related("resource"))
    done = [part for part in parts if part.done_at is not None]
    if done and not (folder_of(export) / "archive.zip").exists():
        # The disk was lost, and what it held with it.
        export.parts.update(done_at=None, size=0)
        done, parts = [], list(export.parts.select_related("resource"))
    ended = max((part.size for part in done), default=0)
    archive = Archive(folder_of(export), ended=ended, most=settings.EXPORT_MOST_BYTES, alive=pulse.beat)
    with archive:
        for part in parts:
            if part.done_at is None:
                items, note = _copy(export, part, archive)
                pulse.beat(now=True)
                size = archive.finish_part(part.position)
                export.parts.filter(pk=part.pk).update(done_at=timezone.now(), items=items, size=size, note=note)
        archive.add("INVENTAIRE.csv", archive.inventory(part.position for part in parts))
    _finish(export, archive.path)


def _finish(export: Export, path: Path) -> None:
    now, size, digest = timezone.now(), path.stat().st_size, digest_of(path)
    with transaction.atomic():
        if not _mine(export).update(ready_at=now, expires_at=now + KEPT, size=size, sha256=digest, note="", failures=0):
            raise LostError
        payload = {"export": str(export.pk), "size": size, "sha256": digest}
        record("deployment", export.deployment_id, "export_ready", by=None, payload=payload)
    for leftover in path.parent.iterdir():
        if leftover != path:
            leftover.unlink(missing_ok=True)


def _mine(export: Export) -> Any:  # noqa: ANN401 - a queryset
    return Export.objects.filter(pk=export.pk, attempt=export.attempt, ready_at__isnull=True, given_up_at__isnull=True)


def _later(export: Export, note: str, *, given_up: bool = False) -> None:
    failures = export.failures + 1
    if given_up or failures >= FAILURES_MAX:
        _give_up(export, note)
    else:
        _mine(export).update(failures=failures, note=note[:500], due_at=timezone.now() + backoff(failures))


def _give_up(export: Export, note: str) -> None:
    with transaction.atomic():
        if _mine(export).update(given_up_at=timezone.now(), note=note[:500]):
            record("deployment", export.deployment_id, "export_given_up", by=None, payload={"export": str(export.pk)})


class _Pulse:
    """Renews the lease now and then; LostError once somebody else has it."""

    def __init__(self, export: Export) -> None:
        self.export, self.last = export, time.monotonic()

    def beat(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self.last > PULSE:
            if not _mine(self.export).update(due_at=timezone.now() + LEASE):
                raise LostError
            self.last = time.monotonic()


@contextmanager
def _alone(export: Export) -> Iterator[None]:
    """Hold the folder: a worker that was thought dead and a second one never write the same archive."""
    folder = folder_of(export)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LostError from error
        yield


# --- The parts --------------------------------------------------------------------------------------------------------


def _copy(export: Export, part: ExportPart, archive: Archive) -> tuple[int, str]:
    """Write one part; return how many items it has, and what could not be copied."""
    try:
        return _PARTS[part.kind](export, part.resource, archive), ""
    except (NotYet, Unavailable):
        raise
    except Refused as refusal:
        # The other side has no such thing, or cannot hand it over: the copy says so, and goes on.
        what = part.resource.key if part.resource else part.kind
        archive.add(f"non-copie/{safe_path(what)}.txt", [f"{what} : {refusal.note}\n".encode()])
        return 0, refusal.note[:500]


def _dossier(export: Export, _resource: Resource | None, archive: Archive) -> int:
    archive.add("LISEZ-MOI.txt", [_README.encode()])
    archive.add(
        "dossier/service.json", [json.dumps(_about(export), indent=2, ensure_ascii=False, default=str).encode()]
    )
    archive.add("dossier/journal.jsonl", _events(export.deployment))
    count = 2
    for contribute in CONTRIBUTORS:
        for name, content in contribute(export.deployment):
            archive.add(f"dossier/{safe_path(name)}", [content])
            count += 1
    return count


def _about(export: Export) -> dict[str, Any]:
    deployment, organization = export.deployment, export.deployment.organization
    resources = deployment.resources.filter(removed_at__isnull=True).order_by("kind", "key")
    held = Subscription.objects.filter(organization=organization, active=True).select_related("service")
    return {
        "format": "suite-territoriale/service",
        "version": 1,
        "organization": {"name": organization.name, "code": organization.code, "siren": organization.siren},
        "operator": deployment.operator.name,
        "domain": deployment.domain,
        "zone_kind": deployment.zone_kind,
        "created_at": deployment.created_at,
        "exported_at": timezone.now(),
        "things": list(resources.values("kind", "key", "desired", "observed", "observed_at")),
        "subscriptions": [
            {"service": one.service.name, "quota": one.quota, "unlimited": one.unlimited, "since": one.since}
            for one in held
        ],
    }


def _events(deployment: Deployment) -> Iterator[bytes]:
    """Yield the journal of the deployment, an event a line, without who is behind it."""
    for event in Event.objects.about("deployment", deployment.pk).iterator(chunk_size=500):
        said = {"seq": event.seq, "at": event.effective_at, "kind": event.kind, "payload": event.payload}
        yield json.dumps(said, default=str, ensure_ascii=False).encode() + b"\n"


def _zone(export: Export, resource: Resource | None, archive: Archive) -> int:
    domain = resource.key if resource else export.deployment.domain
    archive.add(f"zone/{domain}.zone", [backends.dns().zone_file(domain).encode()])
    return 1


def _mailbox(_export: Export, resource: Resource | None, archive: Archive) -> int:
    if resource is None or resource.desired.get("kind") == "redirect":
        return 0
    count = 0
    with mbox.sorted_out(backends.mail().export_messages(resource.key), archive.folder) as folders:
        for folder, messages, path in folders:
            name = f"boites/{resource.key}/{safe_path(folder)}.mbox"
            archive.add(name, _pieces(path), told=f"{resource.key} {folder}")
            count += messages
    return count


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def _files(_export: Export, resource: Resource | None, archive: Archive) -> int:
    count = 0
    if resource is not None:
        for key, pieces in backends.storage().export_objects(resource.desired["space"]):
            archive.add(f"fichiers/{safe_path(key)}", pieces, told=key)
            count += 1
    return count


_PARTS: dict[str, Callable[[Export, Resource | None, Archive], int]] = {
    Kind.DOSSIER: _dossier,
    Kind.ZONE: _zone,
    Kind.MAILBOX: _mailbox,
    Kind.FILES: _files,
}
_README = """Copie complète de votre suite
================================

dossier/      votre demande, votre service et leur histoire (JSON)
zone/         votre nom de domaine, en fichier de zone (RFC 1035) que tout hébergeur DNS sait reprendre
boites/       vos boîtes aux lettres, un dossier par boîte, un fichier mbox par dossier de messages :
              Thunderbird et la plupart des messageries les importent
fichiers/     vos fichiers, sous leur nom ; un nom qu’un ordinateur n’accepte pas y est réécrit
non-copie/    ce qui n’a pas pu être copié, et pourquoi
INVENTAIRE.csv  chaque fichier avec sa taille et son empreinte SHA-256, pour vérifier que rien n’a changé
"""
