"""Files beside a message: believed for what they contain, shown to clamd where there is one, handed out on demand."""

import hashlib
import logging
import re
import secrets
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from onboarding.intake.thread_models import Attachment, Message
from suite.accounts import documents
from suite.accounts.documents import Checked, DocumentRefused

logger = logging.getLogger(__name__)

MOST = 5
CLAMD_SECONDS = 20
_CHUNK = 64 * 1024
_TYPES = {"pdf": "application/pdf", "jpeg": "image/jpeg", "png": "image/png"}
_FOUND = "Un logiciel malveillant y a été trouvé."
_ERASED = "Effacé avec la demande."
BATCH = 50


@dataclass(frozen=True)
class Prepared:
    """A file looked into: `checked` is None when it is not one that we take, and `reason` says why."""

    name: str
    size: int
    sha256: str
    checked: Checked | None
    reason: str = ""


def prepare(name: str, content: bytes) -> Prepared:
    """Look into a file; an image is drawn anew, whatever is no PDF, JPEG or PNG is refused with its reason."""
    name = _shown(name)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        checked = documents.inspect(content)
    except DocumentRefused as refusal:
        return Prepared(name, len(content), sha256, None, str(refusal)[:200])
    return Prepared(name, len(content), sha256, checked)


def _shown(name: str) -> str:
    """Return a name that is only a name."""
    plain = re.sub(r"[\\/:*?\"<>|\x00-\x1f]", "-", name).strip(" .-")
    return "".join(one for one in plain if one.isprintable())[-100:] or "fichier"


def keep(message: Message, files: Iterable[Prepared]) -> None:
    """Write the files of a message; what is refused leaves its name and the reason."""
    for file in files:
        stored = _store(file.checked.content) if file.checked else ""
        state = Attachment.State.WAITING if settings.CLAMD_SOCKET else Attachment.State.READY
        Attachment.objects.create(
            message=message,
            name=file.name,
            kind=file.checked.kind if file.checked else "",
            state=state if stored else Attachment.State.REFUSED,
            reason=file.reason,
            stored_name=stored,
            size=file.size,
            sha256=file.sha256,
        )


def _store(content: bytes) -> str:
    folder = Path(settings.ATTACHMENTS_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    path = folder / name
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
    return name


def content_of(attachment: Attachment) -> bytes | None:
    """Return the kept content, None when it is gone, refused or not looked at yet."""
    if attachment.state != Attachment.State.READY or not attachment.stored_name:
        return None
    try:
        return (Path(settings.ATTACHMENTS_DIR) / attachment.stored_name).read_bytes()
    except FileNotFoundError:
        return None


def content_type(attachment: Attachment) -> str:
    """Return the type to announce, from what the content was found to be."""
    return _TYPES[attachment.kind]


def download_name(attachment: Attachment) -> str:
    """Return the name to save it under: letters, digits, and the ending of what it is."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(attachment.name).stem).strip("-")[:60]
    return f"{stem or 'piece-jointe'}.{'jpg' if attachment.kind == 'jpeg' else attachment.kind}"


# --- clamd ------------------------------------------------------------------------------------------------------------


def scan() -> None:
    """Have what waits looked at; while clamd is away it waits, and nobody takes it out."""
    for attachment in Attachment.objects.filter(state=Attachment.State.WAITING)[:BATCH]:
        path = Path(settings.ATTACHMENTS_DIR) / attachment.stored_name
        try:
            verdict = _ask(path.read_bytes()) if settings.CLAMD_SOCKET else "OK"
        except OSError as error:
            logger.warning("attachment %s waits: %s", attachment.pk, type(error).__name__)
            return
        waiting = Attachment.objects.filter(pk=attachment.pk, state=Attachment.State.WAITING)
        if verdict == "OK":
            waiting.update(state=Attachment.State.READY)
        elif verdict == "FOUND":
            with transaction.atomic():
                waiting.update(state=Attachment.State.REFUSED, reason=_FOUND, stored_name="")
                transaction.on_commit(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]
            logger.error("attachment %s holds what clamd knows", attachment.pk)
        else:
            logger.warning("attachment %s waits: clamd cannot say", attachment.pk)


def _ask(content: bytes) -> str:
    """Return the last word of clamd on some bytes (OK, FOUND or ERROR). Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(CLAMD_SECONDS)
        line.connect(settings.CLAMD_SOCKET)
        line.sendall(b"zINSTREAM\0")
        for start in range(0, len(content), _CHUNK):
            piece = content[start : start + _CHUNK]
            line.sendall(struct.pack("!I", len(piece)) + piece)
        line.sendall(struct.pack("!I", 0))
        said = b""
        while (piece := line.recv(4096)) and len(said) < _CHUNK:
            said += piece
    return said.rstrip(b"\0\n ").rpartition(b" ")[2].decode("ascii", "replace")


def erase(attachments: QuerySet[Attachment]) -> None:
    """Erase the files of a thread; a row without a file is a refused one, by the database's own law."""
    names = [name for name in attachments.values_list("stored_name", flat=True) if name]
    attachments.update(state=Attachment.State.REFUSED, reason=_ERASED, stored_name="")
    for name in names:
        path = Path(settings.ATTACHMENTS_DIR) / name
        transaction.on_commit(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]


def erase_strays() -> None:
    """Erase the files of no row, a day after they were written: their message was never committed, or is gone."""
    folder = Path(settings.ATTACHMENTS_DIR)
    if not folder.is_dir():
        return
    old = [path for path in folder.iterdir() if path.is_file() and path.stat().st_mtime < time.time() - 86_400]
    for start in range(0, len(old), 500):
        names = {path.name: path for path in old[start : start + 500]}
        known = set(Attachment.objects.filter(stored_name__in=names).values_list("stored_name", flat=True))
        for name in names.keys() - known:
            names[name].unlink(missing_ok=True)
