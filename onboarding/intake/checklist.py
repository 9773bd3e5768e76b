"""What an operator checks before deciding, with the evidence found in our own tables."""

from typing import NamedTuple

from django.db.models import OuterRef, Q, Subquery

from onboarding.intake import acting, availability, checks, names
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.trade import ALLOCATION
from suite.accounts.mandates import missing
from suite.directory.lookup import verdict_of

NBSP = "\u00a0"


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
    """Return the checks of one dossier, most decisive first. Five queries."""
    near = _near(dossier)
    return [
        _eligibility(dossier),
        _active(),
        _mandate(dossier),
        *_name(dossier, near),
        _allocation(dossier),
        _earlier([other for other in near if other.organization_id == dossier.organization_id]),
    ]


def _near(dossier: Dossier) -> list[Dossier]:
    """Return the other dossiers of the organization, and those of others that wish its name or one too like it."""
    wish = NameChoice.objects.filter(dossier=OuterRef("pk"), rank=0)
    held = Q()
    for choice in dossier.names.all():
        if choice.rank == 0 and choice.fqdn:
            held = Q(pk__in=availability.holds(choice.fqdn, dossier).values("dossier"))
    same = Q(organization=dossier.organization_id, submitted_at__isnull=False)
    return list(
        Dossier.objects.filter(same | held if held else same)
        .exclude(pk=dossier.pk)
        .select_related("organization")
        .annotate(wish=Subquery(wish.values("fqdn")[:1]))
        .order_by("-submitted_at")[:20]
    )


def _eligibility(dossier: Dossier) -> Item:
    verdict = verdict_of(dossier.organization)
    result = "ok" if verdict.eligible else "unknown" if verdict.may_request else "ko"
    return Item("Éligibilité", result, verdict.reason)


def _active() -> Item:
    return Item(
        "SIRET actif", "unknown", "Aucun fichier SIRENE n’est importé : l’activité ne peut pas être vérifiée ici."
    )


def _mandate(dossier: Dossier) -> Item:
    level, act = acting.mandate_of(dossier), acting.approval(dossier)
    if not level and acting.is_frozen(dossier):
        return Item("Habilitation", "ko", "La mairie conteste cette demande : examinez d’abord son objection.")
    who = "la mairie, pour qui un opérateur a préparé la demande" if acting.is_assisted(dossier) else ""
    said = f"Niveau {level.code} ({level.label}) pour {who or dossier.author.get_full_name()}."
    if not missing(act, level):
        return Item("Habilitation", "ok", said)
    if not missing(act, level, checked=True):
        return Item("Habilitation", "manual", f"{said} Dites en acceptant ce que vous avez vérifié.")
    return Item("Habilitation", "ko", missing(act, level))


def _name(dossier: Dossier, near: list[Dossier]) -> list[Item]:
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
        said = "reprend le nom de la collectivité." if told else "ne suffit pas à la reconnaître."
        items.append(Item("Nom reconnaissable", "ok" if told else "ko", f"{choice.fqdn} {said}"))
        if kept := names.reserved(choice.fqdn.split(".")[0]):
            items.append(Item("Nom réservé", "ko", kept.reason))
    holders = [other for other in near if other.organization_id != dossier.organization_id]
    if holders:
        told_apart = (f"{it.reference}, {it.organization.name}{NBSP}: {getattr(it, 'wish', '')}" for it in holders)
        items.append(Item("Autres demandes du nom", "ko", f"{NBSP}; ".join(told_apart)))
    else:
        items.append(Item("Autres demandes du nom", "ok", "Aucune autre demande ouverte ne porte sur ce nom."))
    known = availability.known(dossier)[choice.fqdn]
    result = {"free": "ok", "taken": "ko"}.get(known.code, "manual")
    return [*items, Item("Disponibilité", result, known.note)]


def _allocation(dossier: Dossier) -> Item:
    said = (
        f"{len(dossier.mailboxes.all())} boîtes pour {ALLOCATION.current().mailboxes} prévues ; "
        f"{dossier.storage_gb} Go pour {ALLOCATION.current().storage_gb} prévus."
    )
    if checks.beyond_allocation(dossier):
        return Item("Dotation", "ko", f"{said} Motif donné : {dossier.allocation_reason or 'aucun'}")
    return Item("Dotation", "ok", said)


def _earlier(others: list[Dossier]) -> Item:
    if not others:
        return Item("Demandes antérieures", "ok", "Aucune.")
    said = (f"{it.reference}{NBSP}: {it.get_status_display()}" for it in others)
    return Item("Demandes antérieures", "manual", f"{NBSP}; ".join(said))
