"""Many questions in flight on few sockets: what makes a national audit take minutes on one small machine.

A *gatherer* is a generator that yields lists of questions and is sent the list of their look-ups; the engine runs
thousands side by side. It knows nothing of domains. One question is asked once however many gatherers want it; its
answer is kept for its time to live. A lost packet is asked again, of another server when there is one, and what never
answers is `unknown`, never `none`.
"""

import heapq
import random
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from onboarding.audits import wire
from onboarding.audits.facts import Lookup

T = TypeVar("T")


class Question(NamedTuple):
    """What to ask. `authority` names whose servers will answer in the end, when known: they are spared together."""

    name: str
    kind: str
    authority: str = ""


Gatherer = Generator[list[Question], list[Lookup], T]


class Budget(Protocol):
    """Whoever limits how many questions leave, all workers together."""

    def reserve(self, count: int) -> float:
        """Reserve `count` questions and return how many seconds from now they may leave."""


@dataclass(frozen=True)
class Manners:
    """How the engine behaves; times in seconds, rates in questions a second."""

    attempts: int = 3
    timeout: float = 2.0
    lifetime: float = 10.0  # for one name, retries, aliases and waits for a turn not counted
    aliases: int = 8
    per_socket: int = 300  # more overflows a socket's receive buffer, and loses packets (`performance.md`)
    sockets: int = 4
    first_window: int = 100  # questions in flight at first; it grows with the answers and halves with a loss
    least_window: int = 20
    questions_per_socket: int = 20_000  # then another one, with another port
    authority_rate: float = 50.0
    cache_entries: int = 500_000
    longest_ttl: int = 3600


@dataclass
class Tally:
    """What a run did."""

    gathered: int = 0
    wanted: int = 0
    sent: int = 0
    retried: int = 0
    by_tcp: int = 0
    unknown: int = 0
    strangers: int = 0  # packets that answered none of our questions


@dataclass(slots=True, eq=False)
class _Job:
    gatherer: Gatherer[object]
    waiting: int = 0
    lookups: list[Lookup | None] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Ask:
    """One question on its way, whoever wants it."""

    key: tuple[bytes, int]
    kind: int
    name: bytes  # what is asked now: the name of the key, or where its aliases lead
    mask: int
    authority: str
    waiters: list[tuple[_Job, int, Question]]
    attempt: int = 0
    aliases: int = 0
    edns: bool = True
    tcp: bool = False
    first_sent: float = 0.0
    asked: bytes = b""
    reason: str = "timeout"
    ttl: int = 1 << 30
    server: int = -1  # the one asked last
    stay: bool = False  # the next attempt is for the same server


@dataclass(slots=True, eq=False)
class _Port:
    """One UDP socket, connected to one server: the kernel drops what others send to it."""

    socket: socket.socket
    server: int
    pending: dict[int, _Ask] = field(default_factory=dict)
    sent: int = 0


@dataclass(slots=True, eq=False)
class _Stream:
    """One question by TCP."""

    socket: socket.socket
    ask: _Ask
    number: int
    deadline: float
    out: bytes
    got: bytearray = field(default_factory=bytearray)


class Engine:
    """Runs gatherers against recursive (or authoritative) servers, given as (address, port) in order of preference."""

    def __init__(
        self, servers: list[tuple[str, int]], *, manners: Manners | None = None, budget: Budget | None = None
    ) -> None:
        if not servers:
            raise ValueError("There is no server to ask.")
        self.servers = servers
        self.manners = manners or Manners()
        self.tally = Tally()
        self._budget = budget
        self._allowance, self._not_before = 0, 0.0
        self._selector = selectors.DefaultSelector()
        self._ports: list[_Port] = []
        self._streams: set[_Stream] = set()
        self._asks: dict[tuple[bytes, int], _Ask] = {}
        self._cache: dict[tuple[bytes, int], tuple[float, Lookup]] = {}
        self._ready: deque[_Ask] = deque()
        self._resume: deque[_Job] = deque()
        self._later: list[tuple[float, int, _Ask]] = []
        self._turns: dict[str, float] = {}
        self._timeouts: deque[tuple[float, _Port, int, _Ask]] = deque()
        self._in_flight = 0
        self._window = float(self.manners.first_window)
        self._halved_at = 0.0
        self._counter = 0

    @property
    def capacity(self) -> int:
        """How many questions may be in flight."""
        return self.manners.per_socket * self.manners.sockets

    def run(self, gatherers: Iterable[Gatherer[T]], done: Callable[[T], None]) -> Tally:
        """Run every gatherer to its end and hand each result to `done`, in the order they come."""
        source = iter(gatherers)
        active: set[_Job] = set()
        finished: deque[tuple[_Job, object]] = deque()
        exhausted = False
        try:
            while True:
                # Enough to keep the sockets busy, not so many that the first waits for the last.
                while not exhausted and len(self._ready) < self.manners.per_socket and len(active) < self.capacity:
                    exhausted = not self._start(source, active, finished)
                while self._resume:
                    self._step(self._resume.popleft(), finished)
                while finished:
                    job, result = finished.popleft()
                    active.discard(job)
                    self.tally.gathered += 1
                    done(result)  # type: ignore[arg-type]  # what a Gatherer[T] returns
                if exhausted and not active:
                    return self.tally
                self._turn()
        finally:
            self._close()

    # --- Gatherers ----------------------------------------------------------------------------------------------------

    def _start(self, source: Iterator[Gatherer[T]], active: set[_Job], finished: deque[tuple[_Job, object]]) -> bool:
        gatherer = next(source, None)
        if gatherer is None:
            return False
        job = _Job(gatherer)
        active.add(job)
        self._step(job, finished)
        return True

    def _step(self, job: _Job, finished: deque[tuple[_Job, object]]) -> None:
        """Hand a gatherer its look-ups and take its next questions, until some must be waited for."""
        send: list[Lookup] | None = job.lookups or None  # type: ignore[assignment]  # full: none is waited for
        while True:
            try:
                questions = next(job.gatherer) if send is None else job.gatherer.send(send)
            except StopIteration as stop:
                finished.append((job, stop.value))
                return
            job.lookups = [None] * len(questions)
            job.waiting = len(questions)
            for place, question in enumerate(questions):
                self._want(job, place, question)
            if job.waiting:
                return
            send = job.lookups  # type: ignore[assignment]

    def _want(self, job: _Job, place: int, question: Question) -> None:
        self.tally.wanted += 1
        try:
            name = wire.name_to_wire(question.name)
        except wire.Malformed:
            self._give(job, place, Lookup(question.name, question.kind, "unknown", detail="malformed"))
            return
        key = (name, wire.TYPES[question.kind])
        known = self._cache.get(key)
        if known is not None:
            if known[0] > time.monotonic():
                self._give(job, place, known[1])
                return
            del self._cache[key]
        ask = self._asks.get(key)
        if ask is None:
            ask = _Ask(key, key[1], name, wire.letters(name), question.authority, [])
            self._asks[key] = ask
            self._ready.append(ask)
        ask.waiters.append((job, place, question))

    @staticmethod
    def _give(job: _Job, place: int, lookup: Lookup) -> None:
        job.lookups[place] = lookup
        job.waiting -= 1

    def _settle(self, ask: _Ask, outcome: str, values: tuple[str, ...] = (), detail: str = "") -> None:
        """Give everybody who waits the outcome, and remember it if it is one."""
        question = ask.waiters[0][2]
        lookup = Lookup(question.name.lower(), question.kind, outcome, values, detail)  # type: ignore[arg-type]
        del self._asks[ask.key]
        if outcome == "unknown":
            self.tally.unknown += 1
        elif ask.ttl > 0:
            if len(self._cache) >= self.manners.cache_entries:
                self._cache.pop(next(iter(self._cache)))  # the oldest
            self._cache[ask.key] = (time.monotonic() + min(ask.ttl, self.manners.longest_ttl), lookup)
        for job, place, _ in ask.waiters:
            self._give(job, place, lookup)
            if not job.waiting:
                self._resume.append(job)

    # --- Sending ------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Send what may leave, take what came, and give up on what is late."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        self._send_ready(now)
        for key, _ in self._selector.select(self._patience(time.monotonic())):
            if isinstance(key.data, _Port):
                self._receive(key.data)
            else:
                self._stream(key.data)
        self._expire(time.monotonic())

    def _patience(self, now: float) -> float:
        """Return how long nothing but a packet may happen."""
        if self._resume:
            return 0.0
        dates = [self._timeouts[0][0]] if self._timeouts else []
        dates += [stream.deadline for stream in self._streams]
        if self._later:
            dates.append(self._later[0][0])
        if self._ready and self._in_flight < self._window:
            dates.append(self._not_before)
        return max(0.0, min(dates, default=now + 1.0) - now)

    def _send_ready(self, now: float) -> None:
        while self._ready and self._in_flight < self._window:
            ask = self._ready[0]
            if (wait := self._authority_wait(ask, now)) > 0:
                self._ready.popleft()
                self._postpone(ask, now + wait)
                continue
            if self._budget is not None and self._allowance <= 0:
                if self._not_before > now:
                    return
                self._not_before = now + self._budget.reserve(BLOCK)
                self._allowance = BLOCK
            if self._not_before > now:
                return
            self._ready.popleft()
            self._allowance -= 1
            self._send(ask, now)

    def _authority_wait(self, ask: _Ask, now: float) -> float:
        """Return how long this authority is to be left alone, and take a turn if it is not (token bucket, GCRA)."""
        if not ask.authority:
            return 0.0
        interval = 1 / self.manners.authority_rate
        turn = max(self._turns.get(ask.authority, 0.0), now - 1.0)  # a burst of one second at most
        if turn > now:
            return turn - now
        self._turns[ask.authority] = turn + interval
        return 0.0

    def _postpone(self, ask: _Ask, date: float) -> None:
        self._counter += 1
        heapq.heappush(self._later, (date, self._counter, ask))

    def _send(self, ask: _Ask, now: float) -> None:
        if ask.attempt == 0:
            ask.first_sent = now
        elif now - ask.first_sent > self.manners.lifetime:
            self._settle(ask, "unknown", detail=ask.reason)
            return
        else:
            self.tally.retried += 1
        ask.attempt += 1
        self.tally.sent += 1
        ask.asked = wire.question(ask.name, ask.kind, ask.mask)
        if ask.tcp:
            self._connect(ask, now)
            return
        try:
            port = self._port(self._server(ask))
        except OSError:
            self._again(ask, "network")
            return
        number = random.getrandbits(16)
        while number in port.pending:
            number = random.getrandbits(16)
        packet = wire.query(number, ask.asked, edns=ask.edns)
        try:
            port.socket.send(packet)
        except BlockingIOError:  # our own buffer is full: nothing left
            ask.attempt -= 1
            self.tally.sent -= 1
            self._postpone(ask, now + 0.01)
            return
        except OSError:
            self._again(ask, "network")
            return
        port.pending[number] = ask
        port.sent += 1
        self._in_flight += 1
        self._timeouts.append((now + self.manners.timeout, port, number, ask))

    def _server(self, ask: _Ask) -> int:
        """Return whom to ask: in turn, and another one after a failure."""
        if ask.server < 0:
            self._counter += 1
            ask.server = self._counter % len(self.servers)
        elif not ask.stay:
            ask.server = (ask.server + 1) % len(self.servers)
        ask.stay = False
        return ask.server

    def _port(self, server: int) -> _Port:
        """Return a socket to the server with room left; its port is replaced after a number of questions."""
        best = None
        for port in self._ports:
            if port.server == server and port.sent < self.manners.questions_per_socket:
                if len(port.pending) < self.manners.per_socket // 2:
                    return port
                if best is None or len(port.pending) < len(best.pending):
                    best = port
        alive = sum(port.server == server for port in self._ports)
        if best is not None and (alive >= self.manners.sockets or len(best.pending) < self.manners.per_socket):
            return best
        address, number = self.servers[server]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        fresh = socket.socket(family, socket.SOCK_DGRAM)
        try:
            fresh.setblocking(False)
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
            fresh.connect((address, number))
        except OSError:
            fresh.close()
            raise
        port = _Port(fresh, server)
        self._ports.append(port)
        self._selector.register(fresh, selectors.EVENT_READ, port)
        return port

    # --- Receiving ----------------------------------------------------------------------------------------------------

    def _receive(self, port: _Port) -> None:
        receive = port.socket.recv
        for _ in range(self.manners.per_socket):
            try:
                packet = receive(4096)
            except BlockingIOError:
                break
            except OSError:  # nobody listens there: what was asked of it is asked elsewhere
                for number in list(port.pending):
                    self._again(self._forget(port, number), "network")
                break
            if len(packet) < wire.HEADER.size:
                self.tally.strangers += 1
                continue
            number = packet[0] << 8 | packet[1]
            ask = port.pending.get(number)
            if ask is None:
                self.tally.strangers += 1
                continue
            asked = ask.asked
            if packet[12 : 12 + len(asked)] != asked:
                self._mismatch(port, number, packet)
                continue
            self._forget(port, number)
            if self._window < self.capacity:
                self._window += 1 / self._window  # one more for each window that came back whole
            self._read(ask, packet)
        if port.sent >= self.manners.questions_per_socket and not port.pending:
            self._drop(port)

    def _mismatch(self, port: _Port, number: int, packet: bytes) -> None:
        """Meet a packet with our number and another question: a forgery, or a server that does not keep the case.

        The second is asked again by TCP, which nobody can answer in its place; a forgery is not even noticed.
        """
        ask = port.pending[number]
        if packet[12 : 12 + len(ask.asked)].lower() == ask.asked.lower():
            self._forget(port, number)
            ask.tcp = True
            self._again(ask, "case", spare=True)
        elif packet[2] & 0x80 and packet[3] & 0xF == wire.FORMERR and len(packet) == wire.HEADER.size:
            self._forget(port, number)
            self._read(ask, packet)
        else:
            self.tally.strangers += 1

    def _forget(self, port: _Port, number: int) -> _Ask:
        self._in_flight -= 1
        return port.pending.pop(number)

    def _read(self, ask: _Ask, packet: bytes) -> None:
        """Understand a reply that is truly one to our question."""
        rcode = packet[3] & 0xF
        if rcode not in (wire.NOERROR, wire.NXDOMAIN):
            if ask.edns and rcode in (wire.FORMERR, wire.NOTIMP):
                ask.edns = False  # older than EDNS (RFC 6891, 7)
                self._again(ask, _RCODES[rcode], spare=True)
            else:
                self._again(ask, _RCODES.get(rcode, "refused"))
            return
        try:
            reply = wire.decode(packet, ask.asked, ask.name)
            if not reply.truncated:
                self._understand(ask, reply)
            elif ask.tcp:
                self._again(ask, "malformed")
            else:
                ask.tcp = True
                self._again(ask, "truncated", spare=True)
        except wire.Malformed:
            self._again(ask, "malformed")

    def _understand(self, ask: _Ask, reply: wire.Reply) -> None:
        name = ask.name
        for _ in range(self.manners.aliases + 1):
            found = [each for each in reply.answers if each.kind == ask.kind and each.owner == name]
            if found:
                ask.ttl = min(ask.ttl, *(each.ttl for each in found))
                values = tuple(sorted({reply.text(each) for each in found}))
                self._settle(ask, "answer", values)
                return
            alias = next((each for each in reply.answers if each.kind == wire.CNAME and each.owner == name), None)
            if alias is None:
                break
            ask.ttl = min(ask.ttl, alias.ttl)
            name = reply.target(alias)
            ask.aliases += 1
            if ask.aliases > self.manners.aliases:
                self._settle(ask, "unknown", detail="loop")
                return
        if reply.rcode == wire.NXDOMAIN:
            ask.ttl = min(ask.ttl, reply.negative_ttl or 0)
            self._settle(ask, "none", detail="nxdomain")
        elif name != ask.name:  # the aliases lead out of what this server told
            ask.name, ask.mask = name, wire.letters(name)
            ask.attempt, ask.server = 0, -1
            self._ready.append(ask)
        elif reply.answers or reply.referral:
            raise wire.Malformed("answers something else")
        else:
            ask.ttl = min(ask.ttl, reply.negative_ttl or 0)
            self._settle(ask, "none", detail="nodata")

    def _again(self, ask: _Ask, reason: str, *, spare: bool = False) -> None:
        """Ask once more, or say that we do not know. `spare`: the attempt was not the network's fault."""
        ask.reason, ask.stay = reason, spare
        if not spare and ask.attempt >= self.manners.attempts:
            self._settle(ask, "unknown", detail=reason)
            return
        self._ready.append(ask)

    def _expire(self, now: float) -> None:
        while self._timeouts and self._timeouts[0][0] <= now:
            _, port, number, ask = self._timeouts.popleft()
            if port.pending.get(number) is ask:
                self._forget(port, number)
                self._narrow(now)
                self._again(ask, "timeout")
        for stream in [each for each in self._streams if each.deadline <= now]:
            self._end(stream)
            self._again(stream.ask, "timeout")
        while self._timeouts and self._timeouts[0][1].pending.get(self._timeouts[0][2]) is not self._timeouts[0][3]:
            self._timeouts.popleft()  # answered since

    def _narrow(self, now: float) -> None:
        """Send less at once after a loss; the losses of one window count once."""
        if now - self._halved_at > self.manners.timeout:
            self._halved_at = now
            self._window = max(self._window / 2, float(self.manners.least_window))

    # --- TCP ----------------------------------------------------------------------------------------------------------

    def _connect(self, ask: _Ask, now: float) -> None:
        self.tally.by_tcp += 1
        address, number = self.servers[self._server(ask)]
        link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        link.setblocking(False)
        with suppress(BlockingIOError):
            try:
                link.connect((address, number))
            except BlockingIOError:
                raise
            except OSError:
                link.close()
                self._again(ask, "network")
                return
        identity = random.getrandbits(16)
        message = wire.query(identity, ask.asked, edns=ask.edns)
        stream = _Stream(link, ask, identity, now + 2 * self.manners.timeout, struct.pack("!H", len(message)) + message)
        self._streams.add(stream)
        self._in_flight += 1
        self._selector.register(link, selectors.EVENT_WRITE, stream)

    def _stream(self, stream: _Stream) -> None:
        try:
            if stream.out:
                stream.out = stream.out[stream.socket.send(stream.out) :]
                if not stream.out:
                    self._selector.modify(stream.socket, selectors.EVENT_READ, stream)
                return
            chunk = stream.socket.recv(65_537)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._end(stream)
            self._again(stream.ask, "network")
            return
        stream.got += chunk
        if len(stream.got) < 2 or len(stream.got) < 2 + int.from_bytes(stream.got[:2], "big"):  # noqa: PLR2004 - the length
            return
        self._end(stream)
        packet = bytes(stream.got[2 : 2 + int.from_bytes(stream.got[:2], "big")])
        asked = stream.ask.asked
        honest = len(packet) >= wire.HEADER.size and packet[:2] == struct.pack("!H", stream.number)
        if honest and packet[12 : 12 + len(asked)].lower() == asked.lower():
            self._read(stream.ask, packet)
        else:
            self._again(stream.ask, "malformed")

    def _end(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        self._in_flight -= 1
        self._selector.unregister(stream.socket)
        stream.socket.close()

    # --- Leaving ------------------------------------------------------------------------------------------------------

    def _drop(self, port: _Port) -> None:
        self._ports.remove(port)
        self._selector.unregister(port.socket)
        port.socket.close()

    def _close(self) -> None:
        for port in list(self._ports):
            self._drop(port)
        for stream in list(self._streams):
            self._end(stream)
        self._selector.close()


# Questions reserved at a time from the budget that the workers share.
BLOCK = 50
_RCODES = {
    wire.FORMERR: "formerr",
    wire.SERVFAIL: "servfail",
    wire.NOTIMP: "notimp",
    wire.REFUSED: "refused",
}
