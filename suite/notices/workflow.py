"""The only door to anything sent: a notice is queued in the transaction of its cause, and leaves from a worker."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.template import Context, Engine
from django.utils import timezone

from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices import tasks
from suite.notices.models import Notice

SUBJECT_LENGTH = 200
# How long the reader of a notice may answer it by mail.
ANSWERS = timedelta(days=90)
NOBODY = "Aucune adresse n’est connue : rien n’a été envoyé."


def queue(  # noqa: PLR0913 - a message has these facts
    kind: str,
    *,
    to: str,
    context: Mapping[str, object],
    event: Event | None = None,
    key: str = "",
    daily: bool = False,
    answers: bool = False,
) -> Notice | None:
    """Queue the message `templates/emails/<kind>.{subject.txt,txt,html}` to one address, rendered now.

    Its cause is `event`, or `key` when there is no event: the same cause never sends the same kind twice to the same
    address, and then returns the notice already there. Returns None, and sends nothing, when `to` is empty; the ledger
    keeps that nobody could be told.
    The templates also see `site_name`, `site_url` (no final slash), `contact_email`, `official_site` and `answers`.
    `daily` leaves it to the reader's next digest; `answers` lets the reader answer by mail.

    Raises:
        ValueError: there is neither an event nor a key.
    """
    if not event and not key:
        raise ValueError(f"The notice {kind!r} has no cause: give its event or a key.")
    cause = f"event:{event.pk}" if event else f"key:{key}"
    answers = answers and bool(settings.INBOUND_MAIL_DOMAIN)
    values = surroundings() | {"answers": answers, **context}
    # One line, and of a length that a mail program shows.
    subject = " ".join(_text(f"emails/{kind}.subject.txt", values).split())[:SUBJECT_LENGTH]
    text, html = _text(f"emails/{kind}.txt", values), _html(f"emails/{kind}.html", values)
    notice, created = Notice.objects.get_or_create(
        dedupe_key=f"{cause}:{kind}:{to}",
        defaults={
            "event": event,
            "kind": kind,
            "recipient": to,
            "state": Notice.State.QUEUED if to else Notice.State.UNADDRESSED,
            "error": "" if to else NOBODY,
            "channel": Notice.Channel.DIGEST if daily else Notice.Channel.MAIL,
            "url": str(values.get("url", ""))[:500],
            "answers_until": timezone.localdate() + ANSWERS if answers else None,
            "template_version": template_version(kind),
            "rendered_hash": hashlib.sha256(f"{subject}\0{text}\0{html}".encode()).hexdigest(),
            "subject": subject,
            "body_text": text if to else "",
            "body_html": html if to else "",
        },
    )
    if created and to and not daily:
        # Robust: a broker that is away costs one sweep, not the reader's page.
        transaction.on_commit(lambda: tasks.wake(notice.pk), robust=True)
    return notice if to else None


@transaction.atomic
def bounced(notice: Notice, cause: str) -> bool:
    """Write that a message came back undelivered; False when that is known, or the message never left."""
    rows = Notice.objects.filter(
        pk=notice.pk, state__in=[Notice.State.SENT, Notice.State.QUEUED], attempts__gte=1
    ).update(state=Notice.State.BOUNCED, bounced_at=timezone.now(), error=cause)
    if rows:
        record("notice", notice.pk, "bounced", by=None, payload={"kind": notice.kind})
    return bool(rows)


def surroundings() -> dict[str, object]:
    """Return what every message may say of the site."""
    return {
        "site_name": settings.SITE_NAME,
        "site_url": settings.PUBLIC_BASE_URL.rstrip("/"),
        "contact_email": settings.CONTACT_EMAIL,
        "official_site": settings.OFFICIAL_SITE,
    }


@lru_cache(maxsize=500)
def template_version(kind: str) -> str:
    """Return a short digest of the three templates of a kind and of the layout they stand on."""
    engine = Engine.get_default()
    names = [f"emails/{kind}.{end}" for end in ("subject.txt", "txt", "html")]
    sources = [
        str(getattr(engine.get_template(name), "source", ""))
        for name in (*names, "emails/base.txt", "emails/base.html")
    ]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:12]


def _text(name: str, values: Mapping[str, object]) -> str:
    """Render a plain text: an apostrophe stays an apostrophe."""
    return Engine.get_default().get_template(name).render(Context(dict(values), autoescape=False))


def _html(name: str, values: Mapping[str, object]) -> str:
    return Engine.get_default().get_template(name).render(Context(dict(values)))
