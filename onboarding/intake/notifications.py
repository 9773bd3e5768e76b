"""What the two sides are told, each notice tied to the event that caused it."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.urls import reverse

from onboarding.intake import reasons
from onboarding.intake.models import Dossier, Remark
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
        _tell("dossier_assigned", dossier.assignee.email, dossier, event, desk=True)


def answered(dossier: Dossier, event: Event) -> None:
    """Tell whoever asked for corrections that they came, or the team when that person left."""
    _tell("dossier_answered", _staff_address(dossier), dossier, event, desk=True)


def withdrawn(dossier: Dossier, event: Event) -> None:
    """Tell whoever was reading that there is nothing left to decide."""
    _tell("dossier_withdrawn", _staff_address(dossier), dossier, event, desk=True)


def changes_requested(dossier: Dossier, event: Event, remarks: Iterable[Remark], message: str) -> None:
    """Tell the requester everything to correct, in one notice."""
    points = [
        {
            "label": reasons.label(remark.reason),
            "fields": [reasons.FIELDS[field].label for field in remark.fields],
            "text": remark.text,
        }
        for remark in remarks
    ]
    _tell_requester("dossier_changes_requested", dossier, event, points=points, message=message)


def approved(dossier: Dossier, event: Event) -> None:
    """Tell the requester that the building has started."""
    domain = dossier.deployment.domain if dossier.deployment else ""
    _tell_requester("dossier_approved", dossier, event, domain=domain)


def rejected(dossier: Dossier, event: Event, codes: Iterable[str], message: str) -> None:
    """Tell the requester the decision, its reasons and what can be done."""
    labels = [reasons.label(code) for code in codes]
    if dossier.duplicate_of:
        labels.append(f"La demande traitée\u00a0: {dossier.duplicate_of.reference}")
    _tell_requester("dossier_rejected", dossier, event, reasons=labels, message=message)


def _staff_address(dossier: Dossier) -> str:
    if dossier.assignee and dossier.assignee.email:
        return dossier.assignee.email
    return dossier.operator.email if dossier.operator else ""


def _tell_requester(kind: str, dossier: Dossier, event: Event, **context: Any) -> None:  # noqa: ANN401 - a template's context
    _tell(kind, dossier.requester_email, dossier, event, **context)


def _tell(kind: str, to: str, dossier: Dossier, event: Event, *, desk: bool = False, **context: Any) -> None:  # noqa: ANN401 - a template's context
    page = reverse("desk:detail" if desk else "intake:detail", args=[dossier.pk])
    queue(
        kind,
        to=to,
        event=event,
        context={
            "dossier": dossier,
            "url": f"{settings.PUBLIC_BASE_URL}{page}",
            "site_name": settings.SITE_NAME,
            "contact_email": settings.CONTACT_EMAIL,
            **context,
        },
    )
