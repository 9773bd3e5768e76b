"""What the two sides are told about names, each notice tied to the event that caused it."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from onboarding.intake.models import Dossier
from suite.journal.models import Event
from suite.notices.workflow import queue


def name_taken(dossier: Dossier, event: Event, fqdn: str, alternatives: list[dict[str, Any]]) -> None:
    """Tell both sides that the wish went to another, and what is left; the other one is never named."""
    context = _context(dossier, fqdn=fqdn, alternatives=alternatives)
    queue("name_taken", to=dossier.requester_email, event=event, context=context)
    context = _context(dossier, desk=True, fqdn=fqdn, alternatives=alternatives)
    queue("name_taken_desk", to=_staff(dossier), event=event, context=context)


def name_question(dossier: Dossier, event: Event, fqdn: str) -> None:
    """Ask the requester whether an alternative suits."""
    queue("name_question", to=dossier.requester_email, event=event, context=_context(dossier, fqdn=fqdn))


def name_answered(dossier: Dossier, event: Event, fqdn: str, *, accepted: bool) -> None:
    """Tell whoever asked what the commune answered."""
    context = _context(dossier, desk=True, fqdn=fqdn, accepted=accepted)
    queue("name_answered", to=_staff(dossier), event=event, context=context)


def domain_proved(dossier: Dossier, event: Event, fqdn: str) -> None:
    """Tell the requester that nothing more is to be published."""
    queue("domain_proved", to=dossier.requester_email, event=event, context=_context(dossier, fqdn=fqdn))


def _context(dossier: Dossier, *, desk: bool = False, **more: object) -> dict[str, object]:
    page = reverse("desk:detail" if desk else "intake:detail", args=[dossier.pk])
    return {"dossier": dossier, "url": f"{settings.PUBLIC_BASE_URL}{page}", **more}


def _staff(dossier: Dossier) -> str:
    if dossier.assignee and dossier.assignee.email:
        return dossier.assignee.email
    return dossier.operator.email if dossier.operator else ""
