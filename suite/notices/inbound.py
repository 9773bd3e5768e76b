"""What came in, from the row to its handling: taken, sorted (bounce, answer, noise), and forgotten in time."""

import base64
import hashlib
import logging
import zlib
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from suite.notices import addresses, reading, workflow
from suite.notices.inbound_models import Inbound
from suite.notices.models import Notice

logger = logging.getLogger(__name__)

LARGEST = 12 * 1024 * 1024
# Beyond, the sender is asked to come back: a flood must not fill the disk.
MOST_WAITING = 2000
MOST_A_DAY = 20  # for one signed address
LEASE = timedelta(seconds=2 * settings.CELERY_TASK_TIME_LIMIT)
MOST_ATTEMPTS = 5
KEPT = timedelta(days=30)
BATCH = 50
UNREADABLE = "Message illisible."


class Full(Exception):
    """Too much waits already: come back later."""


def take(address: str, *, sender: str, raw: bytes) -> Inbound | None:
    """Write a message down, once however often it is handed over; None when the notice is not ours any more.

    Raises Full, or what the database raises when it is away. When this returns, the message is committed.
    """
    known = addresses.read(address)
    if known is None or not Notice.objects.filter(pk=known.notice).exists():
        return None
    digest = addresses.fingerprint(address, raw)
    if found := Inbound.objects.defer("sealed").filter(digest=digest).first():
        return found
    today = Inbound.objects.filter(notice=known.notice, received_at__gt=timezone.now() - timedelta(days=1))
    waiting = Inbound.objects.filter(state__in=[Inbound.State.RECEIVED, Inbound.State.ANSWER])
    if today.count() >= MOST_A_DAY or waiting[:MOST_WAITING].count() >= MOST_WAITING:
        raise Full
    with transaction.atomic():
        found, _ = Inbound.objects.get_or_create(
            digest=digest,
            defaults={
                "notice_id": known.notice,
                "kind": known.kind,
                "sender": sender[:320],
                "sealed": _seal(raw),
                "size": len(raw),
            },
        )
    return found


def raw_of(message: Inbound) -> bytes | None:
    """Return the bytes that came in, None when they were erased or the site's keys changed since."""
    if not message.sealed:
        return None
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return zlib.decompress(_box(secret).decrypt(bytes(message.sealed)))
        except InvalidToken:
            continue
    return None


def _seal(raw: bytes) -> bytes:
    return _box(settings.SECRET_KEY).encrypt(zlib.compress(raw))


def _box(secret: str) -> Fernet:
    key = hashlib.sha256(b"suite.notices.inbound:" + secret.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


# --- Sorting ----------------------------------------------------------------------------------------------------------


def sort() -> None:
    """Sort what came in: each message in a transaction of its own, so that one cannot hold the others back."""
    for message in Inbound.objects.due().defer("sealed")[:BATCH]:
        if claim(message):
            with transaction.atomic():
                sort_one(Inbound.objects.select_related("notice").get(pk=message.pk))


def claim(message: Inbound) -> bool:
    """Take a message for the time of a lease, in one statement; one that killed its workers is given up."""
    if message.attempts >= MOST_ATTEMPTS:
        finish(message, Inbound.State.REFUSED, UNREADABLE)
        return False
    return bool(
        Inbound.objects.filter(pk=message.pk, state=message.state, attempts=message.attempts).update(
            attempts=message.attempts + 1, next_at=timezone.now() + LEASE
        )
    )


def sort_one(message: Inbound) -> None:
    """Handle a bounce, pass an answer on to whoever knows what it answers, and leave the noise aside."""
    raw = raw_of(message)
    facts = reading.read(raw, ours=addresses.message_domain()) if raw is not None else None
    if facts is None:
        finish(message, Inbound.State.REFUSED, UNREADABLE)
    elif message.kind == Inbound.Kind.BOUNCE:
        _sort_bounce(message, facts)
    elif facts.loop:
        finish(message, Inbound.State.IGNORED, "Un de nos propres messages nous revient.")
    elif facts.automatic or not message.sender:
        finish(message, Inbound.State.IGNORED, "Réponse automatique.")
    elif facts.author != message.notice.recipient.lower():
        finish(message, Inbound.State.REFUSED, "Écrit depuis une autre adresse que celle du destinataire.")
    else:
        Inbound.objects.filter(pk=message.pk, state=Inbound.State.RECEIVED).update(
            state=Inbound.State.ANSWER, attempts=0, next_at=timezone.now()
        )


def _sort_bounce(message: Inbound, facts: reading.Facts) -> None:
    if facts.permanent:
        workflow.bounced(message.notice, f"Le serveur du destinataire a renvoyé le message{facts.code}.")
        finish(message, Inbound.State.DONE, "")
    elif facts.temporary:
        finish(message, Inbound.State.IGNORED, "Remise retardée : le serveur essaie encore.")
    else:
        finish(message, Inbound.State.IGNORED, "Ni un retour ni une réponse.")


def finish(message: Inbound, state: Inbound.State, reason: str) -> bool:
    """Write the outcome of a message, once; what it held goes with it, but for an answer's."""
    rows = Inbound.objects.filter(pk=message.pk).exclude(state__in=Inbound.OVER)
    changed = rows.update(state=state, reason=reason[:200], handled_at=timezone.now())
    if changed:
        logger.info("inbound %s is %s", message.pk, state)
    return bool(changed)


def forget() -> None:
    """Erase what was handled a month ago: the bytes and the row. What waits stays."""
    Inbound.objects.filter(state__in=Inbound.OVER, handled_at__lt=timezone.now() - KEPT).delete()
