"""What a collectivité declares to Service-Public: its first e-mail address and its first website, read with care."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from onboarding.audits.facts import organizational_domain

_LOCAL = re.compile(r"[A-Za-z0-9_+'-]+(\.[A-Za-z0-9_+'-]+)*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAIL_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Declaration:
    """The raw values, and who else declares the same domain.

    `site_owner` and `mail_owner` name the EPCI, département or région whose domain it is, empty when it is nobody
    else's. `record` and `imported_at` say where the values come from.
    """

    email: str = ""
    site: str = ""
    site_owner: str = ""
    mail_owner: str = ""
    record: str = ""
    imported_at: str = ""


@dataclass(frozen=True)
class Site:
    """A well-formed web address; `host` in A-form and lower case."""

    url: str
    scheme: str
    host: str
    port: int | None
    internationalised: bool

    @property
    def domain(self) -> str:
        """The host without its `www.`."""
        return self.host.removeprefix("www.")

    @property
    def extension(self) -> str:
        """The last label."""
        return self.host.rpartition(".")[2]

    @property
    def is_registrable(self) -> bool:
        """Whether the host is a registrable domain or its `www.`: only then has it a counterpart (1.7)."""
        return self.domain == organizational_domain(self.domain)


def mail_domain(address: str) -> str | None:
    """Return the domain of a well-formed address, in lower case; None when it is not one."""
    local, at, domain = address.strip().rpartition("@")
    domain = domain.lower()
    labels = domain.split(".")
    if not at or not _LOCAL.fullmatch(local) or len(labels) < 2 or len(domain) > 253:  # noqa: PLR2004 - a dot
        return None
    return domain if all(_MAIL_LABEL.fullmatch(label) for label in labels) else None


def site(address: str) -> Site | None:
    """Return a well-formed http or https address; None for anything else (user info, IP address, no dot)."""
    parts = _split(address.strip())
    if parts is None or parts.scheme not in {"http", "https"} or "@" in parts.netloc or not parts.hostname:
        return None
    host = to_ascii(parts.hostname)
    if host is None or _is_address(parts.hostname):
        return None
    try:
        port = parts.port
    except ValueError:
        return None
    internationalised = any(label.startswith("xn--") for label in host.split("."))
    return Site(parts._replace(fragment="").geturl(), parts.scheme, host, port, internationalised)


def to_ascii(host: str) -> str | None:
    """Return a host name in A-form (UTS 46 as far as Python's codec goes), lower case; None when it is not one."""
    try:
        written = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = written.split(".")
    if len(labels) < 2 or len(written) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - a dot
        return None
    return written


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(re.fullmatch(r"[0-9.]+", host))
    return True
