"""A box that whoever holds the token opens, and nobody else: neither the worker that fills it nor the database.

The token gives an X25519 key; its public half alone is stored. The worker seals with an ephemeral key of its own
(X25519, HKDF-SHA256, ChaCha20-Poly1305); the link's identifier is bound to the contents.
"""

import json
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onboarding.provisioning.backends.protocols import Access

KEY_BYTES = 32
# Each sealing has a key of its own, so that one nonce for all is safe.
_NONCE = bytes(12)


class Unreadable(Exception):
    """The box was not sealed for this token."""


def public_key(token: str) -> bytes:
    """Return what to seal with."""
    return _private(token).public_key().public_bytes_raw()


def sealed(access: Access, *, key: bytes, bound_to: str) -> bytes:
    """Return the way in, as only the token's holder can read it."""
    ours = X25519PrivateKey.generate()
    shared = ours.exchange(X25519PublicKey.from_public_bytes(key))
    said = {
        "url": access.url,
        "password": access.password,
        "expires_at": access.expires_at.isoformat() if access.expires_at else None,
    }
    cipher = ChaCha20Poly1305(_derived(shared, b"access"))
    return ours.public_key().public_bytes_raw() + cipher.encrypt(_NONCE, json.dumps(said).encode(), bound_to.encode())


def opened(box: bytes, *, token: str, bound_to: str) -> Access:
    """Return what was sealed. Raises `Unreadable`."""
    try:
        shared = _private(token).exchange(X25519PublicKey.from_public_bytes(box[:KEY_BYTES]))
        plain = ChaCha20Poly1305(_derived(shared, b"access")).decrypt(_NONCE, box[KEY_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error
    said = json.loads(plain)
    until = said["expires_at"]
    return Access(said["url"], said["password"], datetime.fromisoformat(until) if until else None)


def _private(token: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_derived(token.encode(), b"box"))


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """Derive a key from 256 random bits: no salt is needed."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"suite first access " + purpose).derive(secret)
