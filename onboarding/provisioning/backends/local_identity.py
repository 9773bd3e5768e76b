"""The identity providers of the local world: a demonstration's own, where every domain is allowed."""

import sqlite3

from onboarding.provisioning.backends.identity_rules import guard, normalized
from onboarding.provisioning.backends.world import changing, log
from onboarding.provisioning.errors import Refused

# The only one there is from the start.
PROVIDER_OF_THE_DEMONSTRATION = "idp-demo"
_TABLE = "CREATE TABLE IF NOT EXISTS identity_domains (provider TEXT NOT NULL, domain TEXT NOT NULL PRIMARY KEY)"


class LocalIdentity:
    """Keeps the domains of the identity providers in the local world's file."""

    def domains(self, provider: str) -> frozenset[str]:
        """Return the domains attached."""
        with changing() as world:
            return self._domains(world, provider)

    def ensure_domains(self, provider: str, wanted: frozenset[str], *, known: frozenset[str]) -> None:
        """Attach exactly these, in one transaction: two workers never undo each other."""
        wanted, known = frozenset(map(normalized, wanted)), frozenset(map(normalized, known))
        with changing() as world:
            live = self._domains(world, provider)
            if live == wanted:
                return
            guard(provider, live, wanted, known)
            world.execute("DELETE FROM identity_domains WHERE provider = ?", (provider,))
            for domain in sorted(wanted):
                held = world.execute("SELECT provider FROM identity_domains WHERE domain = ?", (domain,)).fetchone()
                if held is not None:
                    raise Refused("conflict", f"Le domaine {domain} est déjà rattaché à un autre fournisseur.")
                world.execute("INSERT INTO identity_domains (provider, domain) VALUES (?, ?)", (provider, domain))
            for domain in sorted(wanted - live):
                log(world, "identity_domain", domain)

    @staticmethod
    def _domains(world: sqlite3.Connection, provider: str) -> frozenset[str]:
        world.execute(_TABLE)
        if provider != PROVIDER_OF_THE_DEMONSTRATION:
            raise Refused("unknown_provider", f"Le fournisseur d’identité {provider} n’existe pas.")
        rows = world.execute("SELECT domain FROM identity_domains WHERE provider = ?", (provider,))
        return frozenset(row["domain"] for row in rows)
