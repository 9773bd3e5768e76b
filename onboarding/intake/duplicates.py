"""« Doublon de … »: a dossier refused because another stands for the same request. Linked, never merged."""

from django.conf import settings

from onboarding.intake import workflow
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed
from suite.accounts.models import User

NBSP = "\u00a0"


def message(dossier: Dossier, other: Dossier) -> str:
    """Return what the commune is told, to be read over; another commune's dossier is not named to it."""
    if other.organization_id == dossier.organization_id:
        told = f"Cette demande fait double emploi avec la demande {other.reference} de votre collectivité"
        return f"{told}{NBSP}: c’est elle qui est instruite. Vous n’avez rien à refaire."
    return (
        "Cette demande fait double emploi avec une autre, déjà traitée par nos services. "
        f"Pour toute question, écrivez à {settings.CONTACT_EMAIL}."
    )


def close(dossier: Dossier, other: Dossier, *, by: User, version: int, message: str) -> Dossier:
    """Refuse the dossier as the double of another, and link them. Raises what `workflow.reject` raises."""
    if other.pk == dossier.pk or other.status in {Dossier.Status.DRAFT, Dossier.Status.WITHDRAWN}:
        raise GuardFailed([Problem("of", 0, "Désignez une autre demande, transmise et non retirée.")])
    if other.duplicate_of_id:
        raise GuardFailed(
            [Problem("of", 0, f"La demande {other.reference} est elle-même un doublon : désignez l’originale.")]
        )
    return workflow.reject(dossier, ["duplicate"], by=by, version=version, message=message, duplicate_of=other)
