"""A mail stack of one's own: Postfix, Dovecot and opendkim, which read one PostgreSQL database (docker/mail).

The servers look each thing up when they need it: what is committed here holds from the next message or login on.
"""

import contextlib
import smtplib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from psycopg.rows import dict_row

from onboarding.provisioning import backends
from onboarding.provisioning.backends.addresses import checked, checked_domain, checked_mailbox
from onboarding.provisioning.backends.mail_content import Content
from onboarding.provisioning.backends.passwords import chosen, hashed
from onboarding.provisioning.backends.protocols import Access, Mailbox, MailSpec, Owned
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

TIMEOUT = 10  # seconds, for one statement or one SMTP answer
CHECK_HEADER = "X-Suite-Check"
_MAILBOX_UNKNOWN, _MAILBOX_FULL = 550, 552

Connection = psycopg.Connection[dict[str, Any]]


class PostfixDovecotMail:
    """Writes the tables that the mail servers read, and enters mailboxes as Dovecot's master user."""

    def __init__(self) -> None:
        missing = [
            name
            for name in ("POSTFIX_DATABASE_URL", "POSTFIX_IMAP_URL", "POSTFIX_MX", "POSTFIX_SPF")
            if not getattr(settings, name)
        ]
        if missing:
            raise ImproperlyConfigured(f"{', '.join(missing)} must be set")
        self._database = settings.POSTFIX_DATABASE_URL
        self._content = Content(settings.POSTFIX_IMAP_URL)

    # Domains

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain."""
        domain = checked_domain(domain)
        with self._changing() as connection:
            connection.execute(
                "INSERT INTO mail_domains (name, owner) VALUES (%s, %s) ON CONFLICT DO NOTHING", (domain, owner)
            )
            if self._domain(connection, domain)["owner"] != owner:
                raise Refused("conflict", f"La messagerie de {domain} existe déjà, faite par quelqu’un d’autre.")

    def ensure_dkim(self, domain: str) -> None:
        """Have a key of 2048 bits; if another worker came first, its key stays."""
        with self._changing() as connection:
            if self._domain(connection, domain)["dkim_public"] is not None:
                return
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with self._changing() as connection:
            connection.execute(
                "UPDATE mail_domains SET dkim_private = %s, dkim_public = %s, dkim_selector = %s"
                " WHERE name = %s AND dkim_public IS NULL",
                (private.decode(), "".join(public.decode().splitlines()[1:-1]), settings.POSTFIX_DKIM_SELECTOR, domain),
            )

    def ensure_quota(self, domain: str, quota: int) -> None:
        """Bound the domain: each mailbox may grow by what the others leave."""
        with self._changing() as connection:
            self._domain(connection, domain)
            connection.execute(
                "UPDATE mail_domains SET quota = %s WHERE name = %s AND quota IS DISTINCT FROM %s",
                (quota, domain, quota),
            )

    def spec(self, domain: str) -> MailSpec:
        """Return what to publish."""
        with self._changing() as connection:
            row = self._domain(connection, domain)
        if row["dkim_public"] is None:
            raise Refused("no_dkim", f"La messagerie de {domain} n’a pas encore de clé de signature.")
        return MailSpec(
            mx=_exchangers(),
            spf=settings.POSTFIX_SPF,
            dkim_selector=row["dkim_selector"],
            dkim=f"v=DKIM1; h=sha256; k=rsa; p={row['dkim_public']}",
            aliases=tuple((label, f"{host.rstrip('.')}.") for label, host in settings.POSTFIX_ALIASES.items()),
        )

    def ensure_no_domain(self, domain: str, *, owner: str) -> None:
        """Delete the domain and its key."""
        with self._changing() as connection:
            row = connection.execute("SELECT owner FROM mail_domains WHERE name = %s FOR UPDATE", (domain,)).fetchone()
            if row is None:
                return
            if row["owner"] != owner:
                raise Refused("conflict", f"La messagerie de {domain} a été faite par quelqu’un d’autre.")
            if connection.execute("SELECT FROM mailboxes WHERE domain = %s LIMIT 1", (domain,)).rowcount:
                raise Refused("not_empty", f"La messagerie de {domain} a encore des boîtes.")
            connection.execute("DELETE FROM mail_domains WHERE name = %s", (domain,))

    def domains(self) -> Iterator[Owned]:
        """Yield every mail domain."""
        with self._changing() as connection:
            rows = connection.execute("SELECT name, owner FROM mail_domains ORDER BY name").fetchall()
        for row in rows:
            yield Owned(row["name"], row["owner"])

    # Mailboxes

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        """Have the mailbox: its mail is received from here on, in a place that no other ever had."""
        address = checked(mailbox.address)
        domain = address.rpartition("@")[2]
        with self._changing() as connection:
            self._domain(connection, domain)
            connection.execute(
                "INSERT INTO mailboxes (address, domain, owner, kind) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (address, domain, owner, mailbox.kind),
            )
            row = self._mailbox(connection, address)
            if (row["owner"], row["kind"]) != (owner, mailbox.kind):
                raise Refused("conflict", f"L’adresse {address} sert déjà à autre chose.")

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """Name the mailbox; direct it if it is a redirect."""
        checked_mailbox(mailbox)
        with self._changing() as connection:
            row = self._mailbox(connection, mailbox.address, lock=True)
            address = row["address"]
            if row["display_name"] != mailbox.display_name:
                connection.execute(
                    "UPDATE mailboxes SET display_name = %s WHERE address = %s", (mailbox.display_name, address)
                )
            if row["kind"] == "redirect":
                targets = list(mailbox.targets)
                connection.execute("DELETE FROM targets WHERE address = %s AND target <> ALL(%s)", (address, targets))
                connection.execute(
                    "INSERT INTO targets SELECT %s, unnest(%s::text[]) ON CONFLICT DO NOTHING", (address, targets)
                )

    def ensure_active(self, address: str, *, active: bool, owner: str) -> None:
        """Open or shut the mailbox: Postfix answers 550 and Dovecot refuses every login from here on."""
        with self._changing() as connection:
            row = self._ours(self._mailbox(connection, address), owner)
            connection.execute(
                "UPDATE mailboxes SET active = %s WHERE address = %s AND active <> %s", (active, row["address"], active)
            )

    def ensure_mailbox_quota(self, address: str, quota: int | None) -> None:
        """Bound the mailbox."""
        with self._changing() as connection:
            row = self._mailbox(connection, address, lock=True)
            if row["quota"] == quota:
                return
            if quota is not None and quota < row["used"]:
                raise Refused("below_use", f"La boîte {address} contient déjà plus que ce quota.")
            connection.execute("UPDATE mailboxes SET quota = %s WHERE address = %s", (quota, row["address"]))

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """Shut the mailbox, destroy what it holds, then forget it: interrupted anywhere, the next call ends it."""
        address = address.lower()
        with self._changing() as connection:
            row = connection.execute("SELECT * FROM mailboxes WHERE address = %s FOR UPDATE", (address,)).fetchone()
            if row is None:
                return
            self._ours(row, owner)
            connection.execute("UPDATE mailboxes SET active = false, password = NULL WHERE address = %s", (address,))
        if row["kind"] != "redirect":
            self._content.empty(address)
        with self._changing() as connection:
            connection.execute("DELETE FROM mailboxes WHERE address = %s AND place = %s", (address, row["place"]))
            connection.execute("DELETE FROM usage WHERE address = %s", (address,))

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return the mailboxes of the domain."""
        with self._changing() as connection:
            self._domain(connection, domain)
            rows = connection.execute(
                "SELECT m.*, coalesce(u.bytes, 0) AS used, array(SELECT target FROM targets WHERE address = m.address"
                " ORDER BY target) AS targets FROM mailboxes m LEFT JOIN usage u USING (address)"
                " WHERE m.domain = %s ORDER BY m.address",
                (domain,),
            ).fetchall()
        return tuple(
            Mailbox(
                row["address"],
                row["kind"],
                row["display_name"],
                tuple(row["targets"]),
                active=row["active"],
                quota=row["quota"],
                used=None if row["kind"] == "redirect" else row["used"],
            )
            for row in rows
        )

    # Access, content

    def issue_access(self, address: str) -> Access:
        """Choose a password, of which the database keeps an Argon2id hash."""
        password = chosen()
        kept = hashed(password)
        with self._changing() as connection:
            row = self._mailbox(connection, address, lock=True)
            if row["kind"] == "redirect":
                raise Refused("no_access", f"{address} est une redirection : personne n’y entre.")
            if not row["active"]:
                raise Refused("inactive", f"La boîte {address} est fermée : rouvrez-la d’abord.")
            connection.execute("UPDATE mailboxes SET password = %s WHERE address = %s", (kept, row["address"]))
        return Access(password=password)

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:
        """Store an old message."""
        self._content.put(self._box(address), folder, raw, received_at=received_at, seen=seen)

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Yield all that the mailbox holds."""
        yield from self._content.messages(self._box(address))

    def check_delivery(self, address: str) -> None:
        """Send a message to the first of the domain's exchangers, and find it again; a redirect is only asked."""
        with self._changing() as connection:
            row = self._mailbox(connection, address)
            targets = connection.execute("SELECT FROM targets WHERE address = %s", (row["address"],)).rowcount
        if row["kind"] == "redirect" and not targets:
            raise Refused("no_target", f"La redirection {address} ne mène nulle part.")
        if not row["active"]:
            raise Refused("inactive", f"La boîte {address} est fermée : elle ne reçoit rien.")
        keeps = row["kind"] != "redirect"
        if keeps and self._content.found(row["address"], CHECK_HEADER, row["address"]):
            return  # sent by an earlier try
        self._send(self._exchanger(row["domain"]), row["address"], keeps=keeps)
        if keeps and not self._content.found(row["address"], CHECK_HEADER, row["address"]):
            raise NotYet("not_arrived", "Le message d’essai est parti, et n’est pas encore arrivé.", after=_SOON)

    def _exchanger(self, domain: str) -> str:
        """Return an address of the domain's first exchanger, which must be one of ours."""
        found = backends.resolver().lookup(domain, "MX")
        if found.outcome == "unknown":
            raise Unavailable(f"dns_{found.detail}", "Le DNS n’a pas répondu pendant l’essai de la messagerie.")
        ours = {host for _, host in _exchangers()}
        hosts = [value.split()[1] for value in sorted(found.values, key=lambda value: int(value.split()[0]))]
        if not hosts or hosts[0] not in ours:
            raise NotYet("mx_elsewhere", "Les courriels du domaine n’arrivent pas encore chez nous.", after=_SOON)
        for kind in ("A", "AAAA"):
            addresses = backends.resolver().lookup(hosts[0].rstrip("."), kind)
            if addresses.values:
                return addresses.values[0]
        raise Unavailable("mx_without_address", "Le serveur de messagerie n’a pas d’adresse dans le DNS.")

    @staticmethod
    def _send(host: str, address: str, *, keeps: bool) -> None:
        message = EmailMessage()
        sender = f"postmaster@{address.rpartition('@')[2]}"
        message["From"], message["To"] = sender, address
        message["Subject"] = "Essai de votre messagerie"
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=address.rpartition("@")[2])
        message[CHECK_HEADER] = address
        message.set_content("Ce message d’essai s’efface de lui-même.")
        try:
            with smtplib.SMTP(host, settings.POSTFIX_SMTP_PORT, timeout=TIMEOUT) as session:
                session.ehlo()
                if keeps:
                    session.send_message(message)
                    return
                session.mail("")
                code, _ = session.rcpt(address)
                if code >= _MAILBOX_UNKNOWN:
                    raise Refused("refused", f"Le serveur refuse les messages pour {address}.")
                session.rset()
        except smtplib.SMTPRecipientsRefused as refusal:
            code = next(iter(refusal.recipients.values()))[0]
            if code == _MAILBOX_FULL:
                raise Refused("over_quota", f"La boîte {address} est pleine.") from None
            if code >= _MAILBOX_UNKNOWN:
                raise Refused("refused", f"Le serveur refuse les messages pour {address}.") from None
            raise Unavailable("smtp", "Le serveur de messagerie ne prend pas encore le message d’essai.") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable("smtp", "Le serveur de messagerie n’a pas répondu pendant l’essai.") from error

    # The database

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Connection]:
        """Give a connection inside one transaction: all of it holds, or nothing."""
        try:
            with psycopg.connect(
                self._database,
                row_factory=dict_row,
                connect_timeout=TIMEOUT,
                application_name="suite",
                options=f"-c statement_timeout={TIMEOUT * 1000}",
            ) as connection:
                yield connection
        except psycopg.Error as error:
            # Only the kind of error: its text may quote a row.
            note = "La base de la messagerie n’a pas répondu."
            raise Unavailable("mail_database", f"{note} ({type(error).__name__})") from None

    @staticmethod
    def _domain(connection: Connection, domain: str) -> dict[str, Any]:
        row = connection.execute("SELECT * FROM mail_domains WHERE name = %s", (domain,)).fetchone()
        if row is None:
            raise Refused("unknown_domain", f"La messagerie de {domain} n’existe pas chez nous.")
        return row

    @staticmethod
    def _mailbox(connection: Connection, address: str, *, lock: bool = False) -> dict[str, Any]:
        """Return the row of a mailbox with `used`, in bytes; locked, two writers come one after the other."""
        address = address.lower()
        if lock:
            connection.execute("SELECT FROM mailboxes WHERE address = %s FOR UPDATE", (address,))
        row = connection.execute(
            "SELECT m.*, coalesce(u.bytes, 0) AS used FROM mailboxes m LEFT JOIN usage u USING (address)"
            " WHERE address = %s",
            (address,),
        ).fetchone()
        if row is None:
            raise Refused("unknown_mailbox", f"La boîte {address} n’existe pas.")
        return row

    def _box(self, address: str) -> str:
        """Return the address of a mailbox that keeps messages."""
        with self._changing() as connection:
            row = self._mailbox(connection, address)
        if row["kind"] == "redirect":
            raise Refused("unsupported", f"{address} est une redirection : elle ne garde aucun message.")
        return str(row["address"])

    @staticmethod
    def _ours(row: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
        if row["owner"] != owner:
            raise Refused("conflict", f"La boîte {row['address']} a été faite par quelqu’un d’autre.")
        return row


_SOON = timedelta(seconds=10)


def _exchangers() -> tuple[tuple[int, str], ...]:
    """Return the exchangers that the settings name: "10 mx1.example, 20 mx2.example"."""
    pairs = (each.split() for each in settings.POSTFIX_MX)
    return tuple((int(preference), f"{host.rstrip('.')}.") for preference, host in pairs)
