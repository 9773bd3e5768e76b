"""Looks at websites from outside: bounded in bytes, time and redirects, and never at an address inside.

A name is resolved once; if any of its addresses is not public nothing is contacted; what is contacted is the address
that was checked, with the name in the request and in the TLS handshake. Nothing is sent that identifies anybody but us.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
from django.conf import settings

from onboarding.audits import declared, gathering, smtp, tls
from onboarding.audits.declared import Site
from onboarding.audits.facts import Lookup
from onboarding.audits.mail_facts import Policy
from onboarding.audits.resolver import Lookups, Resolver, drive
from onboarding.audits.safety import is_public
from onboarding.audits.web_facts import Certificate, Chain, Hop, WebFacts

CONNECT, READ, WHOLE = 5.0, 10.0, 30.0  # seconds: to connect, for one request, for one site or all the mail servers
BODY_MAX, HEADERS_MAX = 256 * 1024, 64 * 1024
HOPS_MAX = 10
SERVERS_MAX = 4
PER_ADDRESS = 2  # requests at a time to one address, whatever sites it serves
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OWN_PORT_FROM = 1024
POLICY_MAX = 64 * 1024

_VERIFY_CODES = {9: "not_yet", 10: "expired", 62: "name", 64: "name"}


class Seen(NamedTuple):
    """One answer, as far as it was read."""

    hop: Hop
    location: str = ""
    hsts: str = ""
    body: bytes = b""
    certificate: bytes = b""
    problem: str = ""  # what the certificate's verification said


class Prober:
    """Probes websites; the names it meets are looked up by `by`. `whole` bounds each visit, in seconds."""

    def __init__(self, by: Lookups | None = None, *, whole: float = WHOLE) -> None:
        self._lookups, self._whole = by or Resolver(), whole
        self._trust = ssl.create_default_context(cafile=settings.AUDIT_CA_FILE or None)
        self._blind = tls.blind()
        self._manners = _Manners()

    def gather(self, site: Site) -> WebFacts:
        """Look at everything the rules judge of one site, within WHOLE seconds.

        What there was no time to ask is « out_of_time »: nobody knows, and nobody is held to it.
        """
        visit = self._visit()
        names = drive(gathering.site(site.host), visit)
        http, https = (f"{scheme}://{_netloc(site, scheme)}/" for scheme in ("http", "https"))
        first = visit.chain(site.url)
        from_https, from_http = visit.chain(https), visit.chain(http)
        other_http = other_https = unverified = None
        if "certificate" in {first.last.error, from_https.last.error}:
            unverified = visit.chain(first.last.url if first.last.error == "certificate" else https, verify=False)
        if site.is_registrable:
            other = site.domain if site.host.startswith("www.") else f"www.{site.domain}"
            other_https, other_http = visit.chain(f"https://{other}/"), visit.chain(f"http://{other}/")
        certificate = visit.certificate(https)
        return WebFacts(
            declared=first,
            from_http=from_http,
            from_https=from_https,
            other_http=other_http,
            other_https=other_https,
            unverified=unverified,
            certificate=certificate,
            tls=visit.versions(site.host, _https_port(site)) if certificate else {},
            names=names,
            checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def chain(self, url: str, *, verify: bool = True) -> Chain:
        """Follow one address to its end."""
        return self._visit().chain(url, verify=verify)

    def policy(self, domain: str) -> Policy:
        """Fetch the MTA-STS policy of a domain: a valid certificate, no redirect (RFC 8461, 3.3)."""
        seen = self._visit().once(f"https://mta-sts.{domain}/.well-known/mta-sts.txt", wanted=POLICY_MAX)
        if seen.hop.status != httpx.codes.OK:
            return Policy(error=seen.hop.error or f"status_{seen.hop.status}")
        pairs = [line.partition(":") for line in seen.body.decode("utf-8", "replace").splitlines()]
        values = [(key.strip().lower(), value.strip()) for key, _, value in pairs]
        if ("version", "STSv1") not in values:
            return Policy(error="malformed")
        mode = next((value.lower() for key, value in values if key == "mode"), "")
        if mode not in {"enforce", "testing", "none"}:
            return Policy(error="malformed")
        return Policy(mode=mode, mx=tuple(value for key, value in values if key == "mx")[:50])

    def starttls(self, hosts: Iterable[str]) -> dict[str, str | None]:
        """Say what each mail server negotiates; None where nothing can be said."""
        visit, named = self._visit(), urlsplit(settings.PUBLIC_BASE_URL).hostname or "localhost"
        found: dict[str, str | None] = {}
        for host in list(hosts)[:SERVERS_MAX]:
            address, error = visit.address(host)
            found[host] = (
                None if error else smtp.negotiate(host, address, settings.AUDIT_SMTP_PORT, visit.deadline, named=named)
            )
        return found

    def _visit(self) -> "_Visit":
        return _Visit(self._lookups, (self._trust, self._blind), self._manners, time.monotonic() + self._whole)


class _Manners:
    """Lets PER_ADDRESS requests at a time go to one address: many sites share a host."""

    def __init__(self) -> None:
        self._lock, self._turns = threading.Lock(), dict[str, threading.Semaphore]()

    def turn(self, address: str) -> threading.Semaphore:
        """Return what to hold while asking this address."""
        with self._lock:
            return self._turns.setdefault(address, threading.Semaphore(PER_ADDRESS))


class _Visit:
    """One look at one site: no address asked twice, no name looked up twice, nothing after the deadline."""

    def __init__(
        self, by: Lookups, contexts: tuple[ssl.SSLContext, ssl.SSLContext], manners: "_Manners", deadline: float
    ) -> None:
        self._by = by.within(deadline) if isinstance(by, Resolver) else by
        (self._trust, self._blind), self._manners, self.deadline = contexts, manners, deadline
        self._found: dict[tuple[str, str], Lookup] = {}
        self._seen: dict[tuple[object, ...], Seen] = {}

    def lookup(self, name: str, kind: str) -> Lookup:
        """Look a name up, once."""
        if (name, kind) not in self._found:
            late = time.monotonic() >= self.deadline
            self._found[name, kind] = (
                Lookup(name, kind, "unknown", detail="timeout") if late else self._by.lookup(name, kind)
            )
        return self._found[name, kind]

    def chain(self, url: str, *, verify: bool = True) -> Chain:
        """Follow an address to its end, by our own rules."""
        hops: list[Hop] = []
        while True:
            seen = self.once(url, verify=verify)
            hops.append(seen.hop)
            if seen.hop.status not in REDIRECTS or not seen.location:
                return Chain(tuple(hops), empty=seen.hop.status is not None and not seen.body, hsts=seen.hsts)
            try:
                url = urljoin(url, seen.location)
            except ValueError:
                return Chain((*hops, Hop(seen.location[:500], error="bad_redirect")))
            if len(hops) > HOPS_MAX:
                return Chain((*hops, Hop(url[:500], error="too_many_redirects")))

    def certificate(self, url: str) -> Certificate | None:
        """Return what the host shows, valid or not; None when there is no TLS there."""
        verified = self.once(url)
        shown = (
            verified if verified.certificate or verified.hop.error != "certificate" else self.once(url, verify=False)
        )
        return tls.read(shown.certificate, verified.problem) if shown.certificate else None

    def versions(self, host: str, port: int) -> dict[str, bool | None]:
        """Try each version of TLS on its own; None where our own library cannot, or nobody answers in time."""
        address, error = self.address(host)
        found: dict[str, bool | None] = {}
        for version in () if error else reversed(tls.VERSIONS):
            left = self.deadline - time.monotonic()
            name = version.name.replace("_", ".")
            found[name] = tls.accepts(address, port, host, version, min(left, CONNECT) / 2) if left > 0 else None
        return found

    def once(self, url: str, *, verify: bool = True, wanted: int = 1) -> Seen:
        """Ask once, and read `wanted` bytes of the answer's body at most."""
        site = declared.site(url)
        if site is None or not _port_is_fair(site):
            return Seen(Hop(url[:500], error="bad_redirect"))
        # One address is one, with or without the port that it has anyway.
        key = (site.scheme, site.host, _port(site), *urlsplit(site.url)[2:4], verify)
        if key not in self._seen:
            self._seen[key] = self._once(site, verify=verify, wanted=min(wanted, BODY_MAX))
        seen = self._seen[key]
        return seen._replace(hop=replace(seen.hop, url=url))

    def address(self, host: str) -> tuple[str, str]:
        """Return the address to contact, or why there is none."""
        lookups = [self.lookup(host, kind) for kind in ("A", "AAAA")]
        found = [value for lookup in lookups for value in lookup.values]
        if not found:
            return "", _no_address(lookups)
        if not settings.AUDIT_PRIVATE_ADDRESSES and not all(map(is_public, found)):
            return found[0], "private_address"
        return found[0], ""

    def _once(self, site: Site, *, verify: bool, wanted: int) -> Seen:
        started, url = time.monotonic(), site.url
        if started >= self.deadline:
            return Seen(Hop(url, error="out_of_time"))
        address, error = self.address(site.host)
        if error:
            return Seen(Hop(url, error=error, address=address))
        late = "timeout"
        try:
            with self._manners.turn(address):
                until = min(time.monotonic() + READ, self.deadline)
                if until == self.deadline:
                    late = "out_of_time"  # cut short by our own deadline, a server is not to blame
                seen = _ask(site, address, self._trust if verify else self._blind, until, wanted)
        except httpx.InvalidURL:
            return Seen(Hop(url[:500], error="bad_redirect", address=address))
        except httpx.HTTPError as failure:
            code, problem = _failure(failure)
            seen = Seen(Hop(url, error=late if code == "timeout" else code), problem=problem)
        took = int((time.monotonic() - started) * 1000)
        return seen._replace(hop=Hop(url, seen.hop.status, seen.hop.error, address, took))


def _ask(site: Site, address: str, context: ssl.SSLContext, until: float, wanted: int) -> Seen:
    """Send one request to one address, under the name of the site, and read what is wanted of the answer.

    Raises:
        httpx.HTTPError: no answer came, or none that is one.
        httpx.InvalidURL: the address cannot be asked.
    """
    parts, port = urlsplit(site.url), _port(site)
    literal = f"[{address}]" if ":" in address else address
    usual = site.port is None or site.port == _usual(site.scheme)
    target = f"{site.scheme}://{literal}:{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    request = httpx.Request(
        "GET",
        target,
        headers={
            "Host": site.host if usual else f"{site.host}:{port}",
            "User-Agent": settings.AUDIT_USER_AGENT,
            "Accept": "text/html,*/*;q=0.5",
            "Accept-Encoding": "identity",  # nothing is ever unpacked: there is no bomb to fear
            "Connection": "close",
        },
        extensions={
            "sni_hostname": site.host,
            "timeout": {"connect": CONNECT, "read": READ, "write": READ, "pool": CONNECT},
        },
    )
    with _Transport(context, until) as transport:
        response = transport.handle_request(request)
        try:
            secure = response.extensions["network_stream"].get_extra_info("ssl_object")
            shown = (secure.getpeercert(True) or b"") if secure else b""
            return Seen(
                Hop(site.url, response.status_code),
                response.headers.get("location", "")[:2000],
                response.headers.get("strict-transport-security", "")[:200],
                transport.body(response, wanted),
                shown,
            )
        finally:
            response.close()


class _TooLarge(httpcore.RemoteProtocolError):
    """The headers do not end."""


class _Transport(httpx.HTTPTransport):
    """One connection that reads until a time and no further, and so many bytes and no more."""

    def __init__(self, context: ssl.SSLContext, until: float) -> None:
        super().__init__(verify=context, trust_env=False)
        self._bounds = _Bounds(until)
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=self._bounds)

    def body(self, response: httpx.Response, wanted: int) -> bytes:
        """Read up to `wanted` bytes, as they came; what does not come in time is left."""
        self._bounds.allowance += BODY_MAX
        body = b""
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) >= wanted:
                    break
        except httpx.HTTPError:
            pass  # the answer was there: what was read of it stands
        return body[:wanted]


class _Bounds(httpcore.NetworkBackend):
    """Connects as usual; what it connects is watched over."""

    def __init__(self, until: float) -> None:
        self._inner, self._until = httpcore.SyncBackend(), until
        self.allowance = HEADERS_MAX

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, self.left(timeout), local_address, socket_options)
        return _Watched(stream, self)

    def left(self, timeout: float | None) -> float:
        """Return how many seconds an operation may take."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)


class _Watched(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, bounds: _Bounds) -> None:
        self._inner, self._bounds = inner, bounds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._bounds.allowance <= 0:
            raise _TooLarge
        received = self._inner.read(min(max_bytes, self._bounds.allowance), self._bounds.left(timeout))
        self._bounds.allowance -= len(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._bounds.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        covered = self._inner.start_tls(ssl_context, server_hostname, self._bounds.left(timeout))
        return _Watched(covered, self._bounds)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def _no_address(lookups: list[Lookup]) -> str:
    if any(lookup.outcome == "unknown" for lookup in lookups):
        return "dns_unknown"
    return "dns_nxdomain" if all(lookup.detail == "nxdomain" for lookup in lookups) else "dns_nodata"


def _netloc(site: Site, scheme: str) -> str:
    """Return the host, with the declared port where it is the declared scheme's."""
    return f"{site.host}:{site.port}" if site.port and scheme == site.scheme else site.host


def _port_is_fair(site: Site) -> bool:
    return site.port is None or site.port == _usual(site.scheme) or site.port >= OWN_PORT_FROM


def _port(site: Site) -> int:
    return site.port or _usual(site.scheme)


def _https_port(site: Site) -> int:
    return _port(site) if site.scheme == "https" else _usual("https")


def _usual(scheme: str) -> int:
    """Return the port of a scheme where none is written."""
    usual: int = settings.AUDIT_HTTPS_PORT if scheme == "https" else settings.AUDIT_HTTP_PORT
    return usual


def _failure(failure: httpx.HTTPError) -> tuple[str, str]:
    """Return our code for what went wrong, and what the certificate's verification said if it is that."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate", _VERIFY_CODES.get(cause.verify_code, "untrusted")
        for kind, code in _CAUSES:
            if isinstance(cause, kind):
                return code, ""
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx.TimeoutException):
        return "timeout", ""
    return ("reset" if isinstance(failure, httpx.RemoteProtocolError | httpx.ReadError) else "network"), ""


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (_TooLarge, "too_large"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (ConnectionResetError, "reset"),
)
