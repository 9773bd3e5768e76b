"""Reads the DNS from outside. An error is `unknown`: never an answer, never an absence."""

import copy
import math
import time
from collections.abc import Iterable
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from django.conf import settings

from onboarding.audits.engine import Gatherer
from onboarding.audits.facts import Facts, Lookup
from onboarding.audits.gathering import mail

T = TypeVar("T")


@runtime_checkable
class Lookups(Protocol):
    """Whoever answers questions about the DNS."""

    def lookup(self, name: str, kind: str) -> Lookup:
        """Ask for one type of record of one name."""


class Resolver:
    """Asks one server, that of the setting DNS_RESOLVER unless named, or the machine's own; twice before giving up."""

    ATTEMPTS: ClassVar[int] = 2
    TIMEOUT: ClassVar[float] = 2.0  # seconds, for one question to one server
    LIFETIME: ClassVar[float] = 8.0  # seconds, for one look-up, retries and aliases included
    ALIASES: ClassVar[int] = 8

    def __init__(self, server: str = "") -> None:
        self._server = server or settings.DNS_RESOLVER
        self._until = math.inf

    def within(self, deadline: float) -> "Resolver":
        """Return a resolver like this one that stops at a time of `time.monotonic()`."""
        bounded = copy.copy(self)
        bounded._until = deadline  # noqa: SLF001 - it is one of us
        return bounded

    def lookup(self, name: str, kind: str) -> Lookup:  # noqa: PLR0911 - one return per thing that may come back
        """Ask, follow aliases, and say what came back."""
        try:
            target = dns.name.from_text(name.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError):
            return Lookup(name, kind, "unknown", detail="malformed")
        wanted = dns.rdatatype.from_text(kind)
        deadline = min(time.monotonic() + self.LIFETIME, self._until)
        for _ in range(self.ALIASES):
            response = self._ask(dns.message.make_query(target, wanted, use_edns=0, payload=1232), deadline)
            if isinstance(response, str):
                return Lookup(name, kind, "unknown", detail=response)
            here = [rrset for rrset in response.answer if rrset.name == target]
            found = [rdata for rrset in here if rrset.rdtype == wanted for rdata in rrset]
            if found:
                return Lookup(name, kind, "answer", tuple(sorted(_text(rdata) for rdata in found)))
            alias = [rdata.target for rrset in here if rrset.rdtype == dns.rdatatype.CNAME for rdata in rrset]
            if alias:
                target = alias[0]
            elif response.rcode() == dns.rcode.NXDOMAIN:
                return Lookup(name, kind, "none", detail="nxdomain")
            elif response.answer or _is_referral(response):
                return Lookup(name, kind, "unknown", detail="malformed")
            else:
                return Lookup(name, kind, "none", detail="nodata")
        return Lookup(name, kind, "unknown", detail="loop")

    def _ask(self, query: dns.message.QueryMessage, deadline: float) -> dns.message.Message | str:
        """Return a response that says something, or why there is none."""
        servers = self.servers()
        reason = "timeout" if servers else "network"
        for server, port in servers * self.ATTEMPTS:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                response = self.exchange(query, server, port, min(self.TIMEOUT, left))
            except dns.exception.Timeout:
                reason = "timeout"
            except (dns.exception.DNSException, ValueError):
                reason = "malformed"
            except (OSError, EOFError):
                reason = "network"
            else:
                if response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                    return response
                reason = dns.rcode.to_text(response.rcode()).lower()
        return reason

    def exchange(self, query: dns.message.QueryMessage, server: str, port: int, timeout: float) -> dns.message.Message:
        """Send one question to one server: by UDP, then by TCP when the answer does not fit."""
        response, _ = dns.query.udp_with_fallback(query, server, timeout=timeout, port=port)
        return response

    def servers(self) -> list[tuple[str, int]]:
        """Return whom to ask, in order, as (address, port)."""
        if self._server:
            return [server_of(self._server)]
        try:
            machine = dns.resolver.get_default_resolver()
        except dns.exception.DNSException:
            return []
        return [(server, 53) for server in machine.nameservers if isinstance(server, str)]


class Authority(Resolver):
    """Asks one authoritative server of a domain, and believes only what it says with authority."""

    LIFETIME: ClassVar[float] = 4.0

    def __init__(self, address: str, port: int = 53) -> None:
        super().__init__(address)
        self.server = (address, port)

    def servers(self) -> list[tuple[str, int]]:
        return [self.server]

    def exchange(self, query: dns.message.QueryMessage, server: str, port: int, timeout: float) -> dns.message.Message:
        query.flags &= ~dns.flags.RD
        response = super().exchange(query, server, port, timeout)
        if response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN} and not response.flags & dns.flags.AA:
            raise ValueError("the server does not speak for this domain")
        return response


def gather(domain: str, *, selectors: Iterable[str] = (), by: Lookups | None = None) -> Facts:
    """Look up what `rules.inspect` judges, one question after the other: for one domain, now."""
    return drive(mail(domain, selectors=selectors, beyond=False), by or Resolver())


def drive(gatherer: Gatherer[T], lookups: Lookups) -> T:
    """Run one gatherer to its end, one question after the other: for one domain, now."""
    answers: list[Lookup] | None = None
    while True:
        try:
            questions = next(gatherer) if answers is None else gatherer.send(answers)
        except StopIteration as end:
            result: T = end.value
            return result
        answers = [lookups.lookup(each.name, each.kind) for each in questions]


def server_of(text: str) -> tuple[str, int]:
    """Read « address », « address:port » or « [address]:port »; port 53 unless said.

    Raises:
        ValueError: it is none of these.
    """
    address, port = text, "53"
    if "]:" in text or text.count(":") == 1:
        address, _, port = text.rpartition(":")
    address = address.strip("[]")
    dns.inet.af_for_address(address)
    if not 0 < int(port) < 65_536:  # noqa: PLR2004 - sixteen bits
        raise ValueError("no such port")
    return address, int(port)


def _is_referral(response: dns.message.Message) -> bool:
    """Tell « ask somebody else » from « there is no such record »."""
    types = {rrset.rdtype for rrset in response.authority}
    return dns.rdatatype.NS in types and dns.rdatatype.SOA not in types and not response.flags & dns.flags.AA


def _text(rdata: object) -> str:
    """Return a record as in a zone file; a TXT as its text (RFC 7208, 3.3: strings are joined without space)."""
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "backslashreplace")
    return str(rdata).lower()
