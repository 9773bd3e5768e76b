"""The very message before it is sent: the decision is made, its notices are read, and all of it is undone.

What was shown is kept with the draft; the decision then goes through only if it queues the same bytes.
"""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from onboarding.intake.desk_models import DecisionDraft
from onboarding.intake.models import Dossier
from onboarding.intake.moves import STREAM
from suite.accounts.models import User
from suite.journal.models import Event
from suite.notices.models import Notice

Letter = dict[str, str]
LARGEST = 20_000  # characters of a draft


class Changed(Exception):
    """The decision would send other words than those shown. `letters` are today's; nothing was done."""

    def __init__(self, letters: list[Letter]) -> None:
        super().__init__()
        self.letters = letters


def rehearse(dossier: Dossier, verb: Callable[[], object]) -> list[Letter]:
    """Return the messages that a decision would queue, and leave nothing of it. Raises what the verb raises."""
    with transaction.atomic():
        before = _last(dossier)
        verb()
        letters = _letters(dossier, before)
        transaction.set_rollback(True)
    return letters


@transaction.atomic
def send(dossier: Dossier, verb: Callable[[], object], shown: list[Letter] | None) -> None:
    """Make the decision if its messages are those shown, byte for byte; None: nothing was shown.

    Raises Changed, or what the verb raises.
    """
    before = _last(dossier)
    verb()
    letters = _letters(dossier, before)
    if letters != shown:
        raise Changed(letters)


def _last(dossier: Dossier) -> int:
    about = Event.objects.filter(stream=STREAM, subject=dossier.pk)
    return int(about.aggregate(last=Max("seq"))["last"] or 0)


def _letters(dossier: Dossier, after: int) -> list[Letter]:
    notices = Notice.objects.filter(event__stream=STREAM, event__subject=dossier.pk, event__seq__gt=after).order_by(
        "event__seq", "kind", "recipient"
    )
    return [
        {
            "kind": notice.kind,
            "recipient": notice.recipient,
            "subject": notice.subject,
            "text": notice.body_text,
            "html": notice.body_html,
        }
        for notice in notices
    ]


# --- Drafts -----------------------------------------------------------------------------------------------------------


def draft_of(user: User, dossier: Dossier, decision: str) -> DecisionDraft | None:
    """Return what the person was writing."""
    return DecisionDraft.objects.filter(user=user, dossier=dossier, decision=decision).first()


def keep(
    user: User, dossier: Dossier, decision: str, fields: dict[str, Any], letters: list[Letter] | None = None
) -> DecisionDraft | None:
    """Keep what was typed, and the messages shown for it; None when it is too long to be a decision."""
    if sum(len(str(value)) for value in fields.values()) > LARGEST:
        return None
    draft, _ = DecisionDraft.objects.update_or_create(
        user=user,
        dossier=dossier,
        decision=decision,
        defaults={
            "fields": fields,
            "letters": letters or [],
            "dossier_version": dossier.version,
            "saved_at": timezone.now(),
        },
    )
    return draft


def forget(user: User, dossier: Dossier) -> None:
    """Drop the drafts of a person on a dossier that is decided."""
    DecisionDraft.objects.filter(user=user, dossier=dossier).delete()
