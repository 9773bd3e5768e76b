"""The lists that the référentiel leans on, versioned in `data/lists.json`. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).parent / "data" / "lists.json"


@dataclass(frozen=True)
class Lists:
    """Extensions and domains in lower case, without a leading dot; countries by their ISO codes."""

    version: str
    sovereign_extensions: frozenset[str]
    generic_mail_domains: frozenset[str]
    shared_platforms: frozenset[str]
    redirect_allowed: frozenset[str]
    eu_countries: frozenset[str]
    french_outside_eu: frozenset[str]
    # From the organisation in a certificate's issuer to the names it answers to in CAA records.
    caa_names: Mapping[str, frozenset[str]]

    def is_platform(self, host: str) -> str:
        """Return the shared platform that a host belongs to, empty when none."""
        return next((parent for parent in _parents(host) if parent in self.shared_platforms), "")

    def is_shared(self, domain: str) -> bool:
        """Whether what lies below this name belongs to somebody else at each label: a provider's, or a platform's."""
        return domain in self.generic_mail_domains or bool(self.is_platform(domain))

    def may_redirect_to(self, host: str) -> bool:
        """Whether a site may pass through this host on its way (1.6)."""
        return any(parent in self.redirect_allowed for parent in _parents(host))


@cache
def shipped() -> Lists:
    """Return the lists of the checkout."""
    read = json.loads(SHIPPED.read_text())
    version = read.pop("version")
    read.pop("source")
    authorities = {issuer: frozenset(names) for issuer, names in read.pop("caa_names").items()}
    return Lists(version, **{key: frozenset(values) for key, values in read.items()}, caa_names=authorities)


def _parents(host: str) -> list[str]:
    labels = host.lower().rstrip(".").split(".")
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]
