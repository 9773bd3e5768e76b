"""One request to one address, under the name of a site: bounded in time, in headers and in what is read of the page."""

import ssl
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings

from onboarding.audits.declared import Site
from onboarding.audits.web_facts import Hop

CONNECT, READ = 5.0, 10.0  # seconds: to connect, for one request
BODY_MAX, HEADERS_MAX = 256 * 1024, 64 * 1024

_VERIFY_CODES = {9: "not_yet", 10: "expired", 62: "name", 64: "name"}


class Seen(NamedTuple):
    """One answer, as far as it was read."""

    hop: Hop
    location: str = ""
    hsts: str = ""
    body: bytes = b""
    certificate: bytes = b""
    problem: str = ""  # what the certificate's verification said


def fetch(site: Site, address: str, context: ssl.SSLContext, until: float, wanted: int) -> Seen:
    """Ask once, until a time of `time.monotonic()`, and read `wanted` bytes of the page at most. Never raises."""
    try:
        return _ask(site, address, context, until, min(wanted, BODY_MAX))
    except httpx.InvalidURL:
        return Seen(Hop(site.url, error="bad_redirect"))
    except httpx.HTTPError as failure:
        code, problem = _failure(failure)
        return Seen(Hop(site.url, error=code), problem=problem)


def port_of(site: Site) -> int:
    """Return the port to ask: that which is written, or the scheme's."""
    return site.port or usual_port(site.scheme)


def usual_port(scheme: str) -> int:
    """Return the port of a scheme where none is written."""
    usual: int = settings.AUDIT_HTTPS_PORT if scheme == "https" else settings.AUDIT_HTTP_PORT
    return usual


def _ask(site: Site, address: str, context: ssl.SSLContext, until: float, wanted: int) -> Seen:
    """Send one request to one address, under the name of the site, and read what is wanted of the answer.

    Raises:
        httpx.HTTPError: no answer came, or none that is one.
        httpx.InvalidURL: the address cannot be asked.
    """
    parts, port = urlsplit(site.url), port_of(site)
    literal = f"[{address}]" if ":" in address else address
    usual = site.port is None or site.port == usual_port(site.scheme)
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
