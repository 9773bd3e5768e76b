"""The golden table: collectivités with what was seen of them, and the verdicts that it deserves.

A row of the `.toml` files is a healthy collectivité but for what it says. Its keys:

- `domain`, that of the mail and, without a declared `site`, of `https://<domain>/`; `why`, the reason of its verdicts;
- `email`, `site`, `site_owner`, `mail_owner`: what is declared;
- `zone`: « name type » to a list of records, or to why there is none (nxdomain; timeout, servfail, refused: nobody
  knows). A name is relative to the mail domain, a type alone is the domain's own, `$` in a record is the domain;
- `zone_of`, the domain of the mail when the address is under another one;
- `web`: the chains (`declared`, `http`, `https`, `other_http`, `other_https`, `unverified`), each a series of
  « address status-or-error » joined by « > », `$` being the host without www; `empty`, `hsts`, `tls`, `certificate`,
  `caa`, `AAAA`; or "none" when nobody looked;
- `countries` of the addresses of mail servers (all of them, or by address), `located_on`, `starttls`, `policy`;
- `expect`: « state » or « state reason » by criterion or group.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onboarding.audits import declared
from onboarding.audits.declared import Declaration
from onboarding.audits.facts import Lookup
from onboarding.audits.gathering import mail
from onboarding.audits.mail_facts import Policy, ServerFacts
from onboarding.audits.resolver import drive
from onboarding.audits.rules import servers
from onboarding.audits.rules.report import Case
from onboarding.audits.web_facts import Certificate, Chain, Hop, WebFacts

HERE = Path(__file__).parent
CHECKED_AT = "2026-11-24T00:00:00+00:00"
RECORDS = {
    "MX": ["10 mx1.poste-territoriale.fr."],
    "TXT": ["v=spf1 include:_spf.poste-territoriale.fr -all"],
    "_dmarc TXT": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@poste-territoriale.fr"],
    "_spf.poste-territoriale.fr. TXT": ["v=spf1 ip4:192.0.2.0/24 -all"],
    "mx1.poste-territoriale.fr. A": ["192.0.2.25"],
    "mx1.poste-territoriale.fr. AAAA": ["2001:db8::25"],
}
CERTIFICATE = {
    "issuer": "Let's Encrypt",
    "not_before": "2026-10-20T00:00:00+00:00",
    "not_after": "2027-01-18T00:00:00+00:00",
}
VERSIONS = {"1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3"}


@dataclass(frozen=True)
class Row:
    """One collectivité of the table."""

    domain: str
    why: str
    expect: dict[str, str]
    file: str = ""
    email: str | None = None
    site: str | None = None
    site_owner: str = ""
    mail_owner: str = ""
    zone: dict[str, list[str] | str] = field(default_factory=dict)
    zone_of: str = ""
    web: dict[str, Any] | str = field(default_factory=dict)
    mail: str = ""
    servers: str = ""
    countries: dict[str, str] | str = "FR"
    located_on: str = "2026-11-01"
    starttls: dict[str, str] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def declaration(self) -> Declaration:
        return Declaration(
            email=f"mairie@{self.domain}" if self.email is None else self.email,
            site=f"https://{self.domain}/" if self.site is None else self.site,
            site_owner=self.site_owner,
            mail_owner=self.mail_owner,
        )

    def records(self) -> dict[tuple[str, str], list[str] | str]:
        """Return the zone by (name, type): records, or why there is none."""
        origin, found = self.zone_of or self.domain, {}
        for key, values in {**RECORDS, **self.zone}.items():
            name, _, kind = key.rpartition(" ")
            absolute = name.rstrip(".") if name.endswith(".") else ".".join(filter(None, (name, origin)))
            found[absolute, kind] = (
                values if isinstance(values, str) else [each.replace("$", origin) for each in values]
            )
        return found

    def case(self) -> Case:
        """Return what was gathered, as the rules take it."""
        zone = Zone(self.records())
        domain = declared.mail_domain(self.declaration.email)
        seen = drive(mail(domain), zone) if domain and self.mail != "none" else None
        around = None
        if seen is not None and self.servers != "none":
            around = ServerFacts(
                {address: self._country(address) for address in servers.addresses(seen)},
                self.located_on,
                {host: None if version == "none" else version for host, version in self.starttls.items()},
                Policy(**{**self.policy, "mx": tuple(self.policy.get("mx", ()))}) if self.policy else None,
            )
        return Case(self.declaration, seen, self._web(), around)

    def _country(self, address: str) -> str:
        return self.countries if isinstance(self.countries, str) else self.countries.get(address, "FR")

    def _web(self) -> WebFacts | None:
        site = declared.site(self.declaration.site)
        if site is None or isinstance(self.web, str):
            return None
        end = f"https://{site.host}/"
        other = site.domain if site.host.startswith("www.") else f"www.{site.domain}"
        said: dict[str, Any] = {
            "declared": f"{site.url} 200" if site.scheme == "https" else f"{site.url} 301 > {end} 200",
            "http": f"http://{site.host}/ 301 > {end} 200",
            "https": f"{end} 200",
            "other_http": f"http://{other}/ 301 > {end} 200" if site.is_registrable else "none",
            "other_https": f"https://{other}/ 301 > {end} 200" if site.is_registrable else "none",
            "unverified": "none",
            "certificate": {},
            "tls": "1.2 1.3",
            "caa": [],
            "AAAA": ["2001:db8::80"],
            **self.web,
        }
        chains = {
            key: _chain(said[key].replace("$", site.domain), empty=said.get("empty", False), hsts=said.get("hsts", ""))
            for key in ("declared", "http", "https", "other_http", "other_https", "unverified")
        }
        shown = said["certificate"]
        opening = chains["declared"]
        assert opening is not None
        return WebFacts(
            declared=opening,
            from_http=chains["http"],
            from_https=chains["https"],
            other_http=chains["other_http"],
            other_https=chains["other_https"],
            unverified=chains["unverified"],
            certificate=None if shown == "none" else Certificate(**{**CERTIFICATE, "names": (site.host,), **shown}),
            tls={} if said["tls"] == "none" else {name: at in said["tls"].split() for at, name in VERSIONS.items()},
            names=(_lookup(site.host, "AAAA", said["AAAA"]), _lookup(site.host, "CAA", said["caa"])),
            checked_at=CHECKED_AT,
        )


class Zone:
    """A DNS made of the records of a row: what it does not hold does not exist."""

    def __init__(self, records: dict[tuple[str, str], list[str] | str]) -> None:
        self._records = {(name.lower(), kind): values for (name, kind), values in records.items()}
        self._names = {name for (name, _), values in self._records.items() if values != "nxdomain"}

    def lookup(self, name: str, kind: str) -> Lookup:
        found = self._records.get((name.lower(), kind))
        if found is None:
            found = [] if name.lower() in self._names else "nxdomain"
        return _lookup(name, kind, found)


def _lookup(name: str, kind: str, found: list[str] | str) -> Lookup:
    if found == "nxdomain":
        return Lookup(name, kind, "none", detail="nxdomain")
    if isinstance(found, str):
        return Lookup(name, kind, "unknown", detail=found)
    if not found:
        return Lookup(name, kind, "none", detail="nodata")
    return Lookup(name, kind, "answer", tuple(each if kind == "TXT" else each.lower() for each in found))


def _chain(written: str, *, empty: bool, hsts: str) -> Chain | None:
    if written == "none":
        return None
    hops = []
    for step in written.split(" > "):
        url, end = step.rsplit(" ", 1)
        hops.append(Hop(url, int(end)) if end.isdigit() else Hop(url, error=end))
    return Chain(tuple(hops), empty=empty, hsts=hsts)


def rows() -> list[Row]:
    """Read the whole table, in order."""
    return [
        Row(**case, file=path.stem)
        for path in sorted(HERE.glob("*.toml"))
        for case in tomllib.loads(path.read_text())["case"]
    ]
