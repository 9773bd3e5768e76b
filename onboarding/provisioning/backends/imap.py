"""Reads an old mailbox by IMAP over TLS (RFC 3501): bounded in time and bytes, read-only, at a public address alone.

The server is somebody else's and is not believed: what it announces is bounded before it is read, a folder's name is
data, and a literal is read to its length and never as a line. The address contacted is the one that was checked.
"""

import contextlib
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from onboarding.audits.safety import is_public
from onboarding.provisioning import backends
from onboarding.provisioning.backends.imap_folders import FOLDERS_MAX, Folder, folder_of, quoted
from onboarding.provisioning.errors import Outcome, Refused, Unavailable

PORT = 993
CONNECT, READ = 5.0, 8.0  # seconds: to connect, and between two pieces of an answer
MESSAGE_MAX = 50 * 1024 * 1024  # bytes
ANSWER_MAX = 16 * 1024 * 1024  # bytes that are not a message, in one answer
LINE_MAX = 64 * 1024
WINDOW = 500  # messages listed at once

# What a server that misbehaves, or goes away, makes the standard client raise.
BROKEN = (imaplib.IMAP4.error,)
# How the codes begin that say that the old server does not answer.
TROUBLE = "imap_"
_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_SEQUENCE = re.compile(rb"(\d+) \(")
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")


@dataclass(frozen=True)
class Account:
    """Where the old mail is, and how its holder enters there."""

    host: str
    login: str
    password: str
    port: int = PORT

    def __repr__(self) -> str:
        return f"Account({self.host})"  # no password in a trace


@dataclass(frozen=True)
class Old:
    """One old message, before it is read. `size` is what the server says, in bytes."""

    uid: int
    size: int
    received_at: datetime
    seen: bool


class Unreadable(Exception):
    """The server has the message and cannot give it; `code` says in one word why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_host(text: str) -> bool:
    """Whether the text may name a server: a full name, no address, no port."""
    return _HOST.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def may_use_port(port: int) -> bool:
    """Whether mail is fetched from that port: that of IMAP over TLS; in tests and on laptops, any unreserved one."""
    return port == PORT or (settings.AUDIT_PRIVATE_ADDRESSES and port >= 1024)  # noqa: PLR2004 - the first unreserved


def address_of(host: str) -> str:
    """Return the one address to contact. None is, unless all those of the name are public."""
    if not is_host(host):
        raise Refused("bad_host", f"« {host[:100]} » n’est pas le nom d’un serveur.")
    lookups = [backends.resolver().lookup(host, kind) for kind in ("A", "AAAA")]
    found = [value for lookup in lookups for value in lookup.values]
    if not found:
        if any(lookup.outcome == "unknown" for lookup in lookups):
            raise Unavailable("imap_dns", f"Nous n’arrivons pas à trouver le serveur {host} pour l’instant.")
        raise Refused("no_such_host", f"Le serveur {host} n’existe pas : vérifiez son nom auprès de votre fournisseur.")
    if not settings.AUDIT_PRIVATE_ADDRESSES and not all(map(is_public, found)):
        raise Refused("private_address", f"Le serveur {host} n’est pas joignable depuis l’internet public.")
    return found[0]


class Unlisted(Unreadable):
    """The server broke off while it measured the messages of a folder: one of them is at fault."""

    def __init__(self) -> None:
        super().__init__("unlisted")


class _Bounded(imaplib.IMAP4):
    """The standard client over our own buffer: nothing waits past `deadline`, nothing grows past its bound."""

    def __init__(self, host: str, address: str, port: int, deadline: float) -> None:
        self._name, self._address_, self._deadline = host, address, deadline
        self._held = bytearray()
        self._left = ANSWER_MAX
        super().__init__(host, port, timeout=CONNECT)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        plain = socket.create_connection((self._address_, self.port), timeout)
        try:
            plain.settimeout(READ)
            context = ssl.create_default_context(cafile=settings.AUDIT_CA_FILE or None)
            return context.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise

    def allow(self, size: int) -> None:
        """Let the next answers bring that many bytes in all."""
        self._left = size

    def read(self, size: int) -> bytes:
        """Read a literal: its length is the server's word, and is bounded before anything is read."""
        if size > self._left:
            raise self.abort("literal too large")
        while len(self._held) < size:
            self._fill()
        return self._take(size)

    def readline(self) -> bytes:
        """Read to the end of the line."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > LINE_MAX:
                raise self.abort("line too long")
            self._fill()
        return self._take(end + 1)

    def _take(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise self.abort("answer too large")
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _fill(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(min(READ, left))
        piece = self.sock.recv(64 * 1024)
        if not piece:
            raise self.abort("closed")
        self._held += piece


class Source:
    """An old mailbox, entered. Made by `opened`; gives up when its time is over."""

    def __init__(self, client: _Bounded) -> None:
        self._client = client
        self._exists = 0

    def folders(self) -> list[Folder]:
        """Return what holds messages, each once; a folder whose name cannot be said back is left out."""
        self._client.allow(ANSWER_MAX)
        prefix = self._prefix()
        kind, data = self._client.list('""', "*")
        if kind != "OK":
            raise Unavailable("imap_list", "L’ancien serveur ne dit pas quels dossiers il contient.")
        found: dict[bytes, Folder] = {}
        for line in data:
            folder = folder_of(line, prefix)
            if folder is not None:
                found.setdefault(folder.source, folder)
        return list(found.values())[:FOLDERS_MAX]

    def enter(self, folder: Folder) -> tuple[int, int]:
        """Open a folder without changing anything there; return its UIDVALIDITY and how many messages it holds."""
        self._client.allow(ANSWER_MAX)
        # Bytes, which imaplib sends as they are; its types say text.
        kind, data = self._client.select(quoted(folder.source), readonly=True)  # type: ignore[arg-type]
        if kind != "OK":
            raise Unreadable("folder")
        _, validity = self._client.response("UIDVALIDITY")
        said = data[0] if data else b"0"
        self._exists = int(said) if isinstance(said, bytes) and said.isdigit() else 0
        return _number(validity), self._exists

    def after(self, uid: int, *, careful: bool = False) -> Iterator[Old]:
        """Yield the messages of the open folder whose UID is greater, in order.

        `careful` asks for no size (then zero), which a server may have to read each message for: `Unlisted` says that
        it broke off doing so.
        """
        start = self._position(uid)
        while start <= self._exists:
            end = min(start + WINDOW - 1, self._exists)
            try:
                listed = self._listed(start, end, "" if careful else "RFC822.SIZE ")
            except (OSError, ValueError, *BROKEN) as error:
                if careful:
                    raise
                raise Unlisted from error
            window = [old for old in listed if old.uid > uid]
            for old in sorted(window, key=lambda each: each.uid):
                uid = old.uid
                yield old
            start = end + 1

    def message(self, old: Old) -> bytes:
        """Return a message whole, leaving it unseen if it was."""
        if old.size > MESSAGE_MAX:
            raise Unreadable("too_large")
        self._client.allow(MESSAGE_MAX + LINE_MAX)
        kind, data = self._client.uid("FETCH", str(old.uid), "(UID BODY.PEEK[])")
        if kind != "OK":
            raise Unreadable("refused")
        for part in data:
            if isinstance(part, tuple) and (said := _UID.search(part[0])) and int(said[1]) == old.uid:
                return bytes(part[1])
        # The UID may come after the literal.
        whole = [part for part in data if isinstance(part, tuple) and not _UID.search(part[0])]
        tails = [
            part for part in data if isinstance(part, bytes) and (said := _UID.search(part)) and int(said[1]) == old.uid
        ]
        if len(whole) == len(tails) == 1:
            return bytes(whole[0][1])
        raise Unreadable("gone")

    def _prefix(self) -> bytes:
        """Return what stands before every folder of one's own, such as « INBOX. » (RFC 2342)."""
        # Servers say more of what they can do once one has entered.
        kind, said_of = self._client.capability()
        if kind != "OK" or b"NAMESPACE" not in b" ".join(each for each in said_of if isinstance(each, bytes)).upper():
            return b""
        kind, data = self._client.namespace()
        said = re.match(rb'\(\("([^"\\]*)"', data[0]) if kind == "OK" and data and isinstance(data[0], bytes) else None
        return said[1] if said else b""

    def _position(self, uid: int) -> int:
        """Return the place of the first message after that UID: UIDs grow with places (RFC 3501, 2.3.1.1)."""
        low, high = 1, self._exists + 1
        while uid and low < high:
            middle = (low + high) // 2
            here = self._listed(middle, middle, "")
            if here and here[0].uid <= uid:
                low = middle + 1
            else:
                high = middle
        return low

    def _listed(self, start: int, end: int, measure: str) -> list[Old]:
        self._client.allow(ANSWER_MAX)
        kind, data = self._client.fetch(f"{start}:{end}", f"(UID {measure}INTERNALDATE FLAGS)")
        if kind != "OK":
            raise Unavailable("imap_fetch", "L’ancien serveur ne dit pas quels messages un dossier contient.")
        rows = (part[0] + b" " + part[1] if isinstance(part, tuple) else part for part in data)
        return [old for row in rows if isinstance(row, bytes) and (old := _old(row)) is not None]


@contextlib.contextmanager
def opened(account: Account, *, seconds: float) -> Iterator[Source]:
    """Enter an old mailbox, for that long at most.

    `Refused`: `bad_password`, `bad_host`, `no_such_host`, `private_address`, `bad_certificate`. `Unavailable`
    otherwise, whatever the server does.
    """
    client = None
    try:
        address = address_of(account.host)
        client = _Bounded(account.host, address, account.port, time.monotonic() + seconds)
        _enter(client, account)
        yield Source(client)
    except (Outcome, Unreadable):
        raise
    except ssl.SSLCertVerificationError as error:
        note = f"Le certificat du serveur {account.host} n’est pas valable : le mot de passe n’a pas été envoyé."
        raise Refused("bad_certificate", note) from error
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        note = f"Le serveur {account.host} ne répond pas comme il faut pour l’instant."
        raise Unavailable(f"{TROUBLE}{type(error).__name__}".lower()[:40], note) from error
    finally:
        if client is not None:
            with contextlib.suppress(Exception):
                client.shutdown()


def _enter(client: _Bounded, account: Account) -> None:
    """Say who we are: in base64 where the server can, so that no character of a password is ever a command."""
    wrong = Refused("bad_password", "L’ancien serveur refuse cet identifiant ou ce mot de passe.")
    try:
        if "AUTH=PLAIN" in client.capabilities:
            proof = f"\0{account.login}\0{account.password}".encode()
            client.authenticate("PLAIN", lambda _challenge: proof)
        else:
            quote(account.password)
            client.login(f'"{quote(account.login)}"', account.password)  # which quotes the second only
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        if "[UNAVAILABLE]" in str(error) or "[INUSE]" in str(error) or "[LIMIT]" in str(error):
            raise
        raise wrong from None
    except UnicodeEncodeError:
        raise wrong from None


def quote(text: str) -> str:
    """Escape a quoted string. `UnicodeEncodeError` for what none can hold."""
    text.encode("ascii")
    if any(ord(char) < 32 for char in text):  # noqa: PLR2004 - controls
        raise UnicodeEncodeError("ascii", text, 0, 1, "a control character")
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _old(row: bytes) -> Old | None:
    uid, size = _UID.search(row), _SIZE.search(row)
    if uid is None or not _SEQUENCE.match(row):
        return None
    flags = _FLAGS.search(row)
    seen = flags is not None and b"\\seen" in flags[1].lower().split()
    return Old(int(uid[1]), int(size[1]) if size else 0, _received(row), seen)


def _received(row: bytes) -> datetime:
    moment = imaplib.Internaldate2tuple(row)
    if moment is None:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp(max(time.mktime(moment), 0), UTC)


def _number(data: object) -> int:
    first = data[0] if isinstance(data, list) and data else None
    return int(first) if isinstance(first, bytes) and first.isdigit() else 0
