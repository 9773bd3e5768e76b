"""Answers that came by mail: from the row that waits to a message of the commune in its thread."""

import logging
from uuid import UUID

from django.db import transaction

from onboarding.intake import notifications, thread, thread_files
from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import LONGEST, Message
from suite.accounts.models import User
from suite.notices import inbound, reading
from suite.notices.addresses import message_domain
from suite.notices.inbound_models import Inbound

logger = logging.getLogger(__name__)

CUT = "\n\n[Message trop long : la suite est dans le texte d’origine.]"


def file_answers() -> None:
    """Put each answer that waits in its thread; one that cannot be read does not hold the others back."""
    for message in Inbound.objects.answers().defer("sealed")[: inbound.BATCH]:
        if inbound.claim(message):
            with transaction.atomic():
                file_one(Inbound.objects.select_related("notice__event").get(pk=message.pk))


def file_one(message: Inbound) -> None:
    """Add one answer to the thread of the dossier that its notice was about, or say why not."""
    notice, raw = message.notice, inbound.raw_of(message)
    facts = reading.read(raw, ours=message_domain()) if raw is not None else None
    dossier = _dossier(notice.event.subject) if notice.event else None
    if facts is None or dossier is None:
        inbound.finish(message, Inbound.State.REFUSED, inbound.UNREADABLE)
        return
    if why := thread.closed(dossier):
        inbound.finish(message, Inbound.State.REFUSED, why)
        notifications.not_filed(dossier, to=notice.recipient, key=str(message.pk), why=why)
        return
    if facts.message_id and Message.objects.filter(dossier=dossier, mail_id=facts.message_id).exists():
        inbound.finish(message, Inbound.State.DONE, "Déjà reçu.")
        return
    body = reading.trim(facts.text) or "[Message sans texte.]"
    if len(body) > LONGEST:
        body = body[: LONGEST - len(CUT)] + CUT
    author = _author(dossier, notice.recipient)
    draft = Message(
        dossier=dossier,
        kind=Message.Kind.MESSAGE,
        side=Message.Side.COMMUNE,
        author=author,
        author_label=author.get_full_name() if author else notice.recipient,
        body=body,
        original=facts.text if facts.text != body else "",
        inbound=message.pk,
        mail_id=facts.message_id,
    )
    files = [thread_files.prepare(file.name, file.content) for file in facts.files[: thread_files.MOST]]
    thread.post(draft, files, by=author)
    inbound.finish(message, Inbound.State.DONE, "")


def _dossier(pk: UUID) -> Dossier | None:
    return Dossier.objects.select_related("organization", "operator", "assignee", "author").filter(pk=pk).first()


def _author(dossier: Dossier, address: str) -> User | None:
    """Return whose address it is on the commune's side, None when the site knows no such account."""
    if dossier.author.email.lower() == address.lower():
        return dossier.author
    wrote = dossier.messages.filter(side=Message.Side.COMMUNE, author__email__iexact=address).first()
    if wrote is not None:
        return wrote.author
    member = dossier.organization.memberships.filter(user__email__iexact=address, state__in=["pending", "active"])
    found = member.select_related("user").first()
    return found.user if found else None


def refused(dossier: Dossier) -> list[Inbound]:
    """Return the answers to this dossier's messages that were put aside, newest first. One query."""
    return list(
        Inbound.objects.defer("sealed")
        .filter(notice__event__stream=thread.STREAM, notice__event__subject=dossier.pk, state=Inbound.State.REFUSED)
        .order_by("-received_at")[:10]
    )
