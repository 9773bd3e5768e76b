"""Which DNS records a domain needs: what its mail provider says, never from memory, and what protects a zone of ours.

Where nothing must be, the zone says so. No name under the domain receives or sends mail but those it names (RFC 7505, a
null MX, and an empty SPF): a star says it for all the others, since what we publish beside the apex are aliases, which
cannot say anything themselves. A mail protocol that the provider does not offer is denied by a null SRV (RFC 6186).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from onboarding.audits.rules import Expected
from onboarding.provisioning.backends.protocols import MailSpec, Record

DMARC = "v=DMARC1; p=reject; adkim=s; aspf=s"
# The senders' memory of a policy, in seconds: a change is followed by everybody within it (RFC 8461, 3.2).
POLICY_AGE = 604_800
# By label of the provider's host: the service it offers there (RFC 6186, RFC 8314) and its port.
_SERVICES = (
    ("imap", "_imaps._tcp", 993),
    ("smtp", "_submissions._tcp", 465),
    ("autodiscover", "_autodiscover._tcp", 443),
)
_NOT_OFFERED = ("_imap._tcp", "_pop3._tcp", "_pop3s._tcp")


def mail_records(domain: str, spec: MailSpec) -> tuple[Record, ...]:
    """Return what mail needs on any domain; its DMARC policy stays its owner's (rulings, 21)."""
    return (
        Record(domain, "MX", tuple(f"{preference} {host}" for preference, host in spec.mx)),
        Record(domain, "TXT", (f"v=spf1 {spec.spf} -all",)),
        Record(f"{spec.dkim_selector}._domainkey.{domain}", "TXT", (spec.dkim,)),
        *(Record(f"{label}.{domain}", "CNAME", (target,)) for label, target in spec.aliases),
    )


def records_for(domain: str, spec: MailSpec) -> tuple[Record, ...]:
    """Return the records of a zone that is ours: mail, and the refusal of whatever usurps it."""
    return (
        *mail_records(domain, spec),
        Record(f"_dmarc.{domain}", "TXT", (_with_reports(DMARC, settings.DMARC_REPORTS),)),
        *_certificates(domain),
        *_transport(domain, spec),
        *_discovery(domain, spec),
        Record(f"*.{domain}", "MX", ("0 .",)),
        Record(f"*.{domain}", "TXT", ("v=spf1 -all",)),
    )


def mta_sts_policy(spec: MailSpec) -> str:
    """Return the MTA-STS policy (RFC 8461, 3.2): by which servers mail comes, always encrypted."""
    lines = ["version: STSv1", f"mode: {settings.MTA_STS_MODE}"]
    lines += [f"mx: {host.rstrip('.')}" for _, host in sorted(spec.mx)]
    return "".join(f"{line}\r\n" for line in [*lines, f"max_age: {POLICY_AGE}"])


def expected_of(spec: MailSpec) -> Expected:
    """Return the same, as the audit's rules want it."""
    return Expected(
        mx=frozenset(f"{preference} {host}".lower() for preference, host in spec.mx),
        spf=spec.spf,
        dkim={spec.dkim_selector: spec.dkim},
    )


def spec_from(stored: Mapping[str, Any]) -> MailSpec:
    """Return the spec that a mail domain's resource observed, out of its JSON."""
    return MailSpec(
        mx=tuple((preference, host) for preference, host in stored["mx"]),
        spf=stored["spf"],
        dkim_selector=stored["dkim_selector"],
        dkim=stored["dkim"],
        aliases=tuple((label, target) for label, target in stored["aliases"]),
    )


def _certificates(domain: str) -> tuple[Record, ...]:
    """Say who may issue certificates for the domain, and that none is for all names at once."""
    if not settings.CAA_ISSUERS:
        return ()
    issuers = [f'0 issue "{issuer}"' for issuer in settings.CAA_ISSUERS]
    return (Record(domain, "CAA", (*issuers, '0 issuewild ";"')),)


def _transport(domain: str, spec: MailSpec) -> tuple[Record, ...]:
    """Announce that mail comes encrypted, where the policy is, and who is told when it cannot."""
    found = []
    if settings.MAIL_DISCOVERY_HOST:
        version = hashlib.sha256(mta_sts_policy(spec).encode()).hexdigest()[:32]
        found += [
            Record(f"_mta-sts.{domain}", "TXT", (f"v=STSv1; id={version}",)),
            Record(f"mta-sts.{domain}", "CNAME", (f"{settings.MAIL_DISCOVERY_HOST}.",)),
        ]
    if settings.TLS_REPORTS:
        found.append(Record(f"_smtp._tls.{domain}", "TXT", (f"v=TLSRPTv1; rua=mailto:{settings.TLS_REPORTS}",)))
    return tuple(found)


def _discovery(domain: str, spec: MailSpec) -> tuple[Record, ...]:
    """Let mail programs find their servers: the provider's own, or ours for it when it has no page for them."""
    hosts = dict(spec.aliases)
    found = [
        Record(f"{service}.{domain}", "SRV", (f"0 1 {port} {hosts[label]}",))
        for label, service, port in _SERVICES
        if label in hosts
    ]
    if "imap" in hosts:
        found += [Record(f"{service}.{domain}", "SRV", ("0 0 0 .",)) for service in _NOT_OFFERED]
    if settings.MAIL_DISCOVERY_HOST and "autoconfig" not in hosts and {"imap", "smtp"} <= hosts.keys():
        found.append(Record(f"autoconfig.{domain}", "CNAME", (f"{settings.MAIL_DISCOVERY_HOST}.",)))
    return tuple(found)


def _with_reports(policy: str, address: str) -> str:
    return f"{policy}; rua=mailto:{address}" if address else policy
