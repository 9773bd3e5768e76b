"""Signing keys made ahead: one costs 58 ms of a core, more than all the rest of a commune, and says nothing of us."""

import json
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onboarding.provisioning.backends.local_mail import LocalMail
from suite.rehearsal.asked import asked


def make(count: int, workers: int, place: Path) -> None:
    """Write that many keys in a file of the rehearsal's own."""
    with ProcessPoolExecutor(workers) as pool:
        place.write_text(json.dumps(list(pool.map(_pem, range(count), chunksize=4))))


def _pem(_number: int) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@cache
def _pool() -> list[str]:
    made: list[str] = json.loads(Path(asked()["keys"]).read_text())
    return made


class PooledMail(LocalMail):
    """The local mail, which takes its keys from the pool."""

    def new_key(self, domain: str) -> rsa.RSAPrivateKey:
        """Take the key that falls to the domain."""
        pool = _pool()
        pem = pool[zlib.crc32(domain.encode()) % len(pool)]
        key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("The pool holds RSA keys.")
        return key
