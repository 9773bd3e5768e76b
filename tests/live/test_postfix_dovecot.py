"""The self-hosted mail stack: real Postfix, Dovecot and opendkim, driven by the product's own backend."""

import functools
import imaplib
import shutil
import smtplib
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import dkim
import psycopg
import pytest
from psycopg import sql
from pytest_django import Settings

from onboarding.audits.facts import Lookup
from onboarding.provisioning import backends, engine
from onboarding.provisioning.backends.postfix import PostfixDovecotMail
from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from tests.factories.provisioning import deployment
from tests.live.mail_stack import Stack, running
from tests.provisioning.contracts.mail import DOMAIN, GB, OLD, OURS, THEIRS, MailContract, message, refused
from tests.provisioning.world import WorldResolver

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mail-stack")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    from pytest_socket import enable_socket  # noqa: PLC0415

    enable_socket()  # this comes before `_network`
    with running() as stack:
        yield stack


@pytest.fixture
def mail(stack: Stack, settings: Settings) -> PostfixDovecotMail:
    settings.POSTFIX_DATABASE_URL = stack.database_url
    settings.POSTFIX_IMAP_URL = stack.imap_url
    settings.POSTFIX_DOVEADM_URL = stack.doveadm_url
    settings.POSTFIX_SMTP_PORT = stack.smtp
    settings.POSTFIX_MX = ["10 mx.mail.example"]
    settings.POSTFIX_SPF = "include:_spf.mail.example"
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        # Row by row: the servers are reading, and TRUNCATE would lock them out, and them us.
        for table in ("usage", "targets", "mailboxes", "mail_domains"):
            owner.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    for left in (stack.place / "mail").iterdir():
        shutil.rmtree(left, ignore_errors=True)
    return PostfixDovecotMail()


class TestContract(MailContract):
    """The same promises as every provider, kept by real servers."""


class OurDns:
    """A DNS where the stack is the exchanger of every domain."""

    mx: ClassVar[tuple[str, ...]] = ()

    def lookup(self, name: str, kind: str) -> Lookup:
        values = {"MX": self.mx, "A": ("127.0.0.1",)}.get(kind, ())
        return Lookup(name, kind, "answer" if values else "none", values)


@pytest.fixture
def dns(settings: Settings) -> type[OurDns]:
    settings.BACKENDS = {**settings.BACKENDS, "resolver": "tests.live.test_postfix_dovecot.OurDns"}
    backends.renew()
    OurDns.mx = ("10 mx.mail.example.",)
    return OurDns


class TestJourney:
    """From the first mailbox to the last: what its people, and strangers, meet."""

    box = f"mairie@{DOMAIN}"

    @pytest.fixture(autouse=True)
    def _ready(self, mail: PostfixDovecotMail) -> None:
        mail.ensure_domain(DOMAIN, owner=OURS)
        mail.ensure_dkim(DOMAIN)
        mail.ensure_quota(DOMAIN, 10 * GB)
        mail.ensure_mailbox(Mailbox(self.box, "shared", "Mairie"), owner=OURS)

    def give(self, stack: Stack, to: str, raw: bytes) -> None:
        """Hand a message over to the server, as a stranger's server would."""
        with smtplib.SMTP("127.0.0.1", stack.smtp, timeout=20) as session:
            session.sendmail("un@ailleurs.example", [to], raw)

    def refusal(self, stack: Stack, to: str, raw: bytes = b"Subject: x\r\n\r\nx\r\n") -> int:
        with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException)) as refused:
            self.give(stack, to, raw)
        if isinstance(refused.value, smtplib.SMTPRecipientsRefused):
            return refused.value.recipients[to][0]
        assert isinstance(refused.value, smtplib.SMTPResponseException)
        return refused.value.smtp_code

    def read(self, stack: Stack, password: str, address: str = box, *, at_least: int = 1) -> list[bytes]:
        """Return the messages of INBOX, as its holder's own program reads them, once they have come."""
        context = ssl.create_default_context(cafile=stack.place / "cert.pem")
        deadline = time.monotonic() + 20
        while True:
            with imaplib.IMAP4_SSL("localhost", stack.imaps, ssl_context=context, timeout=20) as session:
                session.login(address, password)
                session.select("INBOX", readonly=True)
                numbers = session.search(None, "ALL")[1][0].split()
                parts = [session.fetch(number.decode(), "(BODY[])")[1][0] for number in numbers]
            if len(parts) >= at_least:
                return [part[1] for part in parts if isinstance(part, tuple)]
            assert time.monotonic() < deadline, stack.said()
            time.sleep(0.1)

    def ends(self, session: imaplib.IMAP4) -> bool:
        """Tell whether the server ends a session within a few seconds."""
        deadline = time.monotonic() + 10
        try:
            while time.monotonic() < deadline:
                session.noop()
                time.sleep(0.1)
        except (imaplib.IMAP4.abort, OSError):
            return True
        return False

    def enters(self, stack: Stack, password: str) -> bool:
        try:
            self.read(stack, password, at_least=0)
        except imaplib.IMAP4.error:
            return False
        return True

    def test_a_message_from_outside_is_read_by_its_holder(self, mail: PostfixDovecotMail, stack: Stack) -> None:
        password = mail.issue_access(self.box).password
        assert password
        self.give(stack, self.box, message("bonjour"))
        self.give(stack, f"MAIRIE@{DOMAIN.upper()}", message("encore"))
        first, second = self.read(stack, password, at_least=2)
        assert b"Subject: bonjour" in first
        assert b"Subject: encore" in second
        assert self.refusal(stack, f"personne@{DOMAIN}") == 550
        assert self.refusal(stack, "quelqu.un@ailleurs.example") == 554

    def test_what_a_person_sends_is_signed_with_the_key_that_we_publish(
        self, mail: PostfixDovecotMail, stack: Stack
    ) -> None:
        password = mail.issue_access(self.box).password
        assert password
        context = ssl.create_default_context(cafile=stack.place / "cert.pem")
        with smtplib.SMTP("localhost", stack.submission, timeout=20) as session, pytest.raises(smtplib.SMTPException):
            session.login(self.box, password)  # never in clear
        with smtplib.SMTP("localhost", stack.submission, timeout=20) as session:
            session.starttls(context=context)
            session.login(self.box, password)
            usurped = message("usurpée").replace(b"a@ailleurs.example", b"prefet@ailleurs.example")
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                session.sendmail("prefet@ailleurs.example", ["b@ailleurs.example"], usurped)
            ours = message("signe").replace(b"a@ailleurs.example", self.box.encode())
            session.sendmail(self.box, ["b@ailleurs.example"], ours)
        left = stack.sent(b"Subject: signe")
        raw = left[left.index(b"DKIM-Signature:") :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        spec = mail.spec(DOMAIN)
        published = {f"{spec.dkim_selector}._domainkey.{DOMAIN}.".encode(): spec.dkim.encode()}

        def look_up(name: bytes, timeout: int = 5) -> bytes | None:
            return published.get(name)

        assert dkim.verify(raw, dnsfunc=look_up)
        assert not dkim.verify(raw.replace(b"Subject: signe", b"Subject: autre"), dnsfunc=look_up)

    def test_a_full_mailbox_says_552_until_it_is_given_more(self, mail: PostfixDovecotMail, stack: Stack) -> None:
        mail.ensure_mailbox_quota(self.box, 300_000)
        self.give(stack, self.box, message("un", 200_000))
        password = mail.issue_access(self.box).password
        assert password
        self.read(stack, password)
        assert self.refusal(stack, self.box, message("deux", 200_000)) == 552
        (box,) = mail.mailboxes(DOMAIN)
        assert box.used is not None
        assert 200_000 <= box.used <= 300_000
        assert refused(lambda: mail.ensure_mailbox_quota(self.box, 100_000)) == "below_use"
        mail.ensure_mailbox_quota(self.box, 600_000)
        self.give(stack, self.box, message("trois", 200_000))
        assert len(self.read(stack, password, at_least=2)) == 2

    def test_the_domain_s_bound_is_said_at_the_door_too(self, mail: PostfixDovecotMail, stack: Stack) -> None:
        mail.ensure_mailbox(Mailbox(f"zoe@{DOMAIN}", "personal", "Zoé"), owner=OURS)
        mail.ensure_quota(DOMAIN, 300_000)
        self.give(stack, self.box, message("un", 200_000))
        password = mail.issue_access(self.box).password
        assert password
        self.read(stack, password)
        assert self.refusal(stack, f"zoe@{DOMAIN}", message("deux", 200_000)) == 552
        mail.ensure_quota(DOMAIN, 10 * GB)
        self.give(stack, f"zoe@{DOMAIN}", message("trois", 200_000))

    def test_a_new_password_ends_the_old_one_and_a_shut_mailbox_ends_both(
        self, mail: PostfixDovecotMail, stack: Stack
    ) -> None:
        first, second = mail.issue_access(self.box).password, mail.issue_access(self.box).password
        assert first
        assert second
        assert not self.enters(stack, first)
        assert self.enters(stack, second)
        assert not self.enters(stack, "")
        mail.ensure_active(self.box, active=False, owner=OURS)
        assert not self.enters(stack, second)
        assert self.refusal(stack, self.box) == 550
        mail.ensure_active(self.box, active=True, owner=OURS)
        assert self.enters(stack, second)
        self.give(stack, self.box, message("rouverte"))
        with psycopg.connect(stack.database_url) as reader:
            kept = reader.execute("SELECT password FROM mailboxes").fetchone()
        assert kept is not None
        assert kept[0].startswith("{ARGON2ID}$argon2id$")
        assert second not in stack.said()

    @pytest.mark.parametrize("act", ["shut", "password"])
    def test_whoever_is_inside_is_thrown_out(self, mail: PostfixDovecotMail, stack: Stack, act: str) -> None:
        password = mail.issue_access(self.box).password
        assert password
        context = ssl.create_default_context(cafile=stack.place / "cert.pem")
        session = imaplib.IMAP4_SSL("localhost", stack.imaps, ssl_context=context, timeout=20)
        session.login(self.box, password)
        assert session.noop()[0] == "OK"
        if act == "shut":
            mail.ensure_active(self.box, active=False, owner=OURS)
        else:
            mail.issue_access(self.box)
        assert self.ends(session)
        session.shutdown()

    def test_a_redirect_leads_to_each_of_its_targets(self, mail: PostfixDovecotMail, stack: Stack) -> None:
        redirect = Mailbox(f"contact@{DOMAIN}", "redirect", "Contact", (self.box, "b@ailleurs.example"))
        mail.ensure_mailbox(redirect, owner=OURS)
        assert self.refusal(stack, redirect.address) == 550
        mail.ensure_mailbox_settings(redirect)
        self.give(stack, redirect.address, message("redirige"))
        password = mail.issue_access(self.box).password
        assert password
        assert b"redirige" in self.read(stack, password)[0]
        assert b"redirige" in stack.sent(b"Subject: redirige")
        mail.ensure_active(redirect.address, active=False, owner=OURS)
        assert self.refusal(stack, redirect.address) == 550

    def test_old_mail_keeps_its_folder_its_date_and_what_was_read(self, mail: PostfixDovecotMail, stack: Stack) -> None:
        for seen in (True, False):
            mail.import_message(self.box, "Élections/2014", message(f"vu {seen}"), received_at=OLD, seen=seen)
        password = mail.issue_access(self.box).password
        assert password
        context = ssl.create_default_context(cafile=stack.place / "cert.pem")
        with imaplib.IMAP4_SSL("localhost", stack.imaps, ssl_context=context, timeout=20) as session:
            session.login(self.box, password)
            assert session.select('"&AMk-lections/2014"')[1] == [b"2"]
            told = b" ".join(
                each for each in session.fetch("1:2", "(FLAGS INTERNALDATE)")[1] if isinstance(each, bytes)
            )
        assert told.count(b"\\Seen") == 1
        assert told.count(b"04-Mar-2019") == 2

    def test_old_mail_comes_to_several_mailboxes_in_turn(self, mail: PostfixDovecotMail) -> None:
        other = f"zoe@{DOMAIN}"
        mail.ensure_mailbox(Mailbox(other, "personal", "Zoé"), owner=OURS)
        for number in range(3):
            for address in (self.box, self.box, other):
                mail.import_message(address, "Vieux/2019", message(f"n{number}"), received_at=OLD, seen=False)
        assert (len(list(mail.export_messages(self.box))), len(list(mail.export_messages(other)))) == (6, 3)
        for folder in ("", "a//b", "../../etc", "/a"):
            put = functools.partial(mail.import_message, other, folder, b"x", received_at=OLD, seen=False)
            assert refused(put) == "invalid_folder"

    def test_a_deleted_mailbox_leaves_nothing_to_the_next_of_its_name(
        self, mail: PostfixDovecotMail, stack: Stack
    ) -> None:
        mail.import_message(self.box, "Secret", message("secret"), received_at=OLD, seen=True)
        self.give(stack, self.box, message("secret aussi"))
        password = mail.issue_access(self.box).password
        assert password
        self.read(stack, password)
        mail.ensure_no_mailbox(self.box, owner=OURS)
        assert self.refusal(stack, self.box) == 550
        assert not self.enters(stack, password)
        left = [path for path in (stack.place / "mail" / DOMAIN).rglob("*") if path.parent.name in {"cur", "new"}]
        assert left == []
        mail.ensure_mailbox(Mailbox(self.box, "shared", "Mairie"), owner=OURS)
        assert list(mail.export_messages(self.box)) == []
        assert mail.mailboxes(DOMAIN)[0].used == 0
        assert not self.enters(stack, password)
        mail.import_message(self.box, "Secret", message("neuf"), received_at=OLD, seen=True)
        assert list(mail.export_messages(self.box)) == [("Secret", message("neuf"))]

    def test_the_check_of_delivery_goes_by_the_mx_and_leaves_nothing(
        self, mail: PostfixDovecotMail, stack: Stack, dns: type[OurDns]
    ) -> None:
        dns.mx = ("10 mx.ailleurs.example.",)
        with pytest.raises(NotYet) as elsewhere:
            mail.check_delivery(self.box)
        assert elsewhere.value.code == "mx_elsewhere"
        dns.mx = ("10 mx.mail.example.",)
        mail.check_delivery(self.box)
        assert list(mail.export_messages(self.box)) == []
        mail.ensure_mailbox_quota(self.box, 1)
        assert refused(lambda: mail.check_delivery(self.box)) == "over_quota"
        mail.ensure_active(self.box, active=False, owner=OURS)
        assert refused(lambda: mail.check_delivery(self.box)) == "inactive"


class TestTrouble:
    """Servers that are away, workers that die, two who act at once."""

    box = f"mairie@{DOMAIN}"

    @pytest.fixture(autouse=True)
    def _ready(self, mail: PostfixDovecotMail) -> None:
        mail.ensure_domain(DOMAIN, owner=OURS)
        mail.ensure_mailbox(Mailbox(self.box, "shared", "Mairie"), owner=OURS)

    def test_servers_that_are_away_are_unavailable_and_no_secret_is_told(
        self, stack: Stack, settings: Settings, dns: type[OurDns]
    ) -> None:
        password = stack.imap_url.split(":")[2].partition("@")[0]
        settings.POSTFIX_SMTP_PORT = 1
        cases = [
            (stack.database_url, f"imap://suite:un-secret-faux@127.0.0.1:{stack.imap}", {"imap"}),
            (stack.database_url, f"imap://suite:{password}@127.0.0.1:1", {"imap"}),
            ("postgresql://suite:un-secret@127.0.0.1:1/mail", stack.imap_url, {"mail_database"}),
            (stack.database_url, stack.imap_url, {"smtp"}),
        ]
        told = []
        for database, imap, codes in cases:
            settings.POSTFIX_DATABASE_URL, settings.POSTFIX_IMAP_URL = database, imap
            backend = PostfixDovecotMail()
            for name in ("check_delivery",) if codes == {"smtp"} else ("check_delivery", "export_messages"):
                with pytest.raises(Unavailable) as unavailable:
                    list(getattr(backend, name)(self.box) or ())
                assert unavailable.value.code in codes
                told += [*traceback.format_exception(unavailable.value), unavailable.value.note, repr(vars(backend))]
        for secret in (password, "un-secret"):
            assert secret not in "".join(told)

    def test_a_deletion_that_was_interrupted_is_ended_by_the_next(
        self, mail: PostfixDovecotMail, stack: Stack, settings: Settings
    ) -> None:
        mail.import_message(self.box, "INBOX", message("reste"), received_at=OLD, seen=True)
        settings.POSTFIX_IMAP_URL = "imap://suite:x@127.0.0.1:1"
        with pytest.raises(Unavailable):
            PostfixDovecotMail().ensure_no_mailbox(self.box, owner=OURS)
        (box,) = mail.mailboxes(DOMAIN)
        assert not box.active  # shut already: nothing arrives in what is being destroyed
        mail.ensure_no_mailbox(self.box, owner=OURS)
        assert mail.mailboxes(DOMAIN) == ()

    def test_two_organizations_that_ask_for_one_domain_at_once_do_not_both_have_it(
        self, mail: PostfixDovecotMail
    ) -> None:
        barrier = threading.Barrier(2)
        ends: list[str] = []

        def ask(owner: str) -> None:
            barrier.wait()
            try:
                mail.ensure_domain("dispute.fr", owner=owner)
                ends.append("")
            except Refused as refusal:
                ends.append(refusal.code)

        threads = [threading.Thread(target=ask, args=(owner,)) for owner in (OURS, THEIRS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert sorted(ends) == ["", "conflict"]


class ThisMachine(WorldResolver):
    """The local world's DNS, where the mail host is this machine."""

    def lookup(self, name: str, kind: str) -> Lookup:
        if (name, kind) == ("mx1.mail.suite.example", "A"):
            return Lookup(name, kind, "answer", ("127.0.0.1",))
        return super().lookup(name, kind)


@pytest.mark.django_db
def test_a_whole_plan_ends_with_mail_that_really_arrives(
    mail: PostfixDovecotMail, stack: Stack, settings: Settings, tmp_path: Path
) -> None:
    settings.LOCAL_WORLD = tmp_path / "world.sqlite3"
    settings.POSTFIX_MX = ["10 mx1.mail.suite.example"]
    settings.POSTFIX_SPF = "include:_spf.mail.suite.example"
    settings.BACKENDS = {
        **settings.BACKENDS,
        "mail": "onboarding.provisioning.backends.postfix.PostfixDovecotMail",
        "resolver": "tests.live.test_postfix_dovecot.ThisMachine",
    }
    backends.renew()
    built = deployment()
    engine.advance(built.pk)
    blocked = [(step.name, step.code, step.note) for step in built.steps.exclude(status="done")]
    assert blocked == []
    assert [box.display_name for box in mail.mailboxes(built.domain)] == ["Jeanne Martin", "Mairie"]
    with smtplib.SMTP("127.0.0.1", stack.smtp, timeout=20) as session:
        session.sendmail("un@ailleurs.example", [f"mairie@{built.domain}"], message("première"))
