"""The only place that sends. A notice leaves once; when the outside world refuses or is away, the ledger says why."""

import logging
import random
import smtplib
import ssl
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.db import connection, transaction
from django.utils import timezone

from suite.notices import addresses
from suite.notices.models import Notice

logger = logging.getLogger(__name__)

# How long a worker may hold a notice: longer than Celery's hard time limit, after which the worker is dead.
LEASE = timedelta(seconds=2 * settings.CELERY_TASK_TIME_LIMIT)
# The wait doubles from the first to the longest: a hundred attempts last four days, a long week-end with its Monday.
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MAX_ATTEMPTS = 100
# Over which time `MAIL_PER_MINUTE` is counted, and the name of the lock of those who count.
RATE_WINDOW = timedelta(minutes=1)
RATE_LOCK = "suite.notices.delivery.rate"

PERMANENT = 500  # SMTP replies from 500 on are refusals; from 400 on, invitations to come back.


def deliver(pk: UUID) -> None:
    """Send one notice if it is due and nobody else is sending it; never raises for what the outside world does."""
    notice = _claim(pk)
    if notice is None:
        return
    try:
        _send(notice)
    except smtplib.SMTPAuthenticationError as error:
        # Our own password is wrong, not the address: worth waiting for its repair.
        _postpone(notice, f"Notre compte est refusé par le serveur d’envoi ({error.smtp_code}).")
    except smtplib.SMTPSenderRefused as error:
        _postpone(notice, f"Notre adresse d’expéditeur est refusée par le serveur d’envoi ({error.smtp_code}).")
    except smtplib.SMTPRecipientsRefused as error:
        code = min((code for code, _ in error.recipients.values()), default=0)
        _refused(notice, code, "Adresse refusée par le serveur d’envoi")
    except smtplib.SMTPDataError as error:
        _refused(notice, error.smtp_code, "Message refusé par le serveur d’envoi")
    except ssl.SSLError as error:
        # Before ValueError, which a certificate's refusal also is.
        _postpone(notice, f"Serveur d’envoi injoignable ({type(error).__name__}).")
    except (ValidationError, ValueError, smtplib.SMTPNotSupportedError):
        # Not an address, or one that no server between us and its owner can carry.
        _fail(notice, "Adresse impossible à utiliser.")
    except OSError as error:
        # smtplib's other exceptions are OSErrors: no connection, a connection cut, a server that closes.
        _postpone(notice, f"Serveur d’envoi injoignable ({type(error).__name__}).")
    else:
        _settle(notice, state=Notice.State.SENT, sent_at=timezone.now(), error="")
        logger.info("notice %s sent", notice.pk)


def _claim(pk: UUID) -> Notice | None:
    """Take the notice for the time of a lease, in one statement; None when it is not due or another took it."""
    notice = Notice.objects.due().select_related("event").filter(pk=pk).first()
    if notice is None:
        return None
    if notice.attempts >= MAX_ATTEMPTS:
        # Its workers died in the middle each time, or nothing answered for days.
        _fail(notice, notice.error or "Nombre d’essais épuisé.")
        return None
    if not _may_reach(notice.recipient):
        Notice.objects.due().filter(pk=pk, attempts=notice.attempts).update(state=Notice.State.WITHHELD)
        return None
    with transaction.atomic():
        if wait := _wait_for_the_rate():
            # Not an attempt: it comes back when the minute has room.
            Notice.objects.due().filter(pk=pk, attempts=notice.attempts).update(next_at=timezone.now() + wait)
            return None
        now = timezone.now()
        taken = (
            Notice.objects.due()
            .filter(pk=pk, attempts=notice.attempts)
            .update(attempts=notice.attempts + 1, next_at=now + LEASE, tried_at=now)
        )
    notice.attempts += 1
    return notice if taken else None


def _may_reach(recipient: str) -> bool:
    """Whether this site may write there: outside production, to those it was told only (addresses or domains)."""
    allowed = {one.strip().lower() for one in settings.MAIL_ALLOWED_RECIPIENTS}
    address = recipient.lower()
    return not allowed or address in allowed or address.rpartition("@")[2] in allowed


def _wait_for_the_rate() -> timedelta | None:
    """Return how long to wait before the next message, None when one may leave now. In a transaction."""
    if not settings.MAIL_PER_MINUTE:
        return None
    with connection.cursor() as cursor:
        # One worker counts at a time, until it has written its own message down.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [RATE_LOCK])
    since = timezone.now() - RATE_WINDOW
    tried = Notice.objects.filter(tried_at__gt=since).order_by("-tried_at").values_list("tried_at", flat=True)
    recent = [at for at in tried[: settings.MAIL_PER_MINUTE] if at]
    if len(recent) < settings.MAIL_PER_MINUTE:
        return None
    return recent[-1] - since + timedelta(seconds=1)


def _send(notice: Notice) -> None:
    validate_email(notice.recipient)
    message = EmailMultiAlternatives(
        subject=f"{settings.MAIL_SUBJECT_PREFIX}{notice.subject}",
        body=notice.body_text,
        # The sender of the envelope: what comes back undelivered says by itself which notice it was.
        from_email=addresses.bounce_address(notice) or settings.DEFAULT_FROM_EMAIL,
        to=[notice.recipient],
        reply_to=[address] if (address := addresses.answer_address(notice)) else None,
        headers=_headers(notice),
    )
    if notice.body_html:
        message.attach_alternative(notice.body_html, "text/html")
    message.send()


def _headers(notice: Notice) -> dict[str, str]:
    domain = addresses.message_domain()
    headers = {
        "From": settings.DEFAULT_FROM_EMAIL,
        # The same at each attempt: if we die between the server's answer and our own note, the second copy of
        # the message is known as such by whoever receives it.
        "Message-ID": f"<{notice.pk}@{domain}>",
        # No out-of-office answers, please (RFC 3834, and what Exchange reads).
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if notice.event is not None:
        # All that is said of one thing makes one conversation in the reader's program.
        headers["References"] = f"<{notice.event.subject}@{domain}>"
    if notice.kind == "digest":
        headers["List-Id"] = f"<recapitulatif.{domain}>"
        if notice.url:
            headers["List-Unsubscribe"] = f"<{notice.url}>"
    return headers


class NotTaken(Exception):
    """Our own LMTP server did not take a message; `code` is its answer, 0 when it did not answer."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def hand_over(raw: bytes, *, sender: str, to: str) -> None:
    """Give one message to our own LMTP server, as the mail server in front of it does. Raises NotTaken."""
    try:
        _hand_over(raw, sender=sender, to=to)
    except smtplib.SMTPRecipientsRefused as refusal:
        code, words = next(iter(refusal.recipients.values()))
        raise NotTaken(code, words.decode(errors="replace")) from None
    except smtplib.SMTPResponseException as refusal:
        words = refusal.smtp_error if isinstance(refusal.smtp_error, bytes) else str(refusal.smtp_error).encode()
        raise NotTaken(refusal.smtp_code, words.decode(errors="replace")) from None
    except OSError as error:  # smtplib's own exceptions among them
        raise NotTaken(0, type(error).__name__) from None


def _hand_over(raw: bytes, *, sender: str, to: str) -> None:
    place = settings.INBOUND_LMTP
    if place.startswith("unix:"):
        server = smtplib.LMTP(place.removeprefix("unix:"))
    else:
        host, _, port = place.rpartition(":")
        server = smtplib.LMTP(host, int(port))
    with server:
        server.sendmail(sender, [to], raw)


def _refused(notice: Notice, code: int, cause: str) -> None:
    """Give up on a permanent refusal, come back after another. The server's own words may quote the address."""
    if code >= PERMANENT:
        _fail(notice, f"{cause} ({code}).")
    else:
        _postpone(notice, f"{cause}, pour le moment ({code}).")


def _postpone(notice: Notice, cause: str) -> None:
    if notice.attempts >= MAX_ATTEMPTS:
        _fail(notice, cause)
        return
    wait = min(FIRST_WAIT * 2 ** min(notice.attempts - 1, 10), LONGEST_WAIT)
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads the attempts, keeps no secret
    _settle(notice, next_at=timezone.now() + wait * jitter, error=cause)
    logger.warning("notice %s postponed: %s", notice.pk, cause)


def _fail(notice: Notice, cause: str) -> None:
    _settle(notice, state=Notice.State.FAILED, error=cause)
    logger.error("notice %s failed: %s", notice.pk, cause)


def _settle(notice: Notice, **facts: object) -> None:
    """Write the outcome, unless the lease ran out and another worker took over since."""
    Notice.objects.filter(pk=notice.pk, state=Notice.State.QUEUED, attempts=notice.attempts).update(**facts)
