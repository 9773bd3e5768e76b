"""The journal of a dossier in plain words, for the timeline « Historique »."""

import datetime as dt
from typing import NamedTuple

from django.db import connection

from onboarding.intake import reasons
from onboarding.intake.models import Dossier
from suite.journal.models import Event

_STAFF = frozenset(
    {
        "prepare",
        "take",
        "assign",
        "release",
        "request_changes",
        "approve",
        "reject",
        "desk_reminder",
        "check_overridden",
    }
)
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
    "desk_reminder": "Rappel envoyé à la commune",
    "check_overridden": "Doute écarté dans les vérifications",
}
_FEWEST = 20


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
    entries = []
    for event in Event.objects.about("dossier", dossier.pk).exclude(kind="save"):
        staff = event.kind in _STAFF
        team = dossier.operator.name if dossier.operator else "L’opérateur"
        # What an operator notes to justify an acceptance is for its colleagues.
        private = event.kind in {"approve", "check_overridden"} and not for_staff
        entries.append(
            Entry(
                label=_WORDS.get(event.kind, event.kind),
                who=team if staff and not for_staff else event.text.actor_label or "Le système",
                at=event.recorded_at,
                reasons=[reasons.label(code) for code in event.payload.get("reasons", [])],
                fields=[
                    reasons.FIELDS[field].label for field in event.payload.get("fields", []) if field in reasons.FIELDS
                ],
                comment="" if private else event.text.comment,
            )
        )
    return entries


class Delay(NamedTuple):
    """In how many days half, and nine in ten, of `count` dossiers were decided in the last 90 days."""

    half: int
    most: int
    decided: int


def usual_delay() -> Delay | None:
    """Return the delay to promise nobody but to tell everybody; None under 20 decisions. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*),
                      percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - submitted_at)),
                      percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - submitted_at))
               FROM intake_dossier WHERE decided_at > now() - interval '90 days'"""
        )
        count, half, most = cursor.fetchone()
    if count < _FEWEST:
        return None
    return Delay(_days(half), _days(most), count)


def _days(seconds: float) -> int:
    return max(1, -(-int(seconds) // 86_400))
