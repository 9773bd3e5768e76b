import threading
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.local import LocalDns, LocalMail
from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.errors import NotYet, Unavailable
from onboarding.provisioning.records import mail_records
from tests.provisioning.contracts.mail import DOMAIN, OURS, MailContract, refused


class TestLocalMail(MailContract):
    @pytest.fixture
    def mail(self) -> LocalMail:
        return LocalMail()

    def test_only_the_last_password_opens_and_none_is_in_the_file(self, mail: LocalMail, settings: Settings) -> None:
        self.ready(mail, self.person)
        assert not mail.opens(self.person.address, "")
        first, last = mail.issue_access(self.person.address).password, mail.issue_access(self.person.address).password
        assert first
        assert last
        assert not mail.opens(self.person.address, first)
        assert mail.opens(self.person.address, last)
        mail.ensure_active(self.person.address, active=False, owner=OURS)
        assert not mail.opens(self.person.address, last)
        mail.ensure_active(self.person.address, active=True, owner=OURS)
        assert mail.opens(self.person.address, last)
        place = Path(settings.LOCAL_WORLD)
        kept = b"".join(each.read_bytes() for each in place.parent.glob(place.name + "*"))
        assert last.encode() not in kept

    def test_a_message_arrives_where_the_dns_sends_it_unless_the_mailbox_is_shut_or_full(self, mail: LocalMail) -> None:
        self.ready(mail, self.person)
        with pytest.raises(Unavailable):
            mail.check_delivery(self.person.address)  # the DNS knows nothing of the domain
        LocalDns().ensure_zone(DOMAIN, owner=OURS)
        with pytest.raises(NotYet):
            mail.check_delivery(self.person.address)
        LocalDns().ensure_records(DOMAIN, mail_records(DOMAIN, mail.spec(DOMAIN)), owner=OURS)
        mail.check_delivery(self.person.address)
        assert refused(lambda: mail.check_delivery(f"personne@{DOMAIN}")) == "unknown_mailbox"
        mail.ensure_active(self.person.address, active=False, owner=OURS)
        assert refused(lambda: mail.check_delivery(self.person.address)) == "inactive"
        mail.ensure_active(self.person.address, active=True, owner=OURS)
        mail.ensure_mailbox_quota(self.person.address, 1)
        assert refused(lambda: mail.check_delivery(self.person.address)) == "over_quota"

    def test_a_world_made_before_receives_what_it_lacks(self, mail: LocalMail, monkeypatch: pytest.MonkeyPatch) -> None:
        def before() -> None:
            with world.changing() as made:
                made.execute("INSERT INTO mail_domains (name, owner) VALUES (?, ?)", (DOMAIN, OURS))
                made.execute(
                    "INSERT INTO mailboxes (address, domain, owner, kind) VALUES (?, ?, ?, 'shared')",
                    (f"mairie@{DOMAIN}", DOMAIN, OURS),
                )

        with monkeypatch.context() as earlier:
            earlier.setattr(world, "SCHEMAS", world.SCHEMAS[:1])
            # A thread keeps its connection, and looks at the version when it opens it.
            made_by = threading.Thread(target=before)
            made_by.start()
            made_by.join()
        assert mail.mailboxes(DOMAIN) == (Mailbox(f"mairie@{DOMAIN}", "shared", "", used=0),)
