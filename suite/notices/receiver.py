"""The LMTP server that takes in bounces and answers: it says yes to what it has written down, and to nothing else.

It asks nobody who they are, so it listens where only this machine may speak: a socket file, or a loopback address.
Only addresses that this site signed are known to it. One recipient a message, as LMTP answers for each apart.
"""

import asyncio
import ipaddress
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from suite.notices import addresses, inbound
from suite.notices.inbound_models import Inbound

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 8
IDLE_SECONDS = 60.0
# However slowly it speaks, nobody holds a place longer.
LONGEST_SECONDS = 300.0
STORE_SECONDS = 20.0

UNKNOWN = "550 5.1.1 Adresse inconnue"
EXPIRED = "550 5.7.1 Cette adresse de reponse a expire : repondez depuis votre espace"
LATER = "451 4.3.0 Base de donnees indisponible, reessayez"
FULL = "452 4.3.1 Trop de messages en attente, reessayez"
ONE_EACH = "452 4.5.3 Un destinataire par message"
BUSY = b"421 4.3.2 Trop de connexions\r\n"


class CannotListen(Exception):
    """The place to listen at is refused; the message says why."""


class Place(NamedTuple):
    """Where to listen: a socket file, or a loopback address and a port."""

    path: str = ""
    host: str = ""
    port: int = 0


def place_of(text: str) -> Place:
    """Read `INBOUND_LMTP`. Raises CannotListen on anything that others than this machine could reach."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise CannotListen("INBOUND_LMTP: a socket file is named by its whole path, unix:/path.")
        return Place(path=path)
    host, _, port = text.rpartition(":")
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback or not port.isdecimal() or not 0 <= int(port) <= 65535:  # noqa: PLR2004 - the ports there are
        raise CannotListen("INBOUND_LMTP: nobody is asked who they are, so only unix:/path or 127.0.0.1:port will do.")
    return Place(host=host.strip("[]"), port=int(port))


class Door:
    """What the server asks at each command: is the address ours, and is the message written?"""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(max_workers=MOST_CONNECTIONS, thread_name_prefix="inbound")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's signature
        self, _server: LMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Know our own signed addresses, one a message."""
        if envelope.rcpt_tos:
            return ONE_EACH
        known = addresses.read(address)
        if known is None:
            return UNKNOWN
        if known.expired:
            return EXPIRED
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: LMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Answer 250 once the message is committed."""
        raw, sender = envelope.original_content or b"", envelope.mail_from or ""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self.threads, _take, envelope.rcpt_tos[0], sender, raw)
        try:
            return await asyncio.wait_for(work, STORE_SECONDS)
        except TimeoutError:
            logger.warning("a message was not written in time: its sender will come back")
            return LATER

    async def handle_exception(self, error: Exception) -> str:
        """Ask to come back after a defect of ours, without quoting anybody."""
        logger.error("the LMTP server failed on a command (%s)", type(error).__name__)
        return "451 4.3.0 Reessayez"


def _take(address: str, sender: str, raw: bytes) -> str:
    """Write one message, in a thread with a connection of its own, and return what to answer."""
    close_old_connections()
    try:
        found = inbound.take(address, sender="" if sender == "<>" else sender, raw=raw)
    except DatabaseError as error:
        connection.close()
        logger.warning("a message could not be written (%s): its sender will come back", type(error).__name__)
        return LATER
    except inbound.Full:
        return FULL
    finally:
        close_old_connections()
    if found is None:
        return UNKNOWN
    logger.info("inbound %s taken, of notice %s, %d bytes", found.pk, found.notice_id, found.size)
    return "250 2.0.0 OK"


class Conversation(LMTP):
    """One connection, among a bounded number, for a bounded time."""

    # A line longer than the standard's is somebody else's mistake, that we can read; the whole is bounded.
    line_length_limit = 65_536
    open_ones = 0
    _counted = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or be told to come back."""
        if Conversation.open_ones >= MOST_CONNECTIONS and isinstance(transport, asyncio.Transport):
            # Not one of the server's conversations: told, and closed.
            transport.write(BUSY)
            transport.close()
            transport.set_protocol(asyncio.Protocol())
            return
        Conversation.open_ones += 1
        self._counted = True
        self._deadline = self.loop.call_later(LONGEST_SECONDS, transport.close)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Give the place back."""
        if self._counted:
            Conversation.open_ones -= 1
            self._counted = False
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(error)

    async def smtp_VRFY(self, _arg: str) -> None:  # noqa: N802 - aiosmtpd's
        """Tell nobody who exists."""
        await self.push("502 5.5.1 VRFY")


async def serve(place: Place, *, ready: Any = None) -> None:  # noqa: ANN401 - a callable without argument, or None
    """Listen until cancelled; `ready`, when given, is called with the address once connections are accepted."""
    loop = asyncio.get_running_loop()
    door = Door()

    def conversation() -> Conversation:
        return Conversation(
            door,
            data_size_limit=inbound.LARGEST,
            enable_SMTPUTF8=True,
            hostname="suite",
            ident="LMTP",
            timeout=IDLE_SECONDS,
            # A bounce and a few answers in one connection, not a scan.
            command_call_limit={"MAIL": 200, "RCPT": 200, "DATA": 200, "*": 50},
            loop=loop,
        )

    if place.path:
        # A socket file is left behind by whoever was killed.
        Path(place.path).unlink(missing_ok=True)  # noqa: ASYNC240 - before anybody is served
        server = await loop.create_unix_server(conversation, place.path, backlog=32)
        os.chmod(place.path, 0o660)  # noqa: PTH101 - the mail server's group speaks to it
    else:
        server = await loop.create_server(conversation, place.host, place.port, backlog=32)
    if ready is not None:
        ready(place.path or "{}:{}".format(*server.sockets[0].getsockname()[:2]))
    try:
        async with server:
            await server.serve_forever()
    finally:
        # What is being written is written, or its sender comes back.
        door.threads.shutdown()


def waiting() -> int:
    """Return how many messages are not handled yet."""
    return Inbound.objects.filter(state__in=[Inbound.State.RECEIVED, Inbound.State.ANSWER]).count()
