"""The mail provider of the local world: domains, keys, mailboxes, and messages that really arrive."""

import json
import secrets
import sqlite3
from datetime import timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onboarding.provisioning import backends
from onboarding.provisioning.backends.protocols import Mailbox, MailSpec
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


class LocalMail:
    """Keeps mail in the local world's file."""

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain."""
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
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
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

    def ensure_quota(self, domain: str, quota: int) -> None:
        """Bound the domain."""
        with changing() as world:
            self._domain(world, domain)
            world.execute("UPDATE mail_domains SET quota = ? WHERE name = ? AND quota IS NOT ?", (quota, domain, quota))

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
        domain = mailbox.address.rpartition("@")[2]
        with changing() as world:
            self._domain(world, domain)
            row = world.execute("SELECT owner, kind FROM mailboxes WHERE address = ?", (mailbox.address,)).fetchone()
            if row is None:
                world.execute(
                    "INSERT INTO mailboxes (address, domain, owner, kind) VALUES (?, ?, ?, ?)",
                    (mailbox.address.lower(), domain, owner, mailbox.kind),
                )
                log(world, "mailbox", mailbox.address.lower())
            elif (row["owner"], row["kind"]) != (owner, mailbox.kind):
                raise Refused("conflict", f"L’adresse {mailbox.address} sert déjà à autre chose.")

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """Name the mailbox and set its targets."""
        with changing() as world:
            self._mailbox(world, mailbox.address)
            world.execute(
                "UPDATE mailboxes SET display_name = ?, targets = ? WHERE address = ?",
                (mailbox.display_name, json.dumps(mailbox.targets), mailbox.address),
            )

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return the mailboxes of the domain."""
        with opened() as world:
            self._domain(world, domain)
            rows = world.execute("SELECT * FROM mailboxes WHERE domain = ? ORDER BY address", (domain,)).fetchall()
        return tuple(
            Mailbox(row["address"], row["kind"], row["display_name"], tuple(json.loads(row["targets"]))) for row in rows
        )

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
