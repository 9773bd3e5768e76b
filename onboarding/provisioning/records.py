"""Which DNS records a domain needs for its mail: always from what the provider says, never from memory."""

from onboarding.audits.rules import Expected
from onboarding.provisioning.backends.protocols import MailSpec, Record

DMARC = "v=DMARC1; p=reject; adkim=s; aspf=s"


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
    return (*mail_records(domain, spec), Record(f"_dmarc.{domain}", "TXT", (DMARC,)))


def expected_of(spec: MailSpec) -> Expected:
    """Return the same, as the audit's rules want it."""
    return Expected(
        mx=frozenset(f"{preference} {host}".lower() for preference, host in spec.mx),
        spf=spec.spf,
        dkim={spec.dkim_selector: spec.dkim},
    )
