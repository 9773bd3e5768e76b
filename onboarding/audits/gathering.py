"""What is asked of the DNS about a domain, and in which order. It asks nothing itself: whoever runs it does."""

from collections.abc import Iterable

from onboarding.audits import spf
from onboarding.audits.engine import Gatherer, Question
from onboarding.audits.facts import Facts, Lookup, organizational_domain
from onboarding.audits.rules.mail import dmarc_records

# A domain may name as many mail servers as it likes; the first ones say enough.
MAIL_SERVERS_MAX = 10
SPF_ROUNDS_MAX = 12


def mail(domain: str, *, selectors: Iterable[str] = (), beyond: bool = True) -> Gatherer[Facts]:
    """Gather what the rules on mail judge. `selectors` are the DKIM selectors known: none is ever guessed.

    `beyond` asks for what the RPNT does not: MTA-STS, TLS-RPT, DNSSEC.
    """
    selectors = list(selectors)
    above = organizational_domain(domain)
    names = [(domain, "MX"), (domain, "TXT"), (f"_dmarc.{domain}", "TXT")]
    keys = [(f"{selector}._domainkey.{domain}", "TXT") for selector in selectors]
    extra = [(f"_mta-sts.{domain}", "TXT"), (f"_smtp._tls.{domain}", "TXT"), (above, "DS")] if beyond else []
    mx, txt, dmarc, *rest = yield [Question(name, kind) for name, kind in (*names, *keys, *extra)]
    dkim, others = dict(zip(selectors, rest, strict=False)), rest[len(keys) :]
    inherited = None
    wanted = list(_addresses(mx))
    known = {(each.name, each.type): each for each in (mx, txt, *others)}
    if above != domain and not dmarc_records(dmarc):
        wanted.insert(0, (f"_dmarc.{above}", "TXT"))
    if spf.records(txt):
        wanted += spf.walk(domain, known).missing
    for _ in range(SPF_ROUNDS_MAX):
        wanted = [each for each in dict.fromkeys(wanted) if each not in known]
        if not wanted:
            break
        lookups = yield [Question(name, kind) for name, kind in wanted]
        for (name, kind), lookup in zip(wanted, lookups, strict=True):
            known[name, kind] = lookup
            if name == f"_dmarc.{above}":
                inherited = lookup
            else:
                others.append(lookup)
        wanted = spf.walk(domain, known).missing if spf.records(txt) else []
    return Facts(domain, mx, txt, dmarc, inherited, dkim, tuple(others))


def site(host: str) -> Gatherer[tuple[Lookup, ...]]:
    """Gather the addresses of a website, then who may issue its certificates, climbing from the host (RFC 8659)."""
    found = list((yield [Question(host, "A"), Question(host, "AAAA")]))
    above, top = host, organizational_domain(host)
    while True:
        (lookup,) = yield [Question(above, "CAA")]
        found.append(lookup)
        if lookup.values or lookup.outcome == "unknown" or above == top or "." not in above:
            return tuple(found)
        above = above.partition(".")[2]


def _addresses(mx: Lookup) -> Iterable[tuple[str, str]]:
    for value in mx.values[:MAIL_SERVERS_MAX]:
        host = value.split()[-1].rstrip(".")
        if host:
            yield host, "A"
            yield host, "AAAA"
