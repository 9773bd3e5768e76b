"""Passwords that we choose: easy to type from paper, and kept nowhere but as a hash that mail servers read."""

import secrets

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

# No letter that looks like another: 31 signs, so 20 of them are 99 bits.
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5


def chosen() -> str:
    """Return a new password: « k7m2p-xq4rt-… »."""
    return "-".join("".join(secrets.choice(_SIGNS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def hashed(password: str) -> str:
    """Return the hash as Dovecot stores it (Argon2id, 64 MiB, with its scheme in front)."""
    derived = Argon2id(salt=secrets.token_bytes(16), length=32, iterations=3, lanes=1, memory_cost=65536)
    return "{ARGON2ID}" + derived.derive_phc_encoded(password.encode())
