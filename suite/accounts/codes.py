"""Codes that a person copies from a message or from paper: made, compared, sealed, and shown masked."""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

# No 0 or O, 1, I or L, 2 or Z, 5 or S, 8 or B, U or V: nothing that is read for another, in print or by hand.
ALPHABET = "34679ACDEFGHJKMNPQRTWXY"
EMAIL_LENGTH = 8
LETTER_LENGTH = 10
OBJECTION_LENGTH = 24  # 108 bits: a link that nobody guesses, and that can be typed from paper
HEAD_LENGTH = 4

# Public providers: an address there belongs to whoever opened it, and proves no domain.
FREE_MAIL = frozenset(
    (
        *("aol.com", "bbox.fr", "club-internet.fr", "free.fr", "gmail.com", "gmx.fr", "googlemail.com"),
        *("hotmail.com", "hotmail.fr", "icloud.com", "laposte.net", "live.fr", "mail.com", "me.com", "msn.com"),
        *("neuf.fr", "numericable.fr", "orange.fr", "outlook.com", "outlook.fr", "proton.me", "protonmail.com"),
        *("sfr.fr", "tutanota.com", "wanadoo.fr", "yahoo.com", "yahoo.fr", "ymail.com"),
    )
)


def make(length: int) -> str:
    """Return a code of so many characters from the system's own source of chance."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def normalise(typed: str) -> str:
    """Return what was typed without blanks, hyphens or dots, in upper case."""
    return "".join(character for character in typed.upper() if character.isascii() and character.isalnum())


def grouped(code: str, size: int) -> str:
    """Return a code in groups that are easy to copy: ABCD EFGH."""
    return " ".join(code[start : start + size] for start in range(0, len(code), size))


def digest(code: str, salt: str) -> str:
    """Return what is stored of a code: useless without the site's key, even to who has the whole table."""
    return salted_hmac(f"suite.accounts.codes:{salt}", normalise(code), algorithm="sha256").hexdigest()


def matches(typed: str, stored: str, salt: str) -> bool:
    """Compare without telling by the time it takes; a code that is gone matches nothing."""
    return bool(stored) and constant_time_compare(digest(typed, salt), stored)


def seal(text: str) -> str:
    """Return the text enciphered under the site's key."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed, "" when it is gone or the site's key changed since."""
    try:
        return _box().decrypt(sealed.encode()).decode() if sealed else ""
    except InvalidToken:
        return ""


def _box() -> Fernet:
    key = hashlib.sha256(b"suite.accounts.codes.seal:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


def mask(email: str) -> str:
    """Show enough of an address for its owner to know it: « m•••@rochefort-en-terre.fr »."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def is_free_mail(email: str) -> bool:
    """Whether the address is at a public provider."""
    return domain_of(email) in FREE_MAIL


def domain_of(email: str) -> str:
    """Return the domain of an address, in lower case."""
    return email.rpartition("@")[2].strip().lower()
