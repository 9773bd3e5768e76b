"""What changed in a dossier since a person last read it. Reading is noted by a POST, or on acting; never by a GET."""

from typing import NamedTuple

from django.db.models import Max
from django.utils import timezone

from onboarding.intake import contents, reasons
from onboarding.intake.desk_models import ReadMark
from onboarding.intake.history import Entry, history
from onboarding.intake.models import Dossier
from onboarding.intake.moves import STREAM
from suite.accounts.models import User
from suite.journal.models import Event


class News(NamedTuple):
    """The timeline, and what of it is new to a reader; `seq` is the last event shown, `mark` None at first sight."""

    history: list[Entry]
    mark: ReadMark | None
    fresh: list[Entry]
    fields: list[str]
    seq: int


def news(dossier: Dossier, user: User) -> News:
    """Return the timeline of a dossier as somebody of the staff reads it. Three queries."""
    entries = history(dossier, for_staff=True)
    mark = ReadMark.objects.filter(user=user, dossier=dossier).first()
    events = list(
        Event.objects.filter(stream=STREAM, subject=dossier.pk)
        .order_by("seq")
        .values_list("seq", "kind", "actor", "recorded_at", "payload")
    )
    seen = mark.seq if mark else 0
    unread = [row for row in events if row[0] > seen and row[2] != user.pk]
    moments = {at for _, _, _, at, _ in unread}
    touched = {field for _, kind, _, _, payload in unread if kind == "save" for field in payload.get("fields", [])}
    groups = sorted(contents.groups(sorted(touched)) & set(reasons.FIELDS), key=list(reasons.FIELDS).index)
    return News(
        history=entries,
        mark=mark,
        fresh=[entry for entry in entries if entry.at in moments] if mark else [],
        fields=[reasons.FIELDS[group].label for group in groups] if mark else [],
        seq=events[-1][0] if events else 0,
    )


def mark(dossier: Dossier, user: User, seq: int | None = None) -> None:
    """Note that the person has read the dossier up to an event it was shown, or to the last one."""
    about = Event.objects.filter(stream=STREAM, subject=dossier.pk)
    last = int(about.aggregate(last=Max("seq"))["last"] or 0)
    upto = last if seq is None else min(seq, last)
    known, created = ReadMark.objects.get_or_create(user=user, dossier=dossier, defaults={"seq": upto})
    if not created:
        # A tab left open does not take back what another one has shown.
        ReadMark.objects.filter(pk=known.pk, seq__lte=upto).update(seq=upto, read_at=timezone.now())
