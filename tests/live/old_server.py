"""A real Dovecot as a commune's old mail server: TLS of its own authority, folders in French, messages of all kinds."""

import datetime as dt
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "imap.ancien.example"
LOGIN, PASSWORD = "mairie@ancien.example", 'Ét"é\\ 2026'
PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

_CONFIG = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
protocols = imap
ssl = required
ssl_cert = <{place}/cert.pem
ssl_key = <{place}/key.pem
auth_mechanisms = plain
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:{place}/mail/%u
mail_fsync = never
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {place}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix = INBOX.
  mailbox "Envoyés" {{
    special_use = \\Sent
  }}
  mailbox Corbeille {{
    special_use = \\Trash
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 20
}}
"""


class OldServer:
    """Its address, its authority's certificate, and ways to put messages in it as an old server would have them."""

    def __init__(self, place: Path) -> None:
        self.place, self.port = place, _free_port()
        self.authority = place / "cert.pem"
        self.number = 0

    def put(
        self, folder: str, raw: bytes, *, seen: bool = True, at: dt.datetime | None = None, readable: bool = True
    ) -> None:
        """Put a message in a folder: "" is the inbox, "Archives.2019" one inside another, in modified UTF-7."""
        inside = self.place / "mail" / LOGIN / (f".{folder}" if folder else "")
        for part in ("cur", "new", "tmp"):
            (inside / part).mkdir(parents=True, exist_ok=True)
        if folder:
            (inside / "maildirfolder").touch()
        self.number += 1
        at = at or dt.datetime(2019, 5, 4, 12, 0, 0, tzinfo=dt.UTC) + dt.timedelta(minutes=self.number)
        file = inside / "cur" / f"{int(at.timestamp())}.M{self.number}.old:2,{'S' if seen else ''}"
        file.write_bytes(raw)
        os.utime(file, (at.timestamp(), at.timestamp()))
        if not readable:
            file.chmod(0)

    def own(self) -> None:
        """Give the files to the user under which Dovecot reads them; one that nobody may read stays root's."""
        for path in [self.place / "mail", *(self.place / "mail").rglob("*")]:
            if path.is_dir() or path.stat().st_mode & 0o400:
                shutil.chown(path, "nobody", "nogroup")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def certificate(place: Path) -> None:
    """Make a certificate of HOST, its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (place / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (place / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def running(place: Path) -> Iterator[OldServer]:
    """Run Dovecot on a free port of 127.0.0.1 with all it has in `place`; nothing of it is left."""
    place.chmod(0o755)
    certificate(place)
    (place / "mail").mkdir()
    server = OldServer(place)
    (place / "users").write_text(f"{LOGIN}:{{PLAIN}}{PASSWORD}::::::\n")
    (place / "dovecot.conf").write_text(_CONFIG.format(place=place, port=server.port))
    assert PROGRAM is not None
    process = subprocess.Popen(
        [PROGRAM, "-F", "-c", str(place / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (place / "log").read_text()
                assert time.monotonic() < until, "Dovecot does not answer."
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)
