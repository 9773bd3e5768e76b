"""What one line of the table of personal data says, and how its delay is written."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from onboarding.intake.trade import DELAYS

NBSP = "\u00a0"

# How long before its content goes the author of an expired draft is warned.
DRAFT_NOTICE = dt.timedelta(days=7)


def draft_kept() -> dt.timedelta:
    """Return how long an expired draft keeps its content: the lead operators set it."""
    delays = DELAYS.current()
    return dt.timedelta(days=delays.draft_purge - delays.draft_expiry)


class Basis(StrEnum):
    """The ground of article 6 of the RGPD; the value is what the page shows."""

    MISSION = "Mission d’intérêt public (article 6.1.e)"
    CONTRACT = "Exécution de la convention (article 6.1.b)"
    LAW = "Obligation légale de répondre de nos décisions (article 6.1.c)"
    SECURITY = "Intérêt légitime, la sécurité du service (article 6.1.f)"


@dataclass(frozen=True)
class Category:
    """One line of the page. `period` None: what ends it is said in `since`. `by`: the jobs, or the beat's tasks."""

    code: str
    what: str
    why: str
    basis: Basis
    period: dt.timedelta | None
    since: str
    then: str
    fields: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def kept(self) -> str:
        """How long, in words."""
        if self.code == "drafts":  # the one delay that is a setting of the trade
            delays = DELAYS.current()
            return (
                f"{in_words(dt.timedelta(days=delays.draft_purge))} après la dernière modification (expiration à "
                f"{delays.draft_expiry}{NBSP}jours, avertissement {DRAFT_NOTICE.days}{NBSP}jours avant l’effacement)"
            )
        return f"{in_words(self.period)} {self.since}".strip() if self.period is not None else self.since


def in_words(period: dt.timedelta) -> str:
    """Write a delay as a reader counts: years, months, days."""
    days = period.days
    for size, one, many in ((365, "an", "ans"), (30, "mois", "mois"), (1, "jour", "jours")):
        if days >= size and (days % size <= days // size if size > 1 else True):
            count = days // size
            return f"{count}{NBSP}{many if count > 1 else one}"
    return "aussitôt"
