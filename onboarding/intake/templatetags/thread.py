"""The thread of a dossier on its pages: the last messages, what is unread, and who does not receive us."""

from typing import Any

from django import template
from django.db.models import BooleanField, QuerySet, Value
from django.urls import reverse

from onboarding.intake import thread
from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import Message
from suite.notices.models import Notice

register = template.Library()
LATEST = 3
COUNTED = 100


@register.inclusion_tag("intake/thread/panel.html", takes_context=True)
def thread_panel(context: dict[str, Any], dossier: Dossier, audience: str) -> dict[str, Any]:
    """Show the end of the thread to "commune" or to "staff", with the way to its page. One query."""
    staff = audience == "staff"
    found, sent = _read(dossier, context["user"], staff=staff)
    return {
        "dossier": dossier,
        "staff": staff,
        "latest": [message for message, _ in found[:LATEST]][::-1],
        "unread": sum(unread for _, unread in found),
        "unreached": thread.unreached(sent),
        "page": reverse("desk:thread" if staff else "intake:thread", args=[dossier.pk]),
    }


def _read(dossier: Dossier, user: Any, *, staff: bool) -> tuple[list[tuple[Message, bool]], list[Notice]]:  # noqa: ANN401 - the context's
    """Return the messages, each with whether it is unread, and the ledger, both newest first: pages count queries."""
    messages: QuerySet[Any] = thread.visible(dossier, user, for_staff=staff).order_by("-created_at", "-pk")
    notices = thread.sent(dossier, None if staff else [dossier.requester_email]).annotate(
        unread=Value(False, output_field=BooleanField())
    )
    rows = messages.values_list("kind", "side", "author_label", "created_at", "body", "unread")[:COUNTED].union(
        notices.values_list("state", "subject", "recipient", "created_at", "error", "unread")[:COUNTED], all=True
    )
    found, sent = [], []
    for what, second, who, at, text, unread in sorted(rows, key=lambda row: row[3], reverse=True):
        if what in Message.Kind.values:
            message = Message(kind=what, side=second, author_label=who, created_at=at, body=text)
            found.append((message, bool(unread)))
        else:
            sent.append(Notice(state=what, subject=second, recipient=who, created_at=at, error=text))
    return found, sent
