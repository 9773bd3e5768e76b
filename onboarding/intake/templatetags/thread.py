"""The thread of a dossier on its pages: the last messages, what is unread, and who does not receive us."""

from typing import Any

from django import template
from django.urls import reverse

from onboarding.intake import thread
from onboarding.intake.models import Dossier

register = template.Library()
LATEST = 3
COUNTED = 100


@register.inclusion_tag("intake/thread/panel.html", takes_context=True)
def thread_panel(context: dict[str, Any], dossier: Dossier, audience: str) -> dict[str, Any]:
    """Show the end of the thread to "commune" or to "staff", with the way to its page. Two queries."""
    staff = audience == "staff"
    found = list(thread.visible(dossier, context["user"], for_staff=staff).order_by("-created_at", "-pk")[:COUNTED])
    return {
        "dossier": dossier,
        "staff": staff,
        "latest": found[:LATEST][::-1],
        "unread": sum(bool(getattr(message, "unread", False)) for message in found),
        "unreached": thread.unreached(thread.ledger(dossier, None if staff else [dossier.requester_email])),
        "page": reverse("desk:thread" if staff else "intake:thread", args=[dossier.pk]),
    }
