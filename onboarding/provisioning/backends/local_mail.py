"""The mail provider of the local world: domains, keys, mailboxes, and messages that really arrive."""

import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onboarding.provisioning import backends
from onboarding.provisioning.backends.addresses import checked, checked_domain, checked_mailbox, refuse_loop
from onboarding.provisioning.backends.protocols import Access, Mailbox, MailSpec, Owned
from onboarding.provisioning.backends.world import changing, log, opened
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

MX = ((10, "mx1.mail.suite.example."), (20, "mx2.mail.suite.example."))
SPF = "include:_spf.mail.suite.example"
# The mail host's own zone, as it would stand in the DNS: what our records name must be found.
HOST_ZONE = "mail.suite.example"
HOST_RECORDS = {
    ("mx1.mail.suite.example", "A"): ("192.0.2.25",),
    ("mx1.mail.suite.example", "AAAA"): ("2001:db8::25",),
    ("mx2.mail.suite.example", "A"): ("192.0.2.26",),
    ("mx2.mail.suite.example", "AAAA"): ("2001:db8::26",),
    ("_spf.mail.suite.example", "TXT"): ("v=spf1 ip4:192.0.2.24/30 ip6:2001:db8::/64 -all",),
}
SELECTOR = "suite"
_BATCH = 50


class LocalMail:
    """Keeps mail in the local world's file."""

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain."""
        domain = checked_domain(domain)
        with changing() as world:
            row = world.execute("SELECT owner FROM mail_domains WHERE name = ?", (domain,)).fetchone()
            if row is None:
                world.execute("INSERT INTO mail_domains (name, owner) VALUES (?, ?)", (domain, owner))
                log(world, "mail_domain", domain)
            elif row["owner"] != owner:
                raise Refused("conflict", f"La messagerie de {domain} existe déjà, faite par quelqu’un d’autre.")

    def ensure_dkim(self, domain: str) -> None:
        """Have a key of 2048 bits. It is made before the file is locked; if another came first, its key stays."""
        with opened() as world:
            if self._domain(world, domain)["dkim_public"] is not None:
                return
        key = self.new_key(domain)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        encoded = "".join(public.decode().splitlines()[1:-1])
        with changing() as world:
            kept = world.execute(
                "UPDATE mail_domains SET dkim_private = ?, dkim_public = ? WHERE name = ? AND dkim_public IS NULL",
                (private, encoded, domain),
            )
            if kept.rowcount:
                log(world, "dkim", domain)

    def new_key(self, domain: str) -> rsa.RSAPrivateKey:  # noqa: ARG002 - for whoever keeps keys made ahead
        """Make the signing key of a domain."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def ensure_quota(self, domain: str, quota: int) -> None:
        """Bound the domain."""
        with changing() as world:
            self._domain(world, domain)
            world.execute("UPDATE mail_domains SET quota = ? WHERE name = ? AND quota IS NOT ?", (quota, domain, quota))

    def ensure_no_domain(self, domain: str, *, owner: str) -> None:
        """Delete the domain and its key."""
        with changing() as world:
            row = world.execute("SELECT owner FROM mail_domains WHERE name = ?", (domain,)).fetchone()
            if row is None:
                return
            if row["owner"] != owner:
                raise Refused("conflict", f"La messagerie de {domain} a été faite par quelqu’un d’autre.")
            if world.execute("SELECT 1 FROM mailboxes WHERE domain = ?", (domain,)).fetchone():
                raise Refused("not_empty", f"La messagerie de {domain} a encore des boîtes.")
            world.execute("DELETE FROM mail_domains WHERE name = ?", (domain,))

    def domains(self) -> Iterator[Owned]:
        """Yield every mail domain."""
        with opened() as world:
            rows = world.execute("SELECT name, owner FROM mail_domains ORDER BY name").fetchall()
        for row in rows:
            yield Owned(row["name"], row["owner"])

    def spec(self, domain: str) -> MailSpec:
        """Return what to publish."""
        with opened() as world:
            public = self._domain(world, domain)["dkim_public"]
        if public is None:
            raise Refused("no_dkim", f"La messagerie de {domain} n’a pas encore de clé de signature.")
        return MailSpec(
            mx=MX,
            spf=SPF,
            dkim_selector=SELECTOR,
            dkim=f"v=DKIM1; h=sha256; k=rsa; p={public}",
            aliases=(("autoconfig", "autoconfig.mail.suite.example."),),
        )

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        """Have the mailbox."""
        address = checked(mailbox.address)
        domain = address.rpartition("@")[2]
        with changing() as world:
            self._domain(world, domain)
            row = world.execute("SELECT owner, kind FROM mailboxes WHERE address = ?", (address,)).fetchone()
            if row is None:
                world.execute(
                    "INSERT INTO mailboxes (address, domain, owner, kind) VALUES (?, ?, ?, ?)",
                    (address, domain, owner, mailbox.kind),
                )
                log(world, "mailbox", address)
            elif (row["owner"], row["kind"]) != (owner, mailbox.kind):
                raise Refused("conflict", f"L’adresse {address} sert déjà à autre chose.")

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """Name the mailbox and set its targets."""
        checked_mailbox(mailbox)
        if mailbox.targets:
            refuse_loop(mailbox, self.mailboxes(mailbox.address.lower().rpartition("@")[2]))
        with changing() as world:
            self._mailbox(world, mailbox.address)
            world.execute(
                "UPDATE mailboxes SET display_name = ?, targets = ? WHERE address = ?",
                (mailbox.display_name, json.dumps(list(dict.fromkeys(mailbox.targets))), mailbox.address),
            )

    def ensure_active(self, address: str, *, active: bool, owner: str) -> None:
        """Open or shut the mailbox."""
        with changing() as world:
            self._ours(self._mailbox(world, address), owner)
            world.execute("UPDATE mailboxes SET active = ? WHERE address = ?", (active, address))

    def ensure_mailbox_quota(self, address: str, quota: int | None) -> None:
        """Bound the mailbox."""
        with changing() as world:
            box = self._mailbox(world, address)
            if box["quota"] == quota:
                return
            if quota is not None and quota < self._used(world, "address", address):
                raise Refused("below_use", f"La boîte {address} contient déjà plus que ce quota.")
            world.execute("UPDATE mailboxes SET quota = ? WHERE address = ?", (quota, address))

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """Delete the mailbox and its messages."""
        with changing() as world:
            row = world.execute("SELECT * FROM mailboxes WHERE address = ?", (address,)).fetchone()
            if row is None:
                return
            self._ours(row, owner)
            world.execute("DELETE FROM messages WHERE address = ?", (address,))
            world.execute("DELETE FROM mailboxes WHERE address = ?", (address,))

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return the mailboxes of the domain."""
        with opened() as world:
            self._domain(world, domain)
            rows = world.execute(
                "SELECT *, (SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM messages"
                " WHERE messages.address = mailboxes.address) AS used FROM mailboxes WHERE domain = ? ORDER BY address",
                (domain,),
            ).fetchall()
        return tuple(
            Mailbox(
                row["address"],
                row["kind"],
                row["display_name"],
                tuple(json.loads(row["targets"])),
                active=bool(row["active"]),
                quota=row["quota"],
                used=None if row["kind"] == "redirect" else row["used"],
            )
            for row in rows
        )

    def issue_access(self, address: str) -> Access:
        """Choose a password, of which only a hash is kept."""
        password, salt = secrets.token_urlsafe(18), secrets.token_bytes(16)
        hashed = _hashed(password, salt)
        with changing() as world:
            box = self._mailbox(world, address)
            if box["kind"] == "redirect":
                raise Refused("no_access", f"{address} est une redirection : personne n’y entre.")
            if not box["active"]:
                raise Refused("inactive", f"La boîte {address} est fermée : rouvrez-la d’abord.")
            world.execute("UPDATE mailboxes SET salt = ?, hash = ? WHERE address = ?", (salt, hashed, address))
        return Access(password=password)

    def opens(self, address: str, password: str) -> bool:
        """Tell whether the password lets its holder in, as the webmail of this world would."""
        with opened() as world:
            box = self._mailbox(world, address)
        hashed = _hashed(password, box["salt"] or b"")
        return bool(box["active"]) and box["hash"] is not None and hmac.compare_digest(box["hash"], hashed)

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:
        """Store the message."""
        with changing() as world:
            box = self._mailbox(world, address)
            if box["kind"] == "redirect":
                raise Refused("unsupported", f"{address} est une redirection : elle ne garde aucun message.")
            self._check_room(world, box, len(raw))
            world.execute(
                "INSERT INTO messages (address, body, folder, received_at, seen) VALUES (?, ?, ?, ?, ?)",
                (box["address"], raw, folder, received_at.astimezone(UTC).isoformat(), seen),
            )

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Yield the messages, a few in memory at a time and no transaction held between two."""
        with opened() as world:
            self._mailbox(world, address)
        last = 0
        while True:
            with opened() as world:
                rows = world.execute(
                    "SELECT id, folder, CAST(body AS BLOB) AS raw FROM messages"
                    " WHERE address = ? AND id > ? ORDER BY id LIMIT ?",
                    (address, last, _BATCH),
                ).fetchall()
            if not rows:
                return
            for row in rows:
                yield row["folder"], row["raw"]
            last = rows[-1]["id"]

    def check_delivery(self, address: str) -> None:
        """Deliver a message as a stranger would, to the servers that the DNS names, and read it back."""
        domain = address.rpartition("@")[2]
        found = backends.resolver().lookup(domain, "MX")
        if found.outcome == "unknown":
            raise Unavailable(f"dns_{found.detail}", "Le DNS n’a pas répondu pendant l’essai de la messagerie.")
        ours = {f"{preference} {host}" for preference, host in MX}
        if not ours & set(found.values):
            raise NotYet(
                "mx_elsewhere",
                "Les courriels du domaine n’arrivent pas encore chez nous.",
                after=timedelta(seconds=10),
            )
        body = f"essai {secrets.token_hex(16)}"
        with changing() as world:
            box = self._mailbox(world, address)
            if box["kind"] == "redirect":
                if not json.loads(box["targets"]):
                    raise Refused("no_target", f"La redirection {address} ne mène nulle part.")
                return
            if not box["active"]:
                raise Refused("inactive", f"La boîte {address} est fermée : elle ne reçoit rien.")
            self._check_room(world, box, len(body))
            stored = world.execute("INSERT INTO messages (address, body) VALUES (?, ?)", (address, body)).lastrowid
        with changing() as world:
            row = world.execute("SELECT body FROM messages WHERE id = ?", (stored,)).fetchone()
            if row is None or row["body"] != body:
                raise Unavailable("not_delivered", "Le message d’essai n’est pas arrivé.")
            world.execute("DELETE FROM messages WHERE id = ?", (stored,))

    @staticmethod
    def _domain(world: sqlite3.Connection, domain: str) -> sqlite3.Row:
        row: sqlite3.Row | None = world.execute("SELECT * FROM mail_domains WHERE name = ?", (domain,)).fetchone()
        if row is None:
            raise Refused("unknown_domain", f"La messagerie de {domain} n’existe pas chez nous.")
        return row

    @staticmethod
    def _mailbox(world: sqlite3.Connection, address: str) -> sqlite3.Row:
        row: sqlite3.Row | None = world.execute("SELECT * FROM mailboxes WHERE address = ?", (address,)).fetchone()
        if row is None:
            raise Refused("unknown_mailbox", f"La boîte {address} n’existe pas.")
        return row

    @staticmethod
    def _ours(box: sqlite3.Row, owner: str) -> None:
        if box["owner"] != owner:
            raise Refused("conflict", f"La boîte {box['address']} a été faite par quelqu’un d’autre.")

    @staticmethod
    def _used(world: sqlite3.Connection, column: str, value: str) -> int:
        """Return what a mailbox ("address") or a whole domain ("domain") holds, in bytes."""
        query = (
            "SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) AS used FROM messages JOIN mailboxes USING (address)"
            " WHERE "
        )
        where = {"address": "messages.address = ?", "domain": "mailboxes.domain = ?"}[column]
        return int(world.execute(query + where, (value,)).fetchone()["used"])

    def _check_room(self, world: sqlite3.Connection, box: sqlite3.Row, size: int) -> None:
        whole = self._domain(world, box["domain"])["quota"]
        for quota, column, value in [(box["quota"], "address", box["address"]), (whole, "domain", box["domain"])]:
            if quota is not None and self._used(world, column, value) + size > quota:
                raise Refused("over_quota", f"La boîte {box['address']} est pleine.")


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
