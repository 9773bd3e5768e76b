"""What mailboxes hold, read and written over IMAP as Dovecot's master user.

One connection per call, one call at a time; nothing but `Unavailable` and `Refused` escapes.
"""

import base64
import binascii
import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from onboarding.provisioning.errors import Refused, Unavailable

TIMEOUT = 20.0  # seconds
_BATCH = 20  # messages fetched in one answer
_LINE = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<separator>[^"]*)"|NIL) (?P<name>.*)', re.DOTALL)


class Content:
    """The mailboxes behind one IMAP server: `imap://master:password@host:port`, or `imaps://`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "imaps"
        self._port = parts.port or (993 if self._tls else 143)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")

    def __repr__(self) -> str:
        return f"Content({self._host}:{self._port})"

    def put(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:
        """Store a message; the folder is made on the way. `Refused("over_quota")` when there is no room."""
        if any(part in {"", ".", ".."} for part in folder.split("/")):
            raise Refused("invalid_folder", f"« {folder} » n’est pas un nom de dossier.")
        with self._entered(address) as session:
            name = _quoted(folder)
            if folder != "INBOX":
                session.create(name)  # « NO [ALREADYEXISTS] » is as good
                session.subscribe(name)
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
        try:
            if self._tls:
                context = ssl.create_default_context()
                session = imaplib.IMAP4_SSL(self._host, self._port, ssl_context=context, timeout=TIMEOUT)
            else:
                session = imaplib.IMAP4(self._host, self._port, timeout=TIMEOUT)
            session.login(f"{address}*{self._user}", self._password)
            yield session
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            # Neither the error's text nor its chain: a refused login may quote what was sent.
            raise Unavailable(
                "imap", f"La boîte {address} ne s’ouvre pas en ce moment ({type(error).__name__})."
            ) from None
        finally:
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
