"""The verbs of an import of old mail: who asked for it starts, pauses, resumes and cancels it; a worker ends it."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone

from onboarding.provisioning import moves
from onboarding.provisioning.backends import imap
from onboarding.provisioning.models import Resource
from onboarding.provisioning.move_models import BroughtMessage, MailImport
from suite.accounts import codes
from suite.accounts.models import User
from suite.accounts.permissions import BRING_MAIL, allows, organization_roles
from suite.journal.workflow import record
from suite.notices.workflow import queue

S = MailImport.State

# What the person alone can mend, and how the page asks for it.
NEEDS_PASSWORD = frozenset({"bad_password", "password_forgotten"})


class ImportRefused(Exception):
    """The import cannot be started; `field` names what to change, the text says how, in French."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class WrongState(Exception):
    """The import is no longer where the person saw it; the text says so, in French."""

    def __init__(self) -> None:
        super().__init__("Cette reprise de courrier n’en est plus là : relisez la page, elle est à jour.")


def may_bring(user: User | AnonymousUser, resource: Resource) -> bool:
    """Whether the person may have old mail brought to the mailbox: its holder, or a manager of the organization."""
    if not isinstance(user, User):
        return False
    roles = organization_roles(user, resource.deployment.organization)
    if allows(BRING_MAIL, roles):
        return True
    mine = user.email.lower()
    holder = mine in {resource.key.lower(), str(resource.desired.get("recovery_email", "")).lower()}
    return bool(mine) and holder and bool(user.memberships.filter(organization=resource.deployment.organization_id))


@transaction.atomic
def start(  # noqa: PLR0913 - an account elsewhere has these facts
    resource: Resource,
    *,
    by: User,
    host: str,
    login: str,
    password: str,
    with_bins: bool = False,
    port: int = imap.PORT,
) -> MailImport:
    """Begin to bring the mail of an account elsewhere; of the same account as before, only what is not here yet.

    Raises `PermissionDenied` out of role, `ImportRefused` for what cannot be brought.
    """
    _check(by, resource)
    host = host.strip().rstrip(".").lower()
    if not imap.is_host(host):
        raise ImportRefused("host", "Écrivez le nom du serveur, par exemple « imap.exemple.fr ».")
    if not imap.may_use_port(port):
        raise ImportRefused("host", "Le courrier se reprend par le port 993 (IMAP sur TLS) seulement.")
    if resource.kind != Resource.Kind.MAILBOX or resource.desired.get("kind") == "redirect":
        raise ImportRefused("", "Une redirection ne garde aucun message : choisissez une boîte aux lettres.")
    deployment = resource.deployment
    if deployment.closed_at is not None or hasattr(deployment, "closure"):
        raise ImportRefused("", "Cette suite est fermée ou en cours de fermeture : plus rien n’y est apporté.")
    begun: dict[str, Any] = {
        "asked_by": by, "port": port, "sealed_password": codes.seal(password), "with_bins": with_bins,
        "state": S.RUNNING, "surveyed_at": None, "ended_at": None, "silent_since": None, "code": "", "note": "",
        "due_at": timezone.now(), "stated_at": timezone.now(),
    }  # fmt: skip
    try:
        with transaction.atomic():
            row, created = MailImport.objects.get_or_create(resource=resource, host=host, login=login, defaults=begun)
            if not created:
                again = MailImport.objects.filter(pk=row.pk, state__in=MailImport.ENDED)
                if not again.update(version=F("version") + 1, **begun):
                    raise WrongState
                row.folders.update(finished_at=None, counted=False)
    except IntegrityError as error:
        raise ImportRefused("", "Une reprise de courrier est déjà ouverte pour cette boîte : finissez-la.") from error
    _record("mail_import_started", row, by=by)
    transaction.on_commit(lambda: moves.wake("mail_import", row.pk), robust=True)
    return row


@transaction.atomic
def pause(row: MailImport, *, by: User) -> None:
    """Stop for now; what is brought stays."""
    _check(by, row.resource)
    _move(row, {S.RUNNING}, state=S.PAUSED, due_at=None, code="", note="")
    _record("mail_import_paused", row, by=by)


@transaction.atomic
def resume(row: MailImport, *, by: User, password: str = "") -> None:
    """Go on, with another password if it is given; without one where one is needed, `ImportRefused`."""
    _check(by, row.resource)
    columns: dict[str, Any] = {}
    if password:
        columns["sealed_password"] = codes.seal(password)
    elif not row.sealed_password:
        raise ImportRefused("password", "Écrivez le mot de passe de l’ancienne boîte.")
    begun = {"state": S.RUNNING, "due_at": timezone.now(), "silent_since": None, "failures": 0, "code": "", "note": ""}
    _move(row, {S.PAUSED, S.STOPPED}, **begun, **columns)
    _record("mail_import_resumed", row, by=by)
    transaction.on_commit(lambda: moves.wake("mail_import", row.pk), robust=True)


@transaction.atomic
def cancel(row: MailImport, *, by: User) -> None:
    """Give up; what is brought stays, the password goes."""
    _check(by, row.resource)
    open_ = {S.RUNNING, S.PAUSED, S.STOPPED}
    _move(row, open_, state=S.CANCELLED, due_at=None, sealed_password="", ended_at=timezone.now(), code="", note="")
    _record("mail_import_cancelled", row, by=by)


# --- What a worker writes ---------------------------------------------------------------------------------------------


@transaction.atomic
def stop(row: MailImport, code: str, note: str) -> bool:
    """Wait for the person, and tell it why; False when a person acted meanwhile."""
    columns: dict[str, Any] = {"state": S.STOPPED, "due_at": None, "code": code[:60], "note": note[:500]}
    if code in NEEDS_PASSWORD:
        columns["sealed_password"] = ""
    if not _ours(row, **columns):
        return False
    event = _record("mail_import_stopped", row, by=None, code=code)
    queue("mail_import_stopped", to=row.asked_by.email, event=event, context=_told(row) | {"note": note})
    return True


@transaction.atomic
def done(row: MailImport) -> bool:
    """Write that all is here, forget the password, and tell; False when a person acted meanwhile."""
    ended = {"state": S.DONE, "due_at": None, "sealed_password": "", "ended_at": timezone.now(), "code": "", "note": ""}
    if not _ours(row, **ended):
        return False
    event = _record("mail_import_done", row, by=None)
    queue("mail_import_done", to=row.asked_by.email, event=event, context=_told(row))
    return True


@transaction.atomic
def forget_password(row: MailImport) -> None:
    """Keep no password of an import that nobody went on with; `row` is as read by the sweep."""
    waiting = MailImport.objects.filter(pk=row.pk, version=row.version, state__in=[S.PAUSED, S.STOPPED])
    note = "Sans nouvelles de vous, nous avons oublié le mot de passe de l’ancienne boîte : écrivez-le pour reprendre."
    if waiting.update(
        state=S.STOPPED, sealed_password="", code="password_forgotten", note=note, version=F("version") + 1
    ):
        _record("mail_import_password_forgotten", row, by=None)


def _check(by: User, resource: Resource) -> None:
    if not may_bring(by, resource):
        raise PermissionDenied(BRING_MAIL.refusal)


def _move(row: MailImport, sources: set[S], **columns: Any) -> None:  # noqa: ANN401 - columns
    """Test and set in one statement; a worker that holds the row sees that its version is over."""
    open_ = MailImport.objects.filter(pk=row.pk, state__in=sources)
    if not open_.update(version=F("version") + 1, stated_at=timezone.now(), **columns):
        raise WrongState


def _ours(row: MailImport, **columns: Any) -> bool:  # noqa: ANN401 - columns
    held = MailImport.objects.filter(pk=row.pk, attempt=row.attempt, version=row.version, state=S.RUNNING)
    # One more version: what the worker thinks comes next no longer counts.
    return bool(held.update(version=F("version") + 1, stated_at=timezone.now(), **columns))


def _record(kind: str, row: MailImport, *, by: User | None, code: str = "") -> Any:  # noqa: ANN401 - an event
    payload = {"import": str(row.pk), "resource": str(row.resource_id), **({"code": code} if code else {})}
    return record("deployment", row.resource.deployment_id, kind, by=by, payload=payload)


def _told(row: MailImport) -> dict[str, Any]:
    folders = list(row.folders.all())
    return {
        "address": row.resource.key,
        "brought": sum(folder.brought for folder in folders),
        "failed": sum(folder.failed for folder in folders),
        "url": settings.PUBLIC_BASE_URL + reverse("provisioning:import_detail", args=[row.pk]),
    }


def settled(lines: QuerySet[BroughtMessage]) -> bool:
    """Write of an open line that its message is here; False when somebody wrote it before."""
    return bool(lines.update(state=BroughtMessage.State.PUT))
