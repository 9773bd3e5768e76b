"""What an operator checks before deciding, with the evidence found in our own tables."""

from typing import NamedTuple

from django.conf import settings

from onboarding.intake import availability, checks, names
from onboarding.intake.models import Dossier
from suite.accounts.rights import Mandate, mandate
from suite.directory.lookup import verdict_of


class Item(NamedTuple):
    """`result` is "ok", "ko", "unknown" (cannot be told from here) or "manual" (a person must look)."""

    label: str
    result: str
    evidence: str

    @property
    def badge(self) -> str:
        """The DSFR badge's variant."""
        return {"ok": "success", "ko": "error", "unknown": "warning", "manual": "info"}[self.result]

    @property
    def word(self) -> str:
        """The result for a reader."""
        return {"ok": "Conforme", "ko": "À examiner", "unknown": "Inconnu", "manual": "À vérifier par vous"}[
            self.result
        ]


def checklist(dossier: Dossier) -> list[Item]:
    """Return the checks of one dossier, most decisive first. About eight queries."""
    return [
        _eligibility(dossier),
        _active(),
        _mandate(dossier),
        *_name(dossier),
        _allocation(dossier),
        _earlier(dossier),
    ]


def _eligibility(dossier: Dossier) -> Item:
    verdict = verdict_of(dossier.organization)
    result = "ok" if verdict.eligible else "unknown" if verdict.may_request else "ko"
    return Item("Éligibilité", result, verdict.reason)


def _active() -> Item:
    return Item(
        "SIRET actif", "unknown", "Aucun fichier SIRENE n’est importé : l’activité ne peut pas être vérifiée ici."
    )


def _mandate(dossier: Dossier) -> Item:
    if mandate(dossier.author, dossier.organization) >= Mandate.ATTACHED:
        return Item(
            "Habilitation", "ok", f"Le compte de {dossier.author.get_full_name()} est rattaché à la collectivité."
        )
    return Item(
        "Habilitation", "ko", f"Le compte de {dossier.author.get_full_name()} n’est plus rattaché à la collectivité."
    )


def _name(dossier: Dossier) -> list[Item]:
    choice = next((choice for choice in dossier.names.all() if choice.rank == 0 and choice.fqdn), None)
    if choice is None:
        return [Item("Nom de domaine", "ko", "Aucun nom valable n’est demandé.")]
    items = []
    if dossier.family == Dossier.Family.EXISTING:
        items.append(
            Item("Détention du domaine", "manual", f"Demandez la preuve que la commune détient {choice.fqdn}.")
        )
    else:
        told = availability.tells_the_commune(choice.fqdn, availability.labels(dossier.organization))
        kept = names.reserved(choice.fqdn.split(".")[0])
        evidence = (
            f"{choice.fqdn} reprend le nom de la collectivité."
            if told
            else f"{choice.fqdn} ne suffit pas à la reconnaître."
        )
        items.append(Item("Nom reconnaissable", "ok" if told else "ko", evidence))
        if kept:
            items.append(Item("Nom réservé", "ko", kept.reason))
    holders = list(
        availability.holds(choice.fqdn, dossier)
        .select_related("dossier__organization")
        .order_by("dossier__submitted_at")[:5]
    )
    if holders:
        said = " ; ".join(f"{it.dossier.reference}, {it.dossier.organization.name} : {it.fqdn}" for it in holders)
        items.append(Item("Autres demandes du nom", "ko", said))
    else:
        items.append(Item("Autres demandes du nom", "ok", "Aucune autre demande ouverte ne porte sur ce nom."))
    checked = availability.check_name(choice.fqdn, dossier.family, dossier)
    result = {"free": "ok", "taken": "ko", "pending_conflict": "ko"}.get(checked.code, "manual")
    if dossier.status not in Dossier.OPEN and checked.code == "taken":
        return items
    return [*items, Item("Disponibilité", result, checked.note)]


def _allocation(dossier: Dossier) -> Item:
    said = (
        f"{len(dossier.mailboxes.all())} boîtes pour {settings.INTAKE_STANDARD_MAILBOXES} prévues ; "
        f"{dossier.storage_gb} Go pour {settings.INTAKE_STANDARD_STORAGE_GB} prévus."
    )
    if checks.beyond_allocation(dossier):
        return Item("Dotation", "ko", f"{said} Motif donné : {dossier.allocation_reason or 'aucun'}")
    return Item("Dotation", "ok", said)


def _earlier(dossier: Dossier) -> Item:
    others = list(
        Dossier.objects.filter(organization=dossier.organization_id, submitted_at__isnull=False)
        .exclude(pk=dossier.pk)
        .order_by("-submitted_at")[:5]
    )
    if not others:
        return Item("Demandes antérieures", "ok", "Aucune.")
    return Item(
        "Demandes antérieures", "manual", " ; ".join(f"{it.reference} : {it.get_status_display()}" for it in others)
    )
