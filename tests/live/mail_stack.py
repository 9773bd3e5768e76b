"""Postfix, Dovecot and opendkim as docker/mail configures them, on free ports of 127.0.0.1."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/postfix/sbin"
PROGRAMS = ("postfix", "dovecot", "opendkim", "smtp-sink", "openssl")
MAPS = Path("/usr/lib/postfix/postfix-pgsql.so"), Path("/usr/lib/opendbx/libpgsqlbackend.so")
PATIENCE = 20.0
MASTER = "m4ster-of-the-tests"


def leave_out() -> None:
    """Skip, or fail under CI=true, where the stack cannot be started."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    lacking += [path.name for path in MAPS if not path.exists()]
    if os.geteuid() != 0:
        lacking.append("root, whom Postfix and Dovecot need")
    if lacking:
        sentence = f"no mail servers here: {', '.join(lacking)}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port answers; fail if the server ended before."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


class Forwarder:
    """Carries bytes between a TCP port and the tests' PostgreSQL, whose socket only its own user may open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host", [""])[0]
        self._target = f"{folder}/.s.PGSQL.{parts.port or 5432}" if folder else None
        self._place = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                if self._target:
                    upstream = socket.socket(socket.AF_UNIX)
                    upstream.connect(self._target)
                else:
                    upstream = socket.create_connection(self._place)
            except OSError:
                client.close()
                continue
            for source, sink in [(client, upstream), (upstream, client)]:
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Stack:
    """The running servers: ports, and what they sent to the rest of the world."""

    def __init__(self, place: Path, database_url: str) -> None:
        self.place, self.database_url = place, database_url
        self.smtp, self.submission, self.imap, self.imaps, self.sink = (free_port() for _ in range(5))
        self.imap_url = f"imap://suite:{MASTER}@127.0.0.1:{self.imap}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for folder in ("conf", "state", "mail", "sent"):
            (self.place / folder).mkdir()
        certificate, key = self.place / "cert.pem", self.place / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        env = {
            **os.environ,
            "POSTFIX_DATABASE_URL": self.database_url,
            "POSTFIX_IMAP_URL": self.imap_url,
            "MAIL_HOSTNAME": "mx.mail.example",
            "MAIL_STATE": str(self.place / "state"),
            "MAIL_STORE": str(self.place / "mail"),
            "MAIL_USER": "mail",
            "MAIL_LISTEN": "127.0.0.1",
            "CERT": str(certificate),
            "KEY": str(key),
            "SMTP_PORT": str(self.smtp),
            "SUBMISSION_PORT": str(self.submission),
            "IMAP_PORT": str(self.imap),
            "IMAPS_PORT": str(self.imaps),
            "RELAYHOST": f"[127.0.0.1]:{self.sink}",
        }
        subprocess.run([sys.executable, ROOT / "docker/mail/render.py", self.place / "conf"], env=env, check=True)
        conf = self.place / "conf"
        with (conf / "dovecot/dovecot.conf").open("a") as added:  # tests guess wrong, on purpose, and have no time
            added.write(
                "auth_failure_delay = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
            )
        sink = ["smtp-sink", "-u", "root", "-d", str(self.place / "sent" / "%s."), f"127.0.0.1:{self.sink}", "10"]
        self._run(sink, self.sink)
        self._run(["opendkim", "-f", "-x", str(conf / "opendkim/opendkim.conf")], None)
        self._run(["dovecot", "-F", "-c", str(conf / "dovecot/dovecot.conf")], self.imap)
        self._run(["postfix", "-c", str(conf / "postfix"), "start-fg"], self.smtp)
        deadline = time.monotonic() + PATIENCE
        while not (self.place / "state/run/opendkim").exists():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def stop(self) -> None:
        command = [shutil.which("postfix", path=PATH) or "", "-c", str(self.place / "conf/postfix"), "stop"]
        subprocess.run(command, env={"PATH": PATH}, capture_output=True, check=False)
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(timeout=PATIENCE)

    def sent(self, word: bytes) -> bytes:
        """Return the message with this word that left for the rest of the world, waiting for it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for path in (self.place / "sent").iterdir():
                text = path.read_bytes()
                if word in text:
                    return text
            time.sleep(0.1)
        raise AssertionError(f"nothing left with {word!r}. {self.said()}")

    def said(self) -> str:
        """Return the ends of the servers' logs."""
        logs = [self.place / "state/postfix/mail.log", self.place / "state/mail.log", self.place / "output.log"]
        logs.append(self.place / "state/dovecot/dovecot.log")
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs if log.exists())

    def _run(self, command: list[str], port: int | None) -> None:
        with (self.place / "output.log").open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "PATH": PATH})
        self.processes.append(process)
        if port is not None:
            try:
                wait_for(port, process)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.said()}") from error


@contextlib.contextmanager
def running() -> Iterator[Stack]:
    """Start the stack on a database of its own, and take all of it away afterwards."""
    leave_out()
    server = os.environ["DATABASE_URL"]
    name = f"mail_{os.getpid()}"
    forwarder = Forwarder(server)
    # Outside pytest's own folder, which only root may cross: these servers drop their rights.
    place = Path(tempfile.mkdtemp(prefix="mail-", dir="/tmp"))
    place.chmod(0o755)
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
        user = administrator.info.user
    parts = urlsplit(server)
    stack = Stack(place, f"postgresql://{user}:{parts.password or 'none'}@127.0.0.1:{forwarder.port}/{name}")
    try:
        with psycopg.connect(stack.database_url, autocommit=True) as owner:
            owner.execute((ROOT / "docker/mail/schema.sql").read_text())
        stack.start()
        yield stack
    finally:
        stack.stop()
        forwarder.close()
        with psycopg.connect(server, autocommit=True) as administrator:
            administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(place, ignore_errors=True)
