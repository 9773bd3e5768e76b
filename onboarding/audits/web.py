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
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from onboarding.audits import declared, gathering, smtp, tls
from onboarding.audits.declared import Site
from onboarding.audits.facts import Lookup
from onboarding.audits.fetching import BODY_MAX, CONNECT, READ, Seen, fetch, port_of, usual_port
from onboarding.audits.mail_facts import Policy
from onboarding.audits.resolver import Lookups, Resolver, drive
from onboarding.audits.safety import is_public
from onboarding.audits.web_facts import Certificate, Chain, Hop, WebFacts

WHOLE = 30.0  # seconds: for one site, or for all the mail servers of a domain
HOPS_MAX = 10
SERVERS_MAX = 4
PER_ADDRESS = 2  # requests at a time to one address, whatever sites it serves
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OWN_PORT_FROM = 1024
POLICY_MAX = 64 * 1024


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
        if seen.hop.status != HTTPStatus.OK:
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
        key = (site.scheme, site.host, port_of(site), *urlsplit(site.url)[2:4], verify)
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
        with self._manners.turn(address):
            until = min(time.monotonic() + READ, self.deadline)
            seen = fetch(site, address, self._trust if verify else self._blind, until, wanted)
        error = seen.hop.error
        if error == "timeout" and until == self.deadline:
            error = "out_of_time"  # cut short by our own deadline, a server is not to blame
        took = int((time.monotonic() - started) * 1000)
        return seen._replace(hop=Hop(url[:2000], seen.hop.status, error, address, took))


def _no_address(lookups: list[Lookup]) -> str:
    if any(lookup.outcome == "unknown" for lookup in lookups):
        return "dns_unknown"
    return "dns_nxdomain" if all(lookup.detail == "nxdomain" for lookup in lookups) else "dns_nodata"


def _netloc(site: Site, scheme: str) -> str:
    """Return the host, with the declared port where it is the declared scheme's."""
    return f"{site.host}:{site.port}" if site.port and scheme == site.scheme else site.host


def _port_is_fair(site: Site) -> bool:
    return site.port is None or site.port == usual_port(site.scheme) or site.port >= OWN_PORT_FROM


def _https_port(site: Site) -> int:
    return port_of(site) if site.scheme == "https" else usual_port("https")
