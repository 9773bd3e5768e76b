"""May this name be given now? What an approval asks of a name, and what has it asked again."""

from django.utils import timezone

from onboarding.intake import alternatives, availability, lookups, proofs
from onboarding.intake.checks import SHORTEST_CHECK, Problem
from onboarding.intake.models import Dossier
from onboarding.intake.name_models import NameLookup


def problems(dossier: Dossier, rank: int, check: str) -> list[Problem]:
    """Return what keeps the dossier from being given the name of this rank; `check` is what the operator verified."""
    choice = dossier.names.filter(rank=rank).first()
    if choice is None or not alternatives.accepted(dossier, choice):
        return [Problem("rank", 0, "Choisissez un des noms que la commune accepte.")]
    if said := availability.unavailable([choice.fqdn], dossier.organization).get(choice.fqdn):
        return [Problem("rank", 0, f"{choice.fqdn} : {said}")]
    checked = len(check.strip()) >= SHORTEST_CHECK
    if dossier.family == Dossier.Family.NEW:
        return _registry(choice.fqdn, checked=checked)
    if dossier.family == Dossier.Family.EXISTING and not checked and proofs.proved(dossier, choice.fqdn) is None:
        return [
            Problem(
                "check",
                0,
                "Écrivez comment la commune a prouvé qu’elle détient ce nom, ou attendez que l’enregistrement de "
                "preuve se voie : il est relu en ce moment s’il avait déjà été vu.",
            )
        ]
    return []


def _registry(fqdn: str, *, checked: bool) -> list[Problem]:
    row = NameLookup.objects.filter(pk=fqdn, checked_at__gt=timezone.now() - lookups.FRESH).first()
    if row is not None and row.code == NameLookup.Code.TAKEN:
        said = "est déjà enregistré au registre : demandez à la commune d’en choisir un autre."
        return [Problem("rank", 0, f"{fqdn} {said}")]
    if checked or (row is not None and row.code == NameLookup.Code.FREE):
        return []
    return [
        Problem(
            "check",
            0,
            "Le registre n’a pas confirmé depuis moins d’un jour que ce nom est libre : faites-le vérifier de nouveau, "
            "ou écrivez comment vous avez vérifié que ce nom est libre et que la commune peut le réserver.",
        )
    ]


def evidence(dossier: Dossier, rank: int) -> dict[str, str]:
    """Return what was known of the name when it was given, for the event: no personal text. Five queries at most."""
    choice = dossier.names.filter(rank=rank).exclude(fqdn="").first()
    if choice is None:
        return {}
    known = availability.check_name(choice.fqdn, dossier.family, dossier)
    checked = known.checked_at.isoformat() if known.checked_at else ""
    return {"fqdn": choice.fqdn, "code": known.code, "checked_at": checked}


def refresh(dossier: Dossier) -> bool:
    """Have a worker look again at whatever the decision leans on; say whether anything is being looked at."""
    queued = bool(lookups.ask(lookups.to_look_up(dossier)))
    proof = proofs.of(dossier) if dossier.family == Dossier.Family.EXISTING else None
    return (proofs.check_now(proof) if proof is not None else False) or queued
