"""The two addresses of a notice: where its bounce comes back, and where its reader may answer. Both are signed.

Nothing but the site makes one, so that whoever takes mail in may turn the rest away at the door. Base 32 in small
letters: some relays lose the case of an address.
"""

import base64
import binascii
import datetime as dt
import hashlib
from email.utils import parseaddr
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from suite.notices.inbound_models import Inbound
from suite.notices.models import Notice

PREFIXES = {"retour": Inbound.Kind.BOUNCE, "reponse": Inbound.Kind.ANSWER}
# The days that an expiry counts from, in four base 32 characters: enough until the year 4800.
_EPOCH = dt.date(2020, 1, 1)
_SIGNATURE = 16  # characters: 80 bits
_NOTICE = 26
_EXPIRY = 4
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Signed(NamedTuple):
    """What an address of ours says: the notice it belongs to, and until when it serves."""

    kind: Inbound.Kind
    notice: UUID
    expires_on: dt.date | None

    @property
    def expired(self) -> bool:
        """Whether an answer comes too late."""
        return self.expires_on is not None and self.expires_on < timezone.localdate()


def bounce_address(notice: Notice) -> str:
    """Return the sender of the notice's envelope, "" when nothing comes back to this site."""
    if not settings.INBOUND_MAIL_DOMAIN:
        return ""
    return f"retour+{_encode(notice.pk)}{_sign('retour', notice.pk, '')}@{settings.INBOUND_MAIL_DOMAIN}"


def answer_address(notice: Notice) -> str:
    """Return where the reader of the notice answers it, "" when it takes no answer."""
    if not settings.INBOUND_MAIL_DOMAIN or notice.answers_until is None:
        return ""
    until = _count((notice.answers_until - _EPOCH).days)
    signature = _sign("reponse", notice.pk, until)
    return f"reponse+{_encode(notice.pk)}{until}{signature}@{settings.INBOUND_MAIL_DOMAIN}"


def read(address: str) -> Signed | None:
    """Return what an address says, None unless this site signed it. Asks no database."""
    local, _, domain = address.strip().lower().rpartition("@")
    prefix, plus, token = local.partition("+")
    kind = PREFIXES.get(prefix)
    if not plus or kind is None or not settings.INBOUND_MAIL_DOMAIN or domain != settings.INBOUND_MAIL_DOMAIN.lower():
        return None
    expiry = _EXPIRY if kind is Inbound.Kind.ANSWER else 0
    if len(token) != _NOTICE + expiry + _SIGNATURE or not set(token) <= set(_ALPHABET):
        return None
    encoded, until, signature = token[:_NOTICE], token[_NOTICE : _NOTICE + expiry], token[-_SIGNATURE:]
    notice = _decode(encoded)
    if notice is None or not _holds(prefix, notice, until, signature):
        return None
    expires_on = _EPOCH + dt.timedelta(days=_number(until)) if until else None
    return Signed(kind, notice, expires_on)


def message_domain() -> str:
    """Return the right part of our Message-IDs, by which a message of ours is known when it comes back."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower()


def _sign(prefix: str, notice: UUID, until: str, secret: str | None = None) -> str:
    said = f"{prefix}:{notice}:{until}"
    digest = salted_hmac("suite.notices.addresses", said, secret=secret, algorithm="sha256").digest()
    return base64.b32encode(digest[: _SIGNATURE * 5 // 8]).decode().lower()


def _holds(prefix: str, notice: UUID, until: str, signature: str) -> bool:
    """Compare with every key that still serves: an address outlives a change of keys."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(_sign(prefix, notice, until, secret), signature) for secret in secrets)


def _encode(notice: UUID) -> str:
    return base64.b32encode(notice.bytes).decode().lower().rstrip("=")


def _decode(text: str) -> UUID | None:
    try:
        return UUID(bytes=base64.b32decode(f"{text.upper()}======"))
    except (ValueError, binascii.Error):
        return None


def _count(number: int) -> str:
    digits = ""
    for _ in range(_EXPIRY):
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
    return digits


def _number(text: str) -> int:
    value = 0
    for character in text:
        value = value * 32 + _ALPHABET.index(character)
    return value


def fingerprint(address: str, raw: bytes) -> str:
    """Return what tells one message taken in from another."""
    return hashlib.sha256(address.strip().lower().encode() + b"\0" + raw).hexdigest()
