"""Looks at websites from outside: bounded in bytes, time and redirects, and never at an address inside.

A name is resolved once; if any of its addresses is not public nothing is contacted; what is contacted is the address
that was checked, with the name in the request and in the TLS handshake. Nothing is sent that identifies anybody but us.
"""

import smtplib
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from django.conf import settings

from onboarding.audits import declared, gathering
from onboarding.audits.declared import Site
from onboarding.audits.facts import Lookup
from onboarding.audits.mail_facts import Policy
from onboarding.audits.resolver import Lookups, Resolver, drive
from onboarding.audits.safety import is_public
from onboarding.audits.web_facts import Certificate, Chain, Hop, WebFacts

CONNECT, READ, WHOLE = 5.0, 10.0, 30.0  # seconds
BODY_MAX, HEADERS_MAX = 256 * 1024, 64 * 1024
HOPS_MAX = 10
SERVERS_MAX = 4
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
    """Probes websites; the names it meets are looked up by `by`."""

    def __init__(self, by: Lookups | None = None) -> None:
        self.lookups = by or Resolver()
        self._trust = ssl.create_default_context(cafile=settings.AUDIT_CA_FILE or None)
        self._blind = ssl.create_default_context()
        self._blind.check_hostname, self._blind.verify_mode = False, ssl.CERT_NONE

    def gather(self, site: Site) -> WebFacts:
        """Look at everything the rules judge of one site. Takes WHOLE seconds for each chain at most."""
        names = drive(gathering.site(site.host), self.lookups)
        http, https = (f"{scheme}://{_netloc(site, scheme)}/" for scheme in ("http", "https"))
        first = self.chain(site.url)
        from_http, from_https = self.chain(http), self.chain(https)
        other_http = other_https = unverified = None
        if site.is_registrable:
            other = site.domain if site.host.startswith("www.") else f"www.{site.domain}"
            other_http, other_https = self.chain(f"http://{other}/"), self.chain(f"https://{other}/")
        if "certificate" in {first.last.error, from_https.last.error}:
            unverified = self.chain(first.last.url if first.last.error == "certificate" else https, verify=False)
        return WebFacts(
            declared=first,
            from_http=from_http,
            from_https=from_https,
            other_http=other_http,
            other_https=other_https,
            unverified=unverified,
            certificate=self.certificate(https),
            tls=self.versions(site.host, _port(site) if site.scheme == "https" else settings.AUDIT_HTTPS_PORT),
            names=names,
            checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def chain(self, url: str, *, verify: bool = True) -> Chain:
        """Follow an address to its end, by our own rules."""
        deadline, hops = time.monotonic() + WHOLE, []
        while True:
            seen = self._once(url, deadline, verify=verify)
            hops.append(seen.hop)
            if seen.hop.status not in REDIRECTS or not seen.location:
                return Chain(tuple(hops), empty=seen.hop.status is not None and not seen.body, hsts=seen.hsts)
            url = urljoin(url, seen.location)
            if len(hops) > HOPS_MAX:
                return Chain((*hops, Hop(url, error="too_many_redirects")))
            if declared.site(url) is None:
                return Chain((*hops, Hop(url[:500], error="bad_redirect")))

    def certificate(self, url: str) -> Certificate | None:
        """Return what the host shows, valid or not; None when there is no TLS there."""
        verified = self._once(url, time.monotonic() + READ)
        shown = verified if verified.certificate else self._once(url, time.monotonic() + READ, verify=False)
        if not shown.certificate:
            return None
        return _certificate(shown.certificate, verified.problem)

    def policy(self, domain: str) -> Policy:
        """Fetch the MTA-STS policy of a domain: a valid certificate, no redirect (RFC 8461, 3.3)."""
        seen = self._once(f"https://mta-sts.{domain}/.well-known/mta-sts.txt", time.monotonic() + WHOLE)
        if seen.hop.status != httpx.codes.OK:
            return Policy(error=seen.hop.error or f"status_{seen.hop.status}")
        pairs = [line.partition(":") for line in seen.body[:POLICY_MAX].decode("utf-8", "replace").splitlines()]
        values = [(key.strip().lower(), value.strip()) for key, _, value in pairs]
        if ("version", "STSv1") not in values:
            return Policy(error="malformed")
        mode = next((value for key, value in values if key == "mode"), "")
        return Policy(mode=mode, mx=tuple(value for key, value in values if key == "mx"))

    def versions(self, host: str, port: int) -> dict[str, bool | None]:
        """Try each version of TLS on its own; None where our own library cannot, or nobody answers."""
        address, error = self._address(host)
        if error:
            return {}
        return {version.name.replace("_", "."): _accepts(address, port, host, version) for version in _VERSIONS}

    def starttls(self, hosts: list[str]) -> dict[str, str | None]:
        """Say what each mail server negotiates: EHLO, STARTTLS, EHLO, QUIT, and nothing that looks like a message."""
        return {host: self._starttls(host) for host in hosts[:SERVERS_MAX]}

    def _starttls(self, host: str) -> str | None:
        address, error = self._address(host)
        if error:
            return None
        try:
            with smtplib.SMTP(address, settings.AUDIT_SMTP_PORT, timeout=CONNECT) as server:
                server.ehlo()
                if not server.has_extn("starttls"):
                    return ""
                server._host = host  # type: ignore[attr-defined]  # noqa: SLF001 - the name of the handshake
                server.starttls(context=self._blind)
                version = server.sock.version() if isinstance(server.sock, ssl.SSLSocket) else None
                server.ehlo()
                return version or ""
        except smtplib.SMTPResponseException:
            return ""
        except (OSError, smtplib.SMTPException):
            return None

    # --- One request --------------------------------------------------------------------------------------------------

    def _once(self, url: str, deadline: float, *, verify: bool = True) -> Seen:
        started = time.monotonic()
        site = declared.site(url)
        if site is None or not _port_is_fair(site):
            return Seen(Hop(url, error="bad_redirect"))
        address, error = self._address(site.host)
        if error:
            return Seen(Hop(url, error=error, address=address))
        left = deadline - started
        if left <= 0:
            return Seen(Hop(url, error="timeout", address=address))
        try:
            with self._answer(site, address, min(left, READ), verify=verify) as response:
                body = _body(response, deadline)
                status, problem = response.status_code, ""
                secure = response.extensions["network_stream"].get_extra_info("ssl_object")
        except httpx.HTTPError as failure:
            code, problem = _failure(failure)
            took = int((time.monotonic() - started) * 1000)
            return Seen(Hop(url, error=code, address=address, milliseconds=took), problem=problem)
        took = int((time.monotonic() - started) * 1000)
        return Seen(
            Hop(url, status, address=address, milliseconds=took),
            response.headers.get("location", "")[:2000],
            response.headers.get("strict-transport-security", "")[:200],
            body,
            (secure.getpeercert(binary_form=True) or b"") if secure else b"",
            problem,
        )

    @contextmanager
    def _answer(self, site: Site, address: str, patience: float, *, verify: bool) -> Iterator[httpx.Response]:
        """Send one request to one address, under the name of the site."""
        port = _port(site)
        parts = urlsplit(site.url)
        literal = f"[{address}]" if ":" in address else address
        default = site.port is None or site.port == _usual(site.scheme)
        target = f"{site.scheme}://{literal}:{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        request = httpx.Request(
            "GET",
            target,
            headers={
                "Host": site.host if default else f"{site.host}:{port}",
                "User-Agent": settings.AUDIT_USER_AGENT,
                "Accept": "text/html,*/*;q=0.5",
                "Accept-Encoding": "gzip",
                "Connection": "close",
            },
            extensions={"sni_hostname": site.host},
        )
        with httpx.Client(
            verify=self._trust if verify else self._blind,
            timeout=httpx.Timeout(patience, connect=min(patience, CONNECT)),
            trust_env=False,
            follow_redirects=False,
        ) as client:
            response = client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()

    def _address(self, host: str) -> tuple[str, str]:
        """Return the address to contact, or why there is none."""
        lookups = [self.lookups.lookup(host, kind) for kind in ("A", "AAAA")]
        found = [value for lookup in lookups for value in lookup.values]
        if not found:
            return "", _no_address(lookups)
        if not settings.AUDIT_PRIVATE_ADDRESSES and not all(map(is_public, found)):
            return found[0], "private_address"
        return found[0], ""


_VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


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


def _usual(scheme: str) -> int:
    """Return the port of a scheme where none is written."""
    usual: int = settings.AUDIT_HTTPS_PORT if scheme == "https" else settings.AUDIT_HTTP_PORT
    return usual


def _body(response: httpx.Response, deadline: float) -> bytes:
    """Read up to BODY_MAX bytes, after decompression, and stop."""
    body = b""
    for chunk in response.iter_bytes(16 * 1024):
        body += chunk
        if len(body) >= BODY_MAX or time.monotonic() > deadline:
            break
    return body[:BODY_MAX]


def _failure(failure: httpx.HTTPError) -> tuple[str, str]:
    """Return our code for what went wrong, and what the certificate's verification said if it is that."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate", _VERIFY_CODES.get(cause.verify_code, "untrusted")
        if isinstance(cause, ssl.SSLError):
            return "tls", ""
        if isinstance(cause, ConnectionRefusedError):
            return "refused", ""
        if isinstance(cause, ConnectionResetError):
            return "reset", ""
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx.TimeoutException):
        return "timeout", ""
    return ("reset" if isinstance(failure, httpx.RemoteProtocolError | httpx.ReadError) else "network"), ""


def _certificate(encoded: bytes, problem: str) -> Certificate:
    try:
        read = x509.load_der_x509_certificate(encoded)
        issuer = read.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) or list(read.issuer)
        try:
            names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
                x509.DNSName
            )
        except x509.ExtensionNotFound:
            names = []
    except ValueError:
        return Certificate(error=problem or "malformed")
    return Certificate(
        error=problem,
        issuer=str(issuer[0].value)[:200] if issuer else "",
        names=tuple(names[:50]),
        not_before=read.not_valid_before_utc.isoformat(),
        not_after=read.not_valid_after_utc.isoformat(),
        fingerprint=read.fingerprint(SHA256()).hex(),
    )


def _accepts(address: str, port: int, host: str, version: ssl.TLSVersion) -> bool | None:
    """Try one version of TLS with a server; None when the question could not be put."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is what is asked
        try:
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        except (ValueError, ssl.SSLError):
            return None
    try:
        with socket.create_connection((address, port), CONNECT) as link:
            link.settimeout(CONNECT)
            with context.wrap_socket(link, server_hostname=host):
                return True
    except ssl.SSLError:
        return False
    except OSError:
        return None
