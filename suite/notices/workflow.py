"""The only door to anything sent: a notice is queued in the transaction of its cause, and leaves from a worker."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.template import Context, Engine

from suite.journal.models import Event
from suite.notices import tasks
from suite.notices.models import Notice

SUBJECT_LENGTH = 200


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
    The templates also see `site_name`, `site_url` (no final slash), `contact_email` and `official_site`.

    Raises:
        ValueError: there is neither an event nor a key.
    """
    if not event and not key:
        raise ValueError(f"The notice {kind!r} has no cause: give its event or a key.")
    if not to:
        return None
    values = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.PUBLIC_BASE_URL.rstrip("/"),
        "contact_email": settings.CONTACT_EMAIL,
        "official_site": settings.OFFICIAL_SITE,
        **context,
    }
    cause = f"event:{event.pk}" if event else f"key:{key}"
    notice, created = Notice.objects.get_or_create(
        dedupe_key=f"{cause}:{kind}:{to}",
        defaults={
            "event": event,
            "kind": kind,
            "recipient": to,
            # One line, and of a length that a mail program shows.
            "subject": " ".join(_text(f"emails/{kind}.subject.txt", values).split())[:SUBJECT_LENGTH],
            "body_text": _text(f"emails/{kind}.txt", values),
            "body_html": _html(f"emails/{kind}.html", values),
        },
    )
    if created:
        # Robust: a broker that is away costs one sweep, not the reader's page.
        transaction.on_commit(lambda: tasks.wake(notice.pk), robust=True)
    return notice


def _text(name: str, values: Mapping[str, object]) -> str:
    """Render a plain text: an apostrophe stays an apostrophe."""
    return Engine.get_default().get_template(name).render(Context(values, autoescape=False))


def _html(name: str, values: Mapping[str, object]) -> str:
    return Engine.get_default().get_template(name).render(Context(values))
