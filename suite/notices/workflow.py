"""The only door to anything sent: a notice is queued in the transaction of its cause, and leaves from a worker."""

from collections.abc import Mapping

from django.db import transaction
from django.template.loader import render_to_string

from suite.journal.models import Event
from suite.notices.models import Notice


def queue(
    kind: str,
    *,
    to: str,
    context: Mapping[str, object],
    event: Event | None = None,
    key: str = "",
) -> Notice | None:
    """Queue the message `templates/emails/<kind>.{subject.txt,txt,html}` to one address, rendered now.

    Its cause is `event`, or `key` when there is no event: the same cause never sends the same kind twice to the same
    address, and then returns the notice already there. Returns None, and sends nothing, when `to` is empty.
    """
    if not to:
        return None
    cause = f"event:{event.pk}" if event else key
    notice, created = Notice.objects.get_or_create(
        dedupe_key=f"{cause}:{kind}:{to}",
        defaults={
            "event": event,
            "kind": kind,
            "recipient": to,
            "subject": " ".join(render_to_string(f"emails/{kind}.subject.txt", dict(context)).split()),
            "body_text": render_to_string(f"emails/{kind}.txt", dict(context)),
            "body_html": render_to_string(f"emails/{kind}.html", dict(context)),
        },
    )
    if created:
        from suite.notices import tasks  # noqa: PLC0415 - a task calls this module back

        transaction.on_commit(lambda: tasks.wake(notice.pk))
    return notice
