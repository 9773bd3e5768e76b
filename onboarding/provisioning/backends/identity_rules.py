"""What any identity backend checks before it replaces the list of an identity provider (services.md, 4.2)."""

from onboarding.provisioning.errors import Refused

# Where an address may do without https: nothing leaves the machine.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Ending access for more communes than this at once is a decision, never a side effect.
MOST_GONE = 5


def normalized(domain: str) -> str:
    """Return the form in which two names of one domain are equal."""
    return domain.strip().rstrip(".").lower()


def guard(provider: str, live: frozenset[str], wanted: frozenset[str], known: frozenset[str]) -> None:
    """Refuse to replace `live` by `wanted` when a person should look first."""
    strangers = sorted(live - wanted - known)
    if strangers:
        shown = ", ".join(strangers[:3])
        raise Refused(
            "not_ours",
            f"Le fournisseur d’identité {provider} a des domaines que nous n’avons pas rattachés ({shown}) : "
            "une personne doit dire s’ils restent.",
        )
    gone = live - wanted
    if len(gone) > MOST_GONE:
        raise Refused(
            "not_ours",
            f"{len(gone)} domaines seraient détachés d’un coup du fournisseur d’identité {provider} : "
            "une personne doit le confirmer.",
        )
