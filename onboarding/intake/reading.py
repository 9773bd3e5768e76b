"""What changed in a dossier since a person last read it. Reading is noted by a POST, or on acting; never by a GET."""

from typing import NamedTuple
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from onboarding.intake import contents, reasons
from onboarding.intake.desk_models import ReadMark
from onboarding.intake.history import Entry, told
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
    """Return the timeline of a dossier as somebody of the staff reads it. One query, two without `beside`."""
    events = list(Event.objects.about(STREAM, dossier.pk))
    entries = told(dossier, events, for_staff=True)
    mark = _mark(dossier, user)
    seen = mark.seq if mark else 0
    unread = [event for event in events if event.seq > seen and event.actor != user.pk]
    moments = {event.recorded_at for event in unread}
    touched = {field for event in unread if event.kind == "save" for field in event.payload.get("fields", [])}
    groups = sorted(contents.groups(sorted(touched)) & set(reasons.FIELDS), key=list(reasons.FIELDS).index)
    return News(
        history=entries,
        mark=mark,
        fresh=[entry for entry in entries if entry.at in moments] if mark else [],
        fields=[reasons.FIELDS[group].label for group in groups] if mark else [],
        seq=events[-1].seq if events else 0,
    )


def _mark(dossier: Dossier, user: User) -> ReadMark | None:
    known: dict[UUID, ReadMark | None] = dossier.__dict__.get("_marks", {})
    if user.pk in known:
        return known[user.pk]
    return ReadMark.objects.filter(user=user, dossier=dossier).first()


def mark(dossier: Dossier, user: User, seq: int | None = None) -> None:
    """Note that the person has read the dossier up to an event it was shown, or to the last one."""
    about = Event.objects.filter(stream=STREAM, subject=dossier.pk)
    last = int(about.aggregate(last=Max("seq"))["last"] or 0)
    upto = last if seq is None else min(seq, last)
    known, created = ReadMark.objects.get_or_create(user=user, dossier=dossier, defaults={"seq": upto})
    if not created:
        # A tab left open does not take back what another one has shown.
        ReadMark.objects.filter(pk=known.pk, seq__lte=upto).update(seq=upto, read_at=timezone.now())
