"""What mailboxes hold, read and written over IMAP as Dovecot's master user.

One connection per call, but for old mail, which comes by thousands: the last mailbox filled stays open a moment.
Nothing but `Unavailable` and `Refused` escapes.
"""

import base64
import binascii
import contextlib
import imaplib
import re
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from onboarding.provisioning.errors import Refused, Unavailable

TIMEOUT = 20.0  # seconds
KEPT = 30.0  # seconds, for a session that fills a mailbox: its bound is that of the moment it began
_BATCH = 20  # messages fetched in one answer
_LINE = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<separator>[^"]*)"|NIL) (?P<name>.*)', re.DOTALL)


class Content:
    """The mailboxes behind one IMAP server: `imap://master:password@host:port`, or `imaps://`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "imaps"
        self._port = parts.port or (993 if self._tls else 143)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._kept = _Kept()
        weakref.finalize(self, self._kept.close)

    def __repr__(self) -> str:
        return f"Content({self._host}:{self._port})"

    def put(  # noqa: PLR0913 - a message and all that is known of it
        self, address: str, folder: str, raw: bytes, *, place: str, received_at: datetime, seen: bool
    ) -> None:
        """Store a message; the folder is made on the way. `Refused("over_quota")` when there is no room.

        `place` tells a mailbox from a later one of the same address.
        """
        if any(part in {"", ".", ".."} for part in folder.split("/")):
            raise Refused("invalid_folder", f"« {folder} » n’est pas un nom de dossier.")
        with self._filling(address, place) as session:
            name = _quoted(folder)
            if folder != "INBOX" and folder not in self._kept.folders:
                session.create(name)  # « NO [ALREADYEXISTS] » is as good
                session.subscribe(name)
                self._kept.folders.add(folder)
            flags = r"(\Seen)" if seen else ""
            status, told = session.append(name, flags, imaplib.Time2Internaldate(received_at.timestamp()), raw)
            if status != "OK":
                text = b" ".join(part for part in told if isinstance(part, bytes))
                if b"OVERQUOTA" in text:
                    raise Refused("over_quota", f"La boîte {address} est pleine.")
                raise Unavailable("imap_refused", f"Un message n’a pas pu être rangé dans {address}.")

    def messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Yield everything, a few messages in memory at a time."""
        with self._entered(address) as session:
            for folder in self._folders(session):
                _checked(session.select(_quoted(folder), readonly=True), address)
                (listed,) = _checked(session.uid("SEARCH", "ALL"), address)
                numbers = (listed or b"").split()
                for start in range(0, len(numbers), _BATCH):
                    batch = b",".join(numbers[start : start + _BATCH]).decode()
                    for part in _checked(session.uid("FETCH", batch, "(BODY.PEEK[])"), address):
                        if isinstance(part, tuple):
                            yield folder, part[1]

    def empty(self, address: str) -> None:
        """Destroy everything; empty already is done."""
        with self._entered(address) as session:
            for folder in self._folders(session):
                _checked(session.select(_quoted(folder)), address)
                (listed,) = _checked(session.uid("SEARCH", "ALL"), address)
                if listed:
                    _checked(session.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Deleted)"), address)
                    _checked(session.expunge(), address)
                session.close()
                if folder != "INBOX":
                    session.delete(_quoted(folder))

    def found(self, address: str, header: str, value: str) -> bool:
        """Tell whether INBOX or Junk has messages with this header, and delete those."""
        seen = False
        with self._entered(address) as session:
            for folder in ("INBOX", "Junk"):
                status, _ = session.select(folder)
                if status != "OK":
                    continue
                (listed,) = _checked(session.uid("SEARCH", "HEADER", header, f'"{value}"'), address)
                if listed:
                    seen = True
                    _checked(
                        session.uid("STORE", listed.replace(b" ", b",").decode(), "+FLAGS", r"(\Deleted)"), address
                    )
                    _checked(session.expunge(), address)
        return seen

    def settle(self) -> None:
        """End the session that fills a mailbox: what it put is then counted."""
        with self._kept.lock:
            self._kept.close()

    def used(self, address: str) -> int:
        """Return what the mailbox holds now, in bytes, rounded down to a kilobyte by the protocol (RFC 2087)."""
        with self._entered(address) as session:
            told = _checked(session.getquotaroot("INBOX"), address)
        found = re.search(
            rb"STORAGE (\d+)", b" ".join(line for part in told for line in part if isinstance(line, bytes))
        )
        return int(found[1]) * 1024 if found else 0

    @staticmethod
    def _folders(session: imaplib.IMAP4) -> list[str]:
        names: list[str] = []
        status, lines = session.list()
        if status != "OK":
            raise Unavailable("imap_refused", "Le serveur de messagerie n’a pas listé les dossiers.")
        for line in lines:
            whole = b" ".join(line) if isinstance(line, tuple) else line
            match = _LINE.match(whole or b"")
            if match and b"\\Noselect" not in match["flags"]:
                text = line[1] if isinstance(line, tuple) else match["name"].strip()
                name = text.decode("ascii", "replace")
                if name.startswith('"'):
                    name = name[1:-1].replace(r"\"", '"').replace(r"\\", "\\")
                names.append(decoded(name))
        # The deepest first: a folder goes before the one that holds it.
        return sorted(names, key=lambda name: (-name.count("/"), name))

    @contextlib.contextmanager
    def _entered(self, address: str) -> Iterator[imaplib.IMAP4]:
        session: imaplib.IMAP4 | None = None
        with _faults(address):
            try:
                session = self._login(address)
                yield session
            finally:
                _leave(session)

    @contextlib.contextmanager
    def _filling(self, address: str, place: str) -> Iterator[imaplib.IMAP4]:
        """Give the session kept for this mailbox if it still answers, or a new one, which is kept."""
        with self._kept.lock, _faults(address):
            session = self._kept.session
            if session is None or not self._kept.serves(place):
                self._kept.close()
                session = self._login(address)
            self._kept.keep(session, place)
            try:
                yield session
            except Refused:
                raise
            except BaseException:
                self._kept.close()
                raise

    def _login(self, address: str) -> imaplib.IMAP4:
        if self._tls:
            context = ssl.create_default_context()
            session: imaplib.IMAP4 = imaplib.IMAP4_SSL(self._host, self._port, ssl_context=context, timeout=TIMEOUT)
        else:
            session = imaplib.IMAP4(self._host, self._port, timeout=TIMEOUT)
        try:
            session.login(f"{address}*{self._user}", self._password)
        except BaseException:
            _leave(session)
            raise
        return session


class _Kept:
    """The session that last filled a mailbox, and the folders it has seen made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: imaplib.IMAP4 | None = None
        self.folders: set[str] = set()
        self._place, self._since = "", 0.0

    def keep(self, session: imaplib.IMAP4, place: str) -> None:
        if session is not self.session:
            self.folders = set()
            self.session, self._place, self._since = session, place, time.monotonic()

    def serves(self, place: str) -> bool:
        """Whether the session is this mailbox's, is still young, and answers."""
        if self.session is None or self._place != place or time.monotonic() - self._since > KEPT:
            return False
        try:
            return self.session.noop()[0] == "OK"
        except (imaplib.IMAP4.error, OSError):
            return False

    def close(self) -> None:
        session, self.session = self.session, None
        _leave(session)


@contextlib.contextmanager
def _faults(address: str) -> Iterator[None]:
    try:
        yield
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        # Neither the error's text nor its chain: a refused login may quote what was sent.
        note = f"La boîte {address} ne s’ouvre pas en ce moment ({type(error).__name__})."
        raise Unavailable("imap", note) from None


def _leave(session: imaplib.IMAP4 | None) -> None:
    if session is not None:
        with contextlib.suppress(imaplib.IMAP4.error, OSError, ValueError):
            session.logout()


def encoded(name: str) -> str:
    """Write a folder's name in IMAP's own UTF-7 (RFC 3501, 5.1.3)."""
    out: list[str] = []
    for printable, piece in _runs(name):
        if printable:
            out.append(piece.replace("&", "&-"))
        else:
            packed = base64.b64encode(piece.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
            out.append(f"&{packed}-")
    return "".join(out)


def decoded(name: str) -> str:
    """Read a folder's name from IMAP's own UTF-7; what is not well written stays as it is."""

    def read(match: re.Match[str]) -> str:
        packed = match[1].replace(",", "/")
        if not packed:
            return "&"
        try:
            return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return re.sub(r"&([A-Za-z0-9+,]*)-", read, name)


def _runs(name: str) -> Iterator[tuple[bool, str]]:
    for match in re.finditer(r"[\x20-\x7e]+|[^\x20-\x7e]+", name):
        yield match[0][0] <= "\x7e" and match[0][0] >= " ", match[0]


def _quoted(folder: str) -> str:
    return '"' + encoded(folder).replace("\\", "\\\\").replace('"', r"\"") + '"'


def _checked(answer: tuple[str, list[Any]], address: str) -> list[Any]:
    status, data = answer
    if status != "OK":
        raise Unavailable("imap_refused", f"Le serveur de messagerie n’a pas pu lire la boîte {address}.")
    return data
