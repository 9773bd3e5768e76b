"""The thread of a dossier: « Message à la commune », its answers, and « Note interne », which never leaves.

Messages are events of a stream of their own: what is written about a dossier changes nothing in its state.
"""

import datetime as dt
from collections.abc import Iterable
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from onboarding.intake import notifications, rules, thread_files
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed, Refusal
from onboarding.intake.rules import Capacity
from onboarding.intake.thread_files import Prepared
from onboarding.intake.thread_models import EDITABLE, LONGEST, Mention, Message, MessageVersion, Reading
from suite.accounts.models import User
from suite.directory.folding import words
from suite.journal import workflow as journal
from suite.journal.models import Event
from suite.notices.models import Notice

STREAM = "thread"
S = Dossier.Status
# After a refusal both sides may still write, for as long as it may be contested.
CONTESTABLE = dt.timedelta(days=61)
NBSP = "\u00a0"
LATE = "Ce message ne peut plus être modifié : il date de plus de quinze minutes."


class Closed(Refusal):
    """Nobody writes in this thread any more; it stays readable."""


# --- Who may write ----------------------------------------------------------------------------------------------------


def closed(dossier: Dossier) -> str:
    """Return why nobody writes messages there now, "" when both sides may."""
    if dossier.status in {*Dossier.OPEN, S.APPROVED}:
        return ""
    if dossier.status == S.DRAFT:
        return "Les échanges s’ouvrent dès que la demande est transmise."
    if dossier.status == S.REJECTED and dossier.decided_at and dossier.decided_at > timezone.now() - CONTESTABLE:
        return ""
    return f"Cette demande est close ({dossier.get_status_display().lower()}){NBSP}: ses échanges restent lisibles."


def is_staff(dossier: Dossier, user: User) -> bool:
    """Whether the person writes there for the operator."""
    return Capacity.OPERATOR in rules.capacities(dossier, user)


# --- The verbs --------------------------------------------------------------------------------------------------------


def write(dossier: Dossier, body: str, *, by: User, files: Iterable[Prepared] = (), key: UUID | None = None) -> Message:
    """Send a message to the other side, which is told by mail. The same `key` again is the same message.

    Raises Closed, NotAllowed, or GuardFailed on an empty or too long text.
    """
    if rules.requests(dossier, by):
        side = Message.Side.COMMUNE
    elif is_staff(dossier, by):
        side = Message.Side.OPERATOR
    else:
        raise NotAllowed("Votre rôle permet de lire ces échanges, pas d’y écrire.")
    if why := closed(dossier):
        raise Closed(why)
    draft = Message(
        pk=key or uuid4(),
        dossier=dossier,
        kind=Message.Kind.MESSAGE,
        side=side,
        author=by,
        author_label=by.get_full_name(),
        body=_checked(body),
    )
    return post(draft, files, by=by)


def note(dossier: Dossier, body: str, *, by: User, files: Iterable[Prepared] = (), key: UUID | None = None) -> Message:
    """Write a note for the operators alone; whoever it names with « @Prénom Nom » is told of it."""
    if not is_staff(dossier, by):
        raise NotAllowed("Votre rôle permet de lire les notes, pas d’en écrire.")
    draft = Message(
        pk=key or uuid4(),
        dossier=dossier,
        kind=Message.Kind.NOTE,
        side=Message.Side.OPERATOR,
        author=by,
        author_label=by.get_full_name(),
        body=_checked(body),
    )
    return post(draft, files, by=by)


def post(draft: Message, files: Iterable[Prepared], *, by: User | None) -> Message:
    """Add a message to its thread, with its files, its event and its notices, once."""
    if Message.objects.filter(pk=draft.pk).exists():
        return _again(draft)
    try:
        with transaction.atomic():
            return _post(draft, list(files), by=by)
    except IntegrityError:  # the same form, from another tab, a moment before
        if Message.objects.filter(pk=draft.pk).exists():
            return _again(draft)
        raise


def _post(draft: Message, files: list[Prepared], *, by: User | None) -> Message:
    draft.event = _record(draft, draft.kind, by=by, files=len(files))
    draft.save(force_insert=True)
    thread_files.keep(draft, files)
    _tell(draft, draft.event, edited=False)
    if by is not None:
        mark_read(draft.dossier, by=by)
    return draft


def _again(draft: Message) -> Message:
    """Return what the same form already made; a key that is another’s is refused."""
    known = Message.objects.filter(pk=draft.pk, dossier=draft.dossier, author=draft.author, kind=draft.kind).first()
    if known is None:
        raise NotAllowed("Ce formulaire a déjà servi : rechargez la page.")
    return known


@transaction.atomic
def edit(message: Message, body: str, *, by: User) -> Message:
    """Mend one's own message within its fifteen minutes; what it said is kept, and whoever was told is told again."""
    body = _checked(body)
    if message.author_id != by.pk:
        raise NotAllowed("Seule la personne qui a écrit ce message peut le modifier.")
    if body == message.body:
        return message
    now = timezone.now()
    rows = Message.objects.filter(
        pk=message.pk, author=by, body=message.body, created_at__gt=now - EDITABLE, inbound__isnull=True
    ).update(body=body, edited_at=now)
    fresh = Message.objects.select_related("dossier__operator", "dossier__assignee", "dossier__author").get(
        pk=message.pk
    )
    if not rows:
        late = fresh.created_at <= now - EDITABLE or fresh.inbound is not None
        raise Closed(LATE if late else "Ce message a été modifié dans un autre onglet : rechargez la page.")
    MessageVersion.objects.create(message=fresh, body=message.body, replaced_at=now)
    event = _record(fresh, f"{fresh.kind}_edited", by=by)
    _tell(fresh, event, edited=True)
    return fresh


def mark_read(dossier: Dossier, *, by: User) -> None:
    """Say that the person has read the thread so far."""
    Reading.objects.update_or_create(dossier=dossier, user=by, defaults={"read_at": timezone.now()})


def _checked(body: str) -> str:
    body = "".join(one for one in body.replace("\r\n", "\n") if one in "\n\t" or one.isprintable()).strip()
    if not body:
        raise GuardFailed([Problem("body", 0, "Écrivez votre message.")])
    if len(body) > LONGEST:
        raise GuardFailed([Problem("body", 0, f"Ce message est trop long{NBSP}: {LONGEST} caractères au plus.")])
    return body


def _record(message: Message, kind: str, *, by: User | None, files: int = 0) -> Event:
    payload = {"message": str(message.pk), "side": message.side, "files": files, "by_mail": message.inbound is not None}
    return journal.record(STREAM, message.dossier_id, kind, by=by, payload=payload)


def _tell(message: Message, event: Event, *, edited: bool) -> None:
    if message.kind == Message.Kind.NOTE:
        known = set(message.mentions.values_list("user_id", flat=True))
        named = [user for user in mentioned(message) if user.pk not in known]
        Mention.objects.bulk_create(Mention(message=message, user=user) for user in named)
        notifications.mentioned(message, event, named)
    elif message.side == Message.Side.OPERATOR:
        notifications.written_to_the_commune(message, event, edited=edited)
    else:
        notifications.written_to_the_operator(message, event, edited=edited)


# --- Mentions ---------------------------------------------------------------------------------------------------------


def mentionable(dossier: Dossier) -> QuerySet[User]:
    """Return who may be named in a note: the staff of the dossier's operator and of the national one."""
    return (
        User.objects.filter(is_active=True, operator_roles__active=True)
        .filter(Q(operator_roles__operator=dossier.operator_id) | Q(operator_roles__operator__national=True))
        .distinct()
        .order_by("usual_name", "given_name")
    )


def mentioned(message: Message) -> list[User]:
    """Return whom a note names with « @Prénom Nom »; namesakes are all told, its author never."""
    if "@" not in message.body:
        return []
    # Accents, case and punctuation do not matter; the end of a word does.
    said = f" {' '.join(words(message.body.replace('@', ' atsign ')))} "
    return [
        user
        for user in mentionable(message.dossier)
        if user.pk != message.author_id and f" atsign {' '.join(words(user.get_full_name()))} " in said
    ]


# --- Reading ----------------------------------------------------------------------------------------------------------


def visible(dossier: Dossier, user: User, *, for_staff: bool) -> QuerySet[Message]:
    """Return the thread as one side reads it, oldest first, each message with `unread`."""
    messages = Message.objects.filter(dossier=dossier)
    if not for_staff:
        messages = messages.of_the_commune()
    mine = Message.Side.OPERATOR if for_staff else Message.Side.COMMUNE
    read = Reading.objects.filter(dossier=dossier, user=user, read_at__gte=OuterRef("created_at"))
    unread = ~Exists(read) & ~Q(author=user) & (~Q(side=mine) | Q(kind=Message.Kind.NOTE))
    return messages.annotate(unread=Case(When(unread, then=Value(True)), default=Value(False)))


def in_full(dossier: Dossier, user: User, *, for_staff: bool) -> QuerySet[Message]:
    """Return the thread with all that its page shows. Four queries."""
    return visible(dossier, user, for_staff=for_staff).prefetch_related("attachments", "versions", "event__notices")


def sent(dossier: Dossier, addresses: Iterable[str] | None = None) -> QuerySet[Notice]:
    """Return what was sent about a dossier, newest first, to these addresses or to everybody."""
    found = Notice.objects.filter(event__subject=dossier.pk, event__stream__in=["dossier", STREAM])
    if addresses is not None:
        found = found.filter(recipient__in=[one for one in addresses if one])
    return found.order_by("-created_at")


def ledger(dossier: Dossier, addresses: Iterable[str] | None = None) -> list[Notice]:
    """Return the ledger of a dossier as its pages show it, newest first. One query."""
    return list(sent(dossier, addresses).select_related("gathered_in").defer("body_text", "body_html")[:100])


def unreached(ledger: Iterable[Notice]) -> list[Notice]:
    """Return, of a ledger newest first, the last notice of each address that does not receive what we send."""
    last: dict[str, Notice] = {}
    for notice in ledger:
        if notice.state not in {Notice.State.QUEUED, Notice.State.WITHHELD}:
            last.setdefault(notice.recipient.lower(), notice)
    return [notice for notice in last.values() if notice.state in Notice.UNDELIVERED]
