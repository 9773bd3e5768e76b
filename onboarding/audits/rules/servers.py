"""Where mail servers are (2.8), and beyond the référentiel: B3 to B6, B9, B10."""

from collections.abc import Iterable

from onboarding.audits.facts import Facts, Lookup
from onboarding.audits.lists import Lists
from onboarding.audits.mail_facts import Policy, ServerFacts
from onboarding.audits.rules.finding import Finding, advises, fails, ignores, passes, warns
from onboarding.audits.rules.mail import tags

Known = dict[tuple[str, str], Lookup]


def hosts(facts: Facts) -> list[str]:
    """Return the mail servers of a domain, in order of preference, in lower case."""
    pairs = [value.split() for value in facts.mx.values]
    ranked = sorted((int(pair[0]), pair[-1].lower().rstrip(".")) for pair in pairs if len(pair) == 2)  # noqa: PLR2004 - preference, host
    return list(dict.fromkeys(host for _, host in ranked if host))


def addresses(facts: Facts) -> list[str]:
    """Return the addresses of the mail servers, v4 and v6."""
    known = facts.known()
    return [
        value
        for host in hosts(facts)
        for kind in ("A", "AAAA")
        if (host, kind) in known
        for value in known[host, kind].values
    ]


def location(facts: Facts, servers: ServerFacts, lists: Lists) -> Finding:
    """Judge 2.8: every located address is in the European Union."""
    located = {each: servers.countries.get(each, "") for each in addresses(facts)}
    shown = [f"{address} : {country or '?'}" for address, country in located.items()]
    if not servers.located_on:
        return Finding("2.8", "unknown", "no_base", "Aucune base de localisation récente : nous ne savons pas.")
    outside = sorted({country for country in located.values() if country and country not in lists.eu_countries})
    if outside and set(outside) <= lists.french_outside_eu:
        sentence = "Le serveur de messagerie est en France, mais hors de l’Union européenne."
        return fails("2.8", "french_outside_eu", sentence, shown)
    if outside:
        sentence = f"Un serveur de messagerie est hors de l’Union européenne ({', '.join(outside)})."
        return fails("2.8", "outside_eu", sentence, shown)
    if not any(located.values()):
        return Finding("2.8", "unknown", "not_located", "Les serveurs de messagerie n’ont pas pu être localisés.")
    return passes("2.8", "Les serveurs de messagerie sont dans l’Union européenne.", shown)


def beyond(facts: Facts, servers: ServerFacts | None, site: Iterable[Lookup] = ()) -> dict[str, Finding]:
    """Judge what the référentiel does not ask of mail; `site` are the look-ups of the site's host, for B10."""
    known = facts.known()
    return {
        "B3": _mta_sts(facts, known, servers.policy if servers else None),
        "B4": _tls_rpt(facts, known),
        "B5": _dnssec(facts, known),
        "B9": _starttls(servers.starttls if servers else {}),
        "B10": _ipv6(facts, known, [each for each in site if each.type == "AAAA"]),
    }


def _mta_sts(facts: Facts, known: Known, policy: Policy | None) -> Finding:  # noqa: PLR0911 - one return per way to be wrong
    lookup = known.get((f"_mta-sts.{facts.domain}", "TXT"))
    if lookup is None or lookup.outcome == "unknown":
        return ignores("B3", lookup)
    records = [value for value in lookup.values if value.lower().replace(" ", "").startswith("v=stsv1;")]
    if len(records) != 1:
        sentence = "Le domaine ne publie pas de politique MTA-STS, qui impose le chiffrement à ceux qui lui écrivent."
        return advises("B3", "mta_sts_duplicate" if records else "no_mta_sts", sentence, records)
    if policy is None:
        return Finding("B3", "unknown", "policy_not_read", "La politique MTA-STS n’a pas été lue.", tuple(records))
    shown = (*records, f"mode: {policy.mode}", *policy.mx)
    if policy.error:
        return fails("B3", f"policy_{policy.error}", "La politique MTA-STS annoncée ne peut pas être lue.", shown)
    missed = [host for host in hosts(facts) if not any(_covers(pattern, host) for pattern in policy.mx)]
    if missed and policy.mode == "enforce":
        return fails("B3", "policy_misses_mx", f"La politique MTA-STS oublie un serveur : {missed[0]}.", shown)
    if policy.mode == "enforce":
        return passes("B3", "Ceux qui écrivent au domaine doivent chiffrer (MTA-STS).", shown)
    return warns("B3", "policy_testing", "La politique MTA-STS est en essai : elle n’impose rien encore.", shown)


def _covers(pattern: str, host: str) -> bool:
    """Tell whether a pattern of the policy names a host: a star stands for one label (RFC 8461, 4.1)."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern


def _tls_rpt(facts: Facts, known: Known) -> Finding:
    lookup = known.get((f"_smtp._tls.{facts.domain}", "TXT"))
    if lookup is None or lookup.outcome == "unknown":
        return ignores("B4", lookup)
    records = [value for value in lookup.values if value.lower().replace(" ", "").startswith("v=tlsrptv1;")]
    if len(records) == 1 and tags(records[0]).get("rua"):
        return passes("B4", "Les pannes de chiffrement sont signalées au domaine (TLS-RPT).", records)
    return advises(
        "B4", "no_tls_rpt", "Le domaine ne demande pas qu’on lui signale les pannes de chiffrement.", records
    )


def _dnssec(facts: Facts, known: Known) -> Finding:
    lookup = next((each for (_, kind), each in known.items() if kind == "DS"), None)
    if lookup is None or lookup.outcome == "unknown":
        return ignores("B5", lookup)
    # A resolver that validates answers so to every question below a broken chain; one failure proves nothing.
    if lookup.values and {facts.mx.detail, facts.txt.detail} == {"servfail"}:
        return fails("B5", "dnssec_bogus", "La signature du domaine (DNSSEC) ne se vérifie pas.", lookup)
    if lookup.values:
        return passes("B5", "Le domaine est signé (DNSSEC).", lookup)
    return advises("B5", "no_dnssec", "Le domaine n’est pas signé (DNSSEC).")


def caa(chain: Iterable[Lookup], issuer: str, lists: Lists) -> Finding:
    """Judge B6 on the look-ups made by climbing the tree from the site's host (RFC 8659).

    `issuer` is the organisation that signed the certificate shown, empty when none was seen. Only an authority whose
    names for CAA are known can be found missing.
    """
    for lookup in chain:
        if lookup.outcome == "unknown":
            return ignores("B6", lookup)
        if lookup.values:
            allowed = {_authority(value) for value in lookup.values if _property(value) == "issue"}
            names = lists.caa_names.get(issuer, frozenset())
            if allowed and names and not allowed & names:
                sentence = f"Le certificat du site vient de « {issuer} », que le domaine ne nomme pas (CAA)."
                return warns("B6", "caa_other_issuer", sentence, (*lookup.values, issuer))
            return passes("B6", "Le domaine dit qui peut lui délivrer des certificats (CAA).", lookup)
    return advises("B6", "no_caa", "Le domaine ne dit pas qui peut lui délivrer des certificats (CAA).")


def _property(record: str) -> str:
    """Return the property of a CAA record: `0 issue "ca.example"` gives `issue`."""
    return next(iter(record.split()[1:2]), "").lower()


def _authority(record: str) -> str:
    """Return the authority that a CAA record names, without its parameters; empty when it names none."""
    value = record.split(maxsplit=2)[-1].strip().strip('"')
    return value.partition(";")[0].strip().lower()


def _starttls(seen: dict[str, str | None]) -> Finding:
    shown = [f"{host} : {version or '—'}" for host, version in seen.items()]
    if not seen or all(version is None for version in seen.values()):
        return Finding(
            "B9", "unknown", "not_tested", "Le chiffrement des serveurs de messagerie n’a pas pu être essayé."
        )
    weak = [host for host, version in seen.items() if version is not None and version not in {"TLSv1.2", "TLSv1.3"}]
    if weak:
        sentence = f"Le serveur {weak[0]} ne chiffre pas les courriels qu’il reçoit, ou trop faiblement."
        return warns("B9", "no_starttls", sentence, shown)
    return passes("B9", "Les serveurs de messagerie chiffrent les courriels reçus.", shown)


def _ipv6(facts: Facts, known: Known, site: list[Lookup]) -> Finding:
    """Judge B10: a mail server, and the site where there is one to look at."""
    mail = [known[host, "AAAA"] for host in hosts(facts) if (host, "AAAA") in known]
    found = [value for lookup in (*mail, *site) for value in lookup.values]
    for lookups, reason, sentence in (
        (mail, "no_ipv6", "La messagerie n’est pas joignable en IPv6."),
        (site, "no_ipv6_site", "Le site n’est pas joignable en IPv6."),
    ):
        if any(lookup.values for lookup in lookups) or (lookups is site and not site):
            continue
        if not lookups or any(lookup.outcome == "unknown" for lookup in lookups):
            return ignores("B10", next((lookup for lookup in lookups if lookup.outcome == "unknown"), None))
        return advises("B10", reason, sentence, found)
    where = "La messagerie et le site sont joignables" if site else "La messagerie est joignable"
    return passes("B10", f"{where} en IPv6.", found)
