"""What the requester is told of its dossier: whose turn it is, what comes next, whom to ask, how to appeal."""

import calendar
import datetime as dt
from typing import NamedTuple

from django.utils import timezone

from onboarding.intake.history import reasons_of
from onboarding.intake.models import Dossier
from suite.journal.models import Event

S = Dossier.Status
YOURS, OURS, NOBODYS = "C’est à vous d’agir", "Nous instruisons votre demande", "Cette demande est close"
APPEAL_MONTHS = 2
_BANDS = (
    (5, "parmi les cinq prochaines"),
    (20, "entre la sixième et la vingtième place"),
    (100, "au-delà de la vingtième place"),
)


class Standing(NamedTuple):
    """Whose turn it is, and what happens next, in plain words."""

    turn: str
    now: str
    next: str


def standing(dossier: Dossier) -> Standing:  # noqa: PLR0911 - one answer per state
    """Return where the dossier stands, for the commune."""
    operator = dossier.operator.name_with_article if dossier.operator else "l’opérateur"
    match dossier.status:
        case S.DRAFT:
            return Standing(
                YOURS,
                "Ce brouillon n’est pas transmis : personne ne l’instruit encore.",
                "Complétez les cinq étapes, puis transmettez-le.",
            )
        case S.NEEDS_CHANGES:
            return Standing(
                YOURS,
                "Des points sont à corriger.",
                "Corrigez-les, ou expliquez pourquoi vous maintenez votre réponse, puis transmettez à nouveau.",
            )
        case S.SUBMITTED:
            return Standing(
                OURS,
                f"Elle est arrivée chez {operator} et attend d’être lue.",
                "Une personne va la prendre en charge ; vous en serez informé par courriel.",
            )
        case S.IN_REVIEW:
            return Standing(
                OURS,
                f"L’équipe de {operator} la lit.",
                "Elle vous demandera des corrections, acceptera ou refusera ; vous le saurez par courriel.",
            )
        case S.SECOND_APPROVAL:
            return Standing(
                OURS, "Une seconde personne doit confirmer la décision.", "Vous aurez la réponse par courriel."
            )
        case S.APPROVED:
            return Standing("Votre demande est acceptée", "La mise en service a commencé.", "Elle se suit ci-dessous.")
        case S.REJECTED:
            return Standing(
                "Votre demande est refusée",
                "Les motifs sont ci-dessous.",
                "Vous pouvez faire une nouvelle demande, ou contester cette décision.",
            )
        case S.EXPIRED:
            return Standing(
                NOBODYS, "Elle est restée sans réponse trop longtemps.", "Vous pouvez en faire une nouvelle."
            )
        case S.REVOKED:
            return Standing(NOBODYS, "L’acceptation a été annulée.", "Écrivez-nous pour en connaître les suites.")
        case _:
            return Standing(NOBODYS, "Elle a été retirée.", "Vous pouvez en faire une nouvelle.")


def place_in_queue(dossier: Dossier) -> str:
    """Return about where the dossier is among those its operator has not taken, "" when it is not. One query."""
    if dossier.status != S.SUBMITTED or dossier.submitted_at is None:
        return ""
    before = Dossier.objects.filter(
        status=S.SUBMITTED, operator=dossier.operator_id, submitted_at__lt=dossier.submitted_at
    )
    ahead = before[: _BANDS[-1][0]].count()
    return next((words for most, words in _BANDS if ahead < most), "au-delà de la centième place")


def contact(dossier: Dossier) -> tuple[str, str]:
    """Return whom to ask about the dossier, and where: a person while somebody instructs it, a team otherwise."""
    if dossier.operator is None:
        return "", ""
    person = dossier.assignee if dossier.status in {S.IN_REVIEW, S.SECOND_APPROVAL, S.NEEDS_CHANGES} else None
    team = dossier.operator.name
    return (f"{person.get_full_name()}, {team}" if person else team), dossier.operator.email


def appeal_until(dossier: Dossier) -> dt.date | None:
    """Return the last day on which a refusal may be contested: two months after the decision."""
    if dossier.status != S.REJECTED or dossier.decided_at is None:
        return None
    day = timezone.localdate(dossier.decided_at)
    year, month = divmod(day.month - 1 + APPEAL_MONTHS, 12)
    year, month = day.year + year, month + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


class Refusal(NamedTuple):
    """Why the dossier was refused."""

    reasons: list[str]
    comment: str


def refusal_of(dossier: Dossier) -> Refusal | None:
    """Return the reasons and the words of the refusal. One query, for a refused dossier."""
    if dossier.status != S.REJECTED:
        return None
    event = Event.objects.about("dossier", dossier.pk).filter(kind="reject").last()
    if event is None:
        return None
    return Refusal(reasons_of(event), event.text.comment)
