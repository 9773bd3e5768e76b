"""Brings old mail over, a slice of seconds at a time; killed at any line, it loses nothing and puts nothing twice.

Each message has its line in the ledger (`BroughtMessage`) before it is put, and the line is settled after. A line found
open belongs to a worker that died between the two: the new mailbox is read, and messages of the same folder with the
same fingerprint (identifier and size) are counted. More of them than the ledger has settled: the message had arrived.
Not more: it is put again. The old mailbox is only ever read.
"""

import datetime as dt
import hashlib
import re
import time
from dataclasses import dataclass
from typing import NoReturn

from django.db import transaction
from django.db.models import Count, F, Max, Q, Sum
from django.utils import timezone

from onboarding.provisioning import backends, moves
from onboarding.provisioning import mail_import_workflow as verbs
from onboarding.provisioning.backends import imap
from onboarding.provisioning.backends.imap_folders import BINS, Folder
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Step
from onboarding.provisioning.move_models import BroughtMessage, ImportFolder, MailImport
from suite.accounts import codes

SLICE = 8.0  # seconds of work after which another task goes on
SESSION = 20.0  # seconds, the whole of a connection: under Celery's soft limit
READING_BACK = 8.0  # seconds, to look for one message in the new mailbox
READ_BACKS_MAX = 3
READINGS_MAX = 3
ASKED_EVERY = 0.3  # seconds, between two looks at what people did and at the clock
FORGOTTEN_AT_ONCE = 20  # ledgers may be long
SILENCE_MAX = dt.timedelta(days=2)  # the old server may be down for a week-end's night, not for ever
FINISHED = (BroughtMessage.State.PUT, BroughtMessage.State.FAILED)
KEPT = dt.timedelta(days=90)  # the ledger, once the import is over: what arrives meanwhile may still be brought
PASSWORD_KEPT = dt.timedelta(days=30)

_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?(<[^>\r\n]{1,990}>)", re.IGNORECASE | re.MULTILINE)
_PERSON = frozenset({"bad_password", "bad_host", "no_such_host", "private_address", "bad_certificate"})


class _Stopped(Exception):
    """A person must act, or has: this slice is over."""


def perform(row: MailImport) -> None:
    """Go on for a slice. Ends, as a step does, by returning (nothing more to do by itself) or by an `Outcome`."""
    if row.state != MailImport.State.RUNNING:
        return
    if moves.is_closing(row.resource.deployment):
        verbs.stop(row, "closing", "Cette suite ferme : plus rien n’est apporté dans ses boîtes.")
        return
    built = row.resource.steps.filter(name=Step.Name.MAILBOX, status__in=[Step.Status.DONE, Step.Status.SKIPPED])
    if not built.exists():
        raise NotYet("mailbox_not_ready", "La nouvelle boîte n’est pas encore prête.", after=dt.timedelta(minutes=1))
    until = time.monotonic() + SLICE
    try:
        _settle_open_lines(row)
        _bring(row, until)
    except _Stopped:
        return


def fingerprint(raw: bytes) -> str:
    """Return a digest of a message's identifier and size; of its whole text when it bears no identifier.

    Line ends are counted as CRLF and those at the end not at all: servers keep them as they like.
    """
    normal = re.sub(rb"\r?\n", b"\r\n", raw).rstrip(b"\r\n")
    found = _ID.search(normal.partition(b"\r\n\r\n")[0])
    mark = found[1] if found else hashlib.sha256(normal).digest()
    return hashlib.sha256(mark + b"\0%d" % len(normal)).hexdigest()


@dataclass(frozen=True)
class Progress:
    """Where an import is, in folders, messages and bytes. `counted`: the totals are known."""

    folders: int
    folders_done: int
    messages: int
    brought: int
    failed: int
    size: int
    bytes_brought: int
    counted: bool

    @property
    def remaining(self) -> int:
        """How many messages are still to bring."""
        return max(self.messages - self.brought - self.failed, 0)

    @property
    def percent(self) -> int:
        """How much of the messages is settled; 100 only when nothing remains."""
        if not self.messages:
            return 100 if self.counted and self.folders == self.folders_done else 0
        return min((self.brought + self.failed) * 100 // self.messages, 100)


def progress(row: MailImport) -> Progress:
    """Return the figures of an import, in one query."""
    sums = row.folders.aggregate(
        folders=Count("pk"),
        folders_done=Count("pk", filter=Q(finished_at__isnull=False)),
        messages=Sum("messages", default=0),
        brought=Sum("brought", default=0),
        failed=Sum("failed", default=0),
        size=Sum("size", default=0),
        bytes_brought=Sum("bytes_brought", default=0),
    )
    return Progress(**sums, counted=row.surveyed_at is not None)


def forget() -> int:
    """Erase the imports long over with their ledgers, and the passwords that nobody goes on with; return how many."""
    now = timezone.now()
    over = MailImport.objects.filter(state__in=MailImport.ENDED, ended_at__lte=now - KEPT).order_by("ended_at")
    erased = 0
    for pk in list(over.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        erased += (
            MailImport.objects.filter(pk=pk, state__in=MailImport.ENDED).delete()[1].get("provisioning.MailImport", 0)
        )
    asleep = MailImport.objects.filter(
        state__in=[MailImport.State.PAUSED, MailImport.State.STOPPED], stated_at__lte=now - PASSWORD_KEPT
    ).exclude(sealed_password="")
    for row in asleep.select_related("resource")[:500]:
        verbs.forget_password(row)
    return erased


# --- A slice ----------------------------------------------------------------------------------------------------------


def _bring(row: MailImport, until: float) -> None:
    if not (password := codes.unseal(row.sealed_password)):
        note = "Nous n’avons plus le mot de passe de l’ancienne boîte : écrivez-le de nouveau pour reprendre."
        verbs.stop(row, "password_forgotten", note)
        return
    account = imap.Account(row.host, row.login, password, row.port)
    try:
        with imap.opened(account, seconds=SESSION) as source:
            _heard(row)
            _survey(row, source, until)
            lines = row.folders.filter(finished_at__isnull=True).order_by("pk")
            while (line := lines.first()) is not None:
                _folder(row, source, line, until)
    except Refused as refusal:
        if refusal.code not in _PERSON:
            raise
        verbs.stop(row, refusal.code, refusal.note)
    except Unavailable as trouble:
        if not trouble.code.startswith(imap.TROUBLE):
            raise  # the new mailbox's, not the old server's
        _unanswered(row, trouble)
    else:
        verbs.done(row)


def _heard(row: MailImport) -> None:
    if row.silent_since is not None:
        MailImport.objects.filter(pk=row.pk).update(silent_since=None)
        row.silent_since = None


def _unanswered(row: MailImport, trouble: Unavailable) -> None:
    """Wait longer and longer for an old server that does not answer; in the end, ask the person."""
    now = timezone.now()
    since = row.silent_since or now
    if now - since > SILENCE_MAX:
        verbs.stop(row, "silent", f"{trouble.note} Cela fait deux jours : vérifiez le nom du serveur, puis reprenez.")
        raise _Stopped
    MailImport.objects.filter(pk=row.pk, silent_since__isnull=True).update(silent_since=now)
    after = min(max((now - since) / 4, dt.timedelta(seconds=15)), dt.timedelta(hours=1))
    raise NotYet(trouble.code, f"{trouble.note} Nous réessayons tout seuls.", after=after)


def _survey(row: MailImport, source: imap.Source, until: float) -> None:
    """Count what there is to bring, folder by folder: once, for the figures to mean something."""
    if row.surveyed_at is None:
        for folder in source.folders():
            if row.with_bins or folder.target not in BINS:
                name = folder.source.decode("latin-1")[:1000]
                ImportFolder.objects.get_or_create(mail_import=row, source=name, defaults={"target": folder.target})
        for line in row.folders.filter(counted=False).order_by("pk"):
            try:
                validity, count = source.enter(Folder(line.source.encode("latin-1"), line.target))
            except imap.Unreadable:
                count, validity = 0, 0
            _renumbered(line, validity)
            try:
                size = 0 if line.careful else _sized(source, count, until)
            except imap.Unlisted as broken:
                _be_careful(line, broken)
            ImportFolder.objects.filter(pk=line.pk).update(messages=count, size=size, counted=True)
            _go_on(row, until)
        row.surveyed_at = timezone.now()
        MailImport.objects.filter(pk=row.pk, attempt=row.attempt).update(surveyed_at=row.surveyed_at)


def _sized(source: imap.Source, count: int, until: float) -> int:
    """Add the sizes of a folder's messages; of a folder too large to be read through, those of the first speak."""
    size = seen = 0
    for old in source.after(0) if count else ():
        size, seen = size + old.size, seen + 1
        if time.monotonic() > until:
            return size * count // seen
    return size


def _go_on(row: MailImport, until: float) -> None:
    """Between two pieces of work: end the slice when its time is over, or when a person has acted."""
    if time.monotonic() > until:
        raise NotYet("going_on", "", after=dt.timedelta(0))
    if not moves.still_held(row):
        raise _Stopped


def _folder(row: MailImport, source: imap.Source, line: ImportFolder, until: float) -> None:
    """Bring what a folder has beyond what the ledger holds, in the order of the UIDs."""
    try:
        validity, _ = source.enter(Folder(line.source.encode("latin-1"), line.target))
    except imap.Unreadable:
        _close(line)
        return
    _renumbered(line, validity)
    last = line.ledger.filter(state__in=FINISHED).aggregate(last=Max("uid"))["last"] or 0
    renumbered = line.ledger.filter(uid__isnull=True, state=BroughtMessage.State.PUT).exists()
    listed, asked = source.after(last, careful=line.careful), 0.0
    while True:
        if time.monotonic() - asked > ASKED_EVERY:
            _go_on(row, until)
            asked = time.monotonic()
        try:
            old = next(listed, None)
        except imap.Unlisted as broken:
            _be_careful(line, broken)
        if old is None:
            break
        try:
            raw = source.message(old)
        except imap.Unreadable as broken:
            if broken.code != "gone":
                _fail(line, old, broken.code)
            continue
        except (OSError, ValueError, *imap.BROKEN) as broken:
            _stuck(line, old)
            raise NotYet("going_on", "", after=dt.timedelta(seconds=1)) from broken
        if not (renumbered and _is_here(line, old, raw)):
            _put(row, line, old, raw)
    _close(line)


def _be_careful(line: ImportFolder, broken: imap.Unlisted) -> NoReturn:
    """Enter anew, and measure nothing in that folder: each message is then met on its own."""
    ImportFolder.objects.filter(pk=line.pk).update(careful=True)
    raise NotYet("going_on", "", after=dt.timedelta(0)) from broken


def _stuck(line: ImportFolder, old: imap.Old) -> None:
    """Remember that a connection broke while this message was read: three times over, the message is at fault."""
    tries = line.stuck_tries + 1 if line.stuck_uid == old.uid else 1
    ImportFolder.objects.filter(pk=line.pk).update(stuck_uid=old.uid, stuck_tries=tries)
    if tries >= READINGS_MAX:
        _fail(line, old, "unreadable")


def _is_here(line: ImportFolder, old: imap.Old, raw: bytes) -> bool:
    """Whether a message of a folder that the old server renumbered was brought before; it then takes its new number."""
    lost = line.ledger.filter(uid__isnull=True, fingerprint=fingerprint(raw), state=BroughtMessage.State.PUT)
    if (known := lost.first()) is None:
        return False
    with transaction.atomic():
        if BroughtMessage.objects.filter(pk=known.pk, uid__isnull=True).update(uid=old.uid):
            _count(line, len(raw))
    return True


def _put(row: MailImport, line: ImportFolder, old: imap.Old, raw: bytes) -> None:
    """Put one message here, its line written before and settled after."""
    mark = fingerprint(raw)
    entry = BroughtMessage.objects.create(
        folder=line, uid=old.uid, fingerprint=mark, size=len(raw), received_at=old.received_at,
        state=BroughtMessage.State.PUTTING,
    )  # fmt: skip
    try:
        backends.mail().import_message(row.resource.key, line.target, raw, received_at=old.received_at, seen=old.seen)
    except NotYet:
        entry.delete()  # nothing was asked of it
        raise
    except Refused as refusal:
        if refusal.code == "over_quota":
            entry.delete()
            verbs.stop(row, "over_quota", _full(row))
            raise _Stopped from refusal
        if refusal.code in {"unsupported", "unknown_mailbox", "unknown_domain", "conflict"}:
            entry.delete()
            raise
        entry.delete()
        _fail(line, old, refusal.code)
        return
    settle(entry)


def settle(entry: BroughtMessage) -> None:
    """Write that the message is here; once, whoever says it."""
    with transaction.atomic():
        open_ = BroughtMessage.objects.filter(pk=entry.pk, state=BroughtMessage.State.PUTTING)
        if verbs.settled(open_):
            _count(entry.folder, entry.size)


def _count(line: ImportFolder, size: int) -> None:
    ImportFolder.objects.filter(pk=line.pk).update(brought=F("brought") + 1, bytes_brought=F("bytes_brought") + size)


def _fail(line: ImportFolder, old: imap.Old, reason: str) -> None:
    """Leave one message where it is, and say so; it does not keep the others."""
    with transaction.atomic():
        _, created = BroughtMessage.objects.get_or_create(
            folder=line, uid=old.uid,
            defaults={"size": old.size, "received_at": old.received_at, "state": BroughtMessage.State.FAILED,
                      "reason": reason[:60]},
        )  # fmt: skip
        if created:
            ImportFolder.objects.filter(pk=line.pk).update(failed=F("failed") + 1)


def _close(line: ImportFolder) -> None:
    ImportFolder.objects.filter(pk=line.pk).update(finished_at=timezone.now())


def _renumbered(line: ImportFolder, validity: int) -> None:
    """When the folder's UIDs changed their meaning, keep what is known of the messages and forget their numbers."""
    if line.uidvalidity == validity:
        return
    with transaction.atomic():
        if line.uidvalidity is not None:
            line.ledger.filter(state=BroughtMessage.State.FAILED).delete()
            line.ledger.update(uid=None)
            ImportFolder.objects.filter(pk=line.pk).update(brought=0, bytes_brought=0, failed=0)
        ImportFolder.objects.filter(pk=line.pk).update(uidvalidity=validity)
    line.uidvalidity = validity


def _full(row: MailImport) -> str:
    seen = progress(row)
    return (
        f"{row.resource.key} est pleine : {seen.brought} messages sont apportés, il en reste {seen.remaining}. "
        "Faites de la place ou demandez plus d’espace, puis reprenez : rien ne sera apporté deux fois."
    )


# --- What a dead worker left ------------------------------------------------------------------------------------------


def _settle_open_lines(row: MailImport) -> None:
    """Ask the new mailbox about each message that may or may not have arrived."""
    for entry in BroughtMessage.objects.filter(
        folder__mail_import=row, state=BroughtMessage.State.PUTTING
    ).select_related("folder"):
        target = entry.folder.target
        noted = BroughtMessage.objects.filter(
            folder__mail_import=row, folder__target=target, fingerprint=entry.fingerprint,
            state=BroughtMessage.State.PUT,
        ).count()  # fmt: skip
        found = _found(row, entry, target)
        if found is None:
            MailImport.objects.filter(pk=row.pk).update(doubtful=F("doubtful") + 1)
            entry.delete()
        elif found > noted:
            settle(entry)
        else:
            entry.delete()


def _found(row: MailImport, entry: BroughtMessage, target: str) -> int | None:
    """Count the like of a message in its folder here; None when nobody can say. `Unavailable`: not this time."""
    until = time.monotonic() + READING_BACK
    found = 0
    try:
        for folder, raw in backends.mail().export_messages(row.resource.key):
            if folder == target and fingerprint(raw) == entry.fingerprint:
                found += 1
            if time.monotonic() > until:
                break
        else:
            return found
    except Refused as refusal:
        if refusal.code != "unsupported":
            raise
        return None
    BroughtMessage.objects.filter(pk=entry.pk).update(tries=F("tries") + 1)
    if entry.tries + 1 >= READ_BACKS_MAX:
        return None
    raise Unavailable("read_back", "La nouvelle boîte est longue à relire ; nous recommençons.")
