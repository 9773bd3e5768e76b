"""What the two sides are told, each notice tied to the event that caused it."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse

from onboarding.intake import acting, reasons
from onboarding.intake.models import Dossier, Remark
from onboarding.intake.presentation import points
from onboarding.intake.request_models import CoAuthor
from onboarding.intake.thread_digests import is_daily
from onboarding.intake.thread_models import Message
from suite.accounts.models import User
from suite.journal.models import Event
from suite.notices.workflow import queue


def received(dossier: Dossier, event: Event) -> None:
    """Acknowledge to the requester, and tell the operator."""
    _tell_requester("dossier_received", dossier, event)
    if dossier.operator:
        _tell("dossier_new", dossier.operator.email, dossier, event, desk=True)


def taken(dossier: Dossier, event: Event) -> None:
    """Tell the requester that somebody reads the dossier."""
    _tell_requester("dossier_taken", dossier, event)


def assigned(dossier: Dossier, event: Event) -> None:
    """Tell the new assignee."""
    if dossier.assignee:
        daily = is_daily(dossier.assignee)
        _tell("dossier_assigned", dossier.assignee.email, dossier, event, desk=True, daily=daily)


def answered(dossier: Dossier, event: Event) -> None:
    """Tell whoever asked for corrections that they came, or the team when that person left."""
    _tell("dossier_answered", _staff_address(dossier), dossier, event, desk=True)


def withdrawn(dossier: Dossier, event: Event) -> None:
    """Tell whoever was reading that there is nothing left to decide."""
    daily = is_daily(dossier.assignee)
    _tell("dossier_withdrawn", _staff_address(dossier), dossier, event, desk=True, daily=daily)


def changes_requested(dossier: Dossier, event: Event, remarks: Sequence[Remark], message: str) -> None:
    """Tell the requester everything to correct, in one notice."""
    told = [
        {
            "label": reasons.label(remark.reason),
            "fields": [
                *(field.label for field, _ in point["fields"]),
                *(f"la boîte « {row} »" for row, _ in point["rows"]),
            ],
            "text": remark.text,
        }
        for remark, point in zip(remarks, points(remarks, dossier), strict=True)
    ]
    _tell_requester("dossier_changes_requested", dossier, event, points=told, message=message)


def approved(dossier: Dossier, event: Event) -> None:
    """Tell the requester that the building has started."""
    domain = dossier.deployment.domain if dossier.deployment else ""
    _tell_requester("dossier_approved", dossier, event, domain=domain)


def rejected(dossier: Dossier, event: Event, codes: Iterable[str], message: str) -> None:
    """Tell the requester the decision, its reasons and what can be done."""
    labels = [reasons.rejection_label(code) for code in codes]
    # Another collectivité's dossier is not named to this one.
    if dossier.duplicate_of and dossier.duplicate_of.organization_id == dossier.organization_id:
        labels.append(f"La demande traitée\u00a0: {dossier.duplicate_of.reference}")
    _tell_requester("dossier_rejected", dossier, event, reasons=labels, message=message)


# --- The thread -------------------------------------------------------------------------------------------------------


def written_to_the_commune(message: Message, event: Event, *, edited: bool) -> None:
    """Give the operator's words to the commune's people, who may answer by mail."""
    dossier = message.dossier
    for address in commune_addresses(dossier):
        _tell(
            "thread_message", address, dossier, event, page="intake:thread", answers=True,
            message=message, edited=edited, files=message.attachments.count(),
        )  # fmt: skip


def written_to_the_operator(message: Message, event: Event, *, edited: bool) -> None:
    """Give the commune's words to whoever instructs, or to the team; nothing of theirs is answered by mail."""
    dossier = message.dossier
    _tell(
        "thread_answer", _staff_address(dossier), dossier, event, page="desk:thread",
        daily=is_daily(dossier.assignee), message=message, edited=edited, files=message.attachments.count(),
    )  # fmt: skip


def mentioned(message: Message, event: Event, people: Iterable[User]) -> None:
    """Tell each person that a note names."""
    for person in people:
        _tell(
            "thread_mention", person.email, message.dossier, event, page="desk:thread",
            daily=is_daily(person), message=message,
        )  # fmt: skip


def not_filed(dossier: Dossier, *, to: str, key: str, why: str) -> None:
    """Tell the author of an answer by mail that it came too late; `key` is the answer's own."""
    url = f"{settings.PUBLIC_BASE_URL}{reverse('intake:thread', args=[dossier.pk])}"
    queue("thread_closed", to=to, key=f"inbound:{key}", context={"dossier": dossier, "url": url, "why": why})


def commune_addresses(dossier: Dossier) -> list[str]:
    """Return where the commune's people read us: the requester, the author, its co-authors, who wrote.

    One empty address when there is none at all: the ledger then keeps that nobody could be told.
    """
    wrote = dossier.messages.filter(side=Message.Side.COMMUNE, author__isnull=False)
    shares = dossier.co_authors.filter(state=CoAuthor.State.ACTIVE)
    known = [
        dossier.requester_email,
        dossier.author.email,
        *wrote.values_list("author__email", flat=True),
        *shares.values_list("user__email", flat=True),
    ]
    if acting.is_assisted(dossier):  # its author is the operator's person
        known.remove(dossier.author.email)
    return list({address.lower(): address for address in known if address}.values()) or [""]


def _staff_address(dossier: Dossier) -> str:
    if dossier.assignee and dossier.assignee.email:
        return dossier.assignee.email
    return dossier.operator.email if dossier.operator else ""


def _tell_requester(kind: str, dossier: Dossier, event: Event, **context: Any) -> None:  # noqa: ANN401 - a template's context
    _tell(kind, dossier.requester_email, dossier, event, **context)


def _tell(  # noqa: PLR0913 - a notice has these facts
    kind: str,
    to: str,
    dossier: Dossier,
    event: Event,
    *,
    desk: bool = False,
    page: str = "",
    daily: bool = False,
    answers: bool = False,
    **context: Any,  # noqa: ANN401 - a template's context
) -> None:
    page = reverse(page or ("desk:detail" if desk else "intake:detail"), args=[dossier.pk])
    queue(
        kind,
        to=to,
        event=event,
        daily=daily,
        answers=answers,
        context={
            "dossier": dossier,
            "url": f"{settings.PUBLIC_BASE_URL}{page}",
            "site_name": settings.SITE_NAME,
            "contact_email": settings.CONTACT_EMAIL,
            **context,
        },
    )
