"""The journal of a dossier in plain words, for the timeline « Historique »."""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from onboarding.intake import reasons
from onboarding.intake.models import Dossier
from suite.journal.models import Event

_STAFF = frozenset({
    *("prepare", "take", "assign", "release", "request_changes", "propose_approval", "approve", "reject", "reopen"),
    *("propose_revocation", "revoke", "name_question", "desk_reminder", "check_overridden"),
})  # fmt: skip
# What the team settles among itself, or with the clock.
_INTERNAL = frozenset({"late", "propose_revocation"})
# What an operator writes there is for its colleagues.
_PRIVATE = frozenset({"approve", "check_overridden", "propose_approval", "reopen"})
_WORDS = {
    "create": "Brouillon créé",
    "prepare": "Demande préparée par un opérateur, pour la collectivité",
    "take_over": "Demande reprise par une personne de la collectivité",
    "submit": "Demande transmise",
    "resubmit": "Corrections transmises",
    "withdraw": "Demande retirée",
    "take": "Instruction commencée",
    "assign": "Demande confiée à une autre personne de l’équipe",
    "release": "Demande remise en attente",
    "request_changes": "Corrections demandées",
    "approve": "Demande acceptée",
    "reject": "Demande refusée",
    "propose_approval": "Seconde validation demandée",
    "lapse": "Proposition devenue caduque",
    "reopen": "Demande rouverte",
    "expire": "Demande expirée, faute de réponse",
    "propose_revocation": "Annulation proposée",
    "revoke": "Acceptation annulée",
    "remind": "Rappel envoyé",
    "late": "Échéance dépassée",
    "proof_started": "Preuve de détention du domaine commencée",
    "domain_proved": "Détention du domaine prouvée",
    "proof_lost": "L’enregistrement de preuve ne se voit plus",
    "name_taken": "Le nom souhaité a été donné à une autre demande",
    "name_question": "Un nom de remplacement est proposé à la collectivité",
    "name_answered": "La collectivité a répondu sur le nom de remplacement",
    "desk_reminder": "Rappel envoyé à la commune",
    "check_overridden": "Doute écarté dans les vérifications",
}


class Entry(NamedTuple):
    """One line of the timeline; `who` is a team for the commune, a person for the operators."""

    label: str
    who: str
    at: dt.datetime
    reasons: list[str]
    fields: list[str]
    comment: str


def history(dossier: Dossier, *, for_staff: bool) -> list[Entry]:
    """Return what happened, oldest first; saved steps are not told one by one. One query."""
    return told(dossier, Event.objects.about("dossier", dossier.pk).exclude(kind="save"), for_staff=for_staff)


def told(dossier: Dossier, events: Iterable[Event], *, for_staff: bool) -> list[Entry]:
    """Return events of a dossier in plain words, those that this reader is not told left out."""
    entries = []
    for event in events:
        if event.kind == "save" or (event.kind in _INTERNAL and not for_staff):
            continue
        staff = event.kind in _STAFF
        team = dossier.operator.name if dossier.operator else "L’opérateur"
        private = event.kind in _PRIVATE and not for_staff
        entries.append(
            Entry(
                label=_WORDS.get(event.kind, event.kind),
                who=team if staff and not for_staff else event.text.actor_label or "Le système",
                at=event.recorded_at,
                reasons=reasons_of(event),
                fields=[
                    reasons.FIELDS[field].label for field in event.payload.get("fields", []) if field in reasons.FIELDS
                ],
                comment="" if private else event.text.comment,
            )
        )
    return entries


def reasons_of(event: Event) -> list[str]:
    """Return the words of an event's reasons; « other » is a code of both lists, and says another thing in each."""
    words = reasons.rejection_label if event.kind == "reject" else reasons.label
    return [words(code) for code in event.payload.get("reasons", [])]
