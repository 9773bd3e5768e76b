"""What every mail provider must do. A backend's tests subclass `MailContract` and give it `mail`.

What a provider cannot do at all it must say: `unable` names those methods, and the contract then asks for
`Refused("unsupported")` and that nothing has changed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

import pytest

from onboarding.provisioning.backends.protocols import Access, Mail, Mailbox, Owned
from onboarding.provisioning.errors import Outcome, Refused

OURS, THEIRS = "organization:ours", "organization:theirs"
DOMAIN = "essai.collectivite.fr"
GB = 1_000_000_000
Test = TypeVar("Test", bound=Callable[..., None])
OLD = datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC)


def refused(call: Callable[[], object]) -> str:
    """Return the code of the refusal that the call must end in."""
    with pytest.raises(Refused) as told:
        call()
    assert told.value.note.endswith((".", "»"))
    return told.value.code


def message(subject: str, size: int = 0) -> bytes:
    """Return a whole message, at least `size` bytes long."""
    head = f"From: a@ailleurs.example\r\nTo: b@ici.example\r\nSubject: {subject}\r\n\r\n".encode()
    lines = (b"x" * 74 + b"\r\n") * (max(0, size - len(head)) // 76 + 1)
    return head + lines


def needs(*methods: str) -> Callable[[Test], Test]:
    """Mark a test as meaningless without these methods."""

    def mark(test: Test) -> Test:
        vars(test)["needed"] = frozenset(methods)
        return test

    return mark


class MailContract:
    """The promises of `protocols.Mail`."""

    unable: ClassVar[frozenset[str]] = frozenset()
    shared: ClassVar = Mailbox(f"mairie@{DOMAIN}", "shared", "Mairie")
    person: ClassVar = Mailbox(f"zoe.le-gall@{DOMAIN}", "personal", "Zoé Le Gall")
    redirect: ClassVar = Mailbox(f"contact@{DOMAIN}", "redirect", "Contact", (f"mairie@{DOMAIN}", "a.b@ailleurs.fr"))

    def ready(self, mail: Mail, *boxes: Mailbox) -> None:
        """Have the domain, and these mailboxes in it."""
        mail.ensure_domain(DOMAIN, owner=OURS)
        mail.ensure_dkim(DOMAIN)
        mail.ensure_quota(DOMAIN, 10 * GB)
        for box in boxes:
            mail.ensure_mailbox(box, owner=OURS)
            mail.ensure_mailbox_settings(box)

    def seen(self, mail: Mail, address: str) -> Mailbox:
        """Return the mailbox as the provider lists it."""
        (found,) = [box for box in mail.mailboxes(DOMAIN) if box.address == address]
        return found

    def __init_subclass__(cls) -> None:
        """Leave out the tests of what this provider cannot do at all: `test_says_what_it_cannot_do` looks at those."""
        for name, test in vars(MailContract).items():
            if cls.unable & getattr(test, "needed", frozenset()):
                setattr(cls, name, None)

    # Domains

    def test_has_a_domain_once_for_one_owner(self, mail: Mail) -> None:
        for _ in range(2):
            mail.ensure_domain(DOMAIN, owner=OURS)
        assert refused(lambda: mail.ensure_domain(DOMAIN, owner=THEIRS)) == "conflict"
        assert [each for each in mail.domains() if each.name == DOMAIN] == [Owned(DOMAIN, OURS)]

    def test_keeps_its_signing_key(self, mail: Mail) -> None:
        self.ready(mail)
        first = mail.spec(DOMAIN)
        mail.ensure_dkim(DOMAIN)
        assert mail.spec(DOMAIN) == first
        assert first.dkim.startswith("v=DKIM1; ")
        assert first.mx
        assert all(host.endswith(".") for _, host in first.mx)

    def test_refuses_a_domain_it_does_not_hold(self, mail: Mail) -> None:
        calls: list[Callable[[], object]] = [
            lambda: mail.spec("x.fr"),
            lambda: mail.ensure_dkim("x.fr"),
            lambda: mail.ensure_quota("x.fr", 1),
            lambda: mail.mailboxes("x.fr"),
        ]
        assert {refused(call) for call in calls} == {"unknown_domain"}

    @pytest.mark.parametrize(
        "name", ["é.fr", "seul", "https://x.fr", "a..fr", "-a.fr", "a_b.fr", "x.fr/../y.fr", "x" * 64 + ".fr", ""]
    )
    def test_a_name_that_is_no_domain_is_refused_before_it_leaves(self, mail: Mail, name: str) -> None:
        assert refused(lambda: mail.ensure_domain(name, owner=OURS)) == "invalid_domain"
        assert list(mail.domains()) == []

    @needs("ensure_no_domain")
    def test_deletes_a_domain_of_ours_once_it_is_empty(self, mail: Mail) -> None:
        self.ready(mail, self.shared)
        assert refused(lambda: mail.ensure_no_domain(DOMAIN, owner=OURS)) == "not_empty"
        mail.ensure_no_mailbox(self.shared.address, owner=OURS)
        assert refused(lambda: mail.ensure_no_domain(DOMAIN, owner=THEIRS)) == "conflict"
        for _ in range(2):
            mail.ensure_no_domain(DOMAIN, owner=OURS)
        assert list(mail.domains()) == []

    # Mailboxes

    @needs("ensure_mailbox")
    def test_existing_is_not_configured(self, mail: Mail) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.shared, owner=OURS)
        for _ in range(2):
            mail.ensure_mailbox_settings(self.shared)
        box = self.seen(mail, self.shared.address)
        assert (box.kind, box.display_name, box.active, box.quota) == ("shared", "Mairie", True, None)

    @needs("ensure_mailbox")
    def test_an_address_is_one_whatever_its_case(self, mail: Mail) -> None:
        self.ready(mail)
        mail.ensure_mailbox(self.shared, owner=OURS)
        mail.ensure_mailbox(Mailbox(f"MAIRIE@{DOMAIN}", "shared", "Mairie"), owner=OURS)
        assert [box.address for box in mail.mailboxes(DOMAIN)] == [f"mairie@{DOMAIN}"]

    @pytest.mark.parametrize(
        "local_part",
        ["zoé", "a_b", "a..b", ".a", "a.", "-a", "a b", "a/b", "a%2fb", "a'b", "a\nb", "", "x" * 65, "ＡＢ", "a+b"],
    )
    def test_an_address_that_a_provider_would_lose_is_refused_before_it_leaves(
        self, mail: Mail, local_part: str
    ) -> None:
        self.ready(mail)
        box = Mailbox(f"{local_part}@{DOMAIN}", "personal", "Zoé")
        assert refused(lambda: mail.ensure_mailbox(box, owner=OURS)) == "invalid_address"
        assert mail.mailboxes(DOMAIN) == ()

    @needs("ensure_mailbox")
    def test_two_people_of_one_name_are_two_mailboxes_or_a_refusal_never_one(self, mail: Mail) -> None:
        first = Mailbox(f"jean.martin@{DOMAIN}", "personal", "Jean Martin")
        second = Mailbox(f"jean.martin2@{DOMAIN}", "personal", "Jean MARTIN")
        self.ready(mail, first)
        try:
            mail.ensure_mailbox(second, owner=OURS)
            mail.ensure_mailbox_settings(second)
            wanted = {first.address, second.address}
        except Refused as told:
            assert told.code == "homonym"  # noqa: PT017 - either end is right, and each has its consequence
            wanted = {first.address}
        assert {box.address for box in mail.mailboxes(DOMAIN)} == wanted
        assert self.seen(mail, first.address).display_name == "Jean Martin"

    @needs("ensure_mailbox")
    def test_an_address_that_serves_otherwise_is_a_conflict(self, mail: Mail) -> None:
        self.ready(mail, self.shared)
        other = Mailbox(self.shared.address, "redirect", "", ("a@b.example",))
        assert refused(lambda: mail.ensure_mailbox(other, owner=OURS)) == "conflict"
        assert refused(lambda: mail.ensure_mailbox(self.shared, owner=THEIRS)) == "conflict"

    @needs("ensure_mailbox")
    def test_a_name_follows_its_change(self, mail: Mail) -> None:
        self.ready(mail, self.person)
        mail.ensure_mailbox_settings(Mailbox(self.person.address, "personal", "Zoé Le Gall-Petit"))
        assert self.seen(mail, self.person.address).display_name == "Zoé Le Gall-Petit"

    @needs("ensure_mailbox")
    def test_a_redirect_leads_where_it_was_last_told(self, mail: Mail) -> None:
        self.ready(mail, self.shared, self.redirect)
        assert sorted(self.seen(mail, self.redirect.address).targets) == sorted(self.redirect.targets)
        fewer = Mailbox(self.redirect.address, "redirect", "Contact", ("c.d@ailleurs.fr",))
        for _ in range(2):
            mail.ensure_mailbox_settings(fewer)
        assert self.seen(mail, self.redirect.address).targets == ("c.d@ailleurs.fr",)
        assert self.seen(mail, self.shared.address).kind == "shared"

    @needs("ensure_mailbox")
    @pytest.mark.parametrize("target", ["personne", "a@b@c", "a b@c.fr", f"contact@{DOMAIN}", "a@b.fr,c@d.fr"])
    def test_a_redirect_never_leads_to_itself_nor_nowhere(self, mail: Mail, target: str) -> None:
        self.ready(mail, self.redirect)
        wrong = Mailbox(self.redirect.address, "redirect", "Contact", (target,))
        assert refused(lambda: mail.ensure_mailbox_settings(wrong)) in {"invalid_target", "loop"}
        assert sorted(self.seen(mail, self.redirect.address).targets) == sorted(self.redirect.targets)

    @needs("ensure_active")
    def test_shuts_and_opens_a_mailbox_of_ours(self, mail: Mail) -> None:
        self.ready(mail, self.person)
        for active in (False, False, True, True):
            mail.ensure_active(self.person.address, active=active, owner=OURS)
            box = self.seen(mail, self.person.address)
            assert (box.active, box.display_name) == (active, "Zoé Le Gall")
        assert refused(lambda: mail.ensure_active(self.person.address, active=False, owner=THEIRS)) == "conflict"
        assert self.seen(mail, self.person.address).active

    @needs("ensure_no_mailbox")
    def test_deletes_a_mailbox_of_ours_once(self, mail: Mail) -> None:
        self.ready(mail, self.shared, self.person, self.redirect)
        assert refused(lambda: mail.ensure_no_mailbox(self.person.address, owner=THEIRS)) == "conflict"
        for _ in range(2):
            mail.ensure_no_mailbox(self.person.address, owner=OURS)
        assert {box.address for box in mail.mailboxes(DOMAIN)} == {self.shared.address, self.redirect.address}
        mail.ensure_no_mailbox(self.redirect.address, owner=OURS)
        assert [box.address for box in mail.mailboxes(DOMAIN)] == [self.shared.address]

    @needs("ensure_mailbox")
    def test_knows_nothing_of_a_mailbox_that_is_not_there(self, mail: Mail) -> None:
        self.ready(mail)
        nobody = f"personne@{DOMAIN}"
        calls: list[Callable[[], object]] = [
            lambda: mail.ensure_mailbox_settings(Mailbox(nobody, "personal", "Personne")),
            lambda: mail.ensure_active(nobody, active=False, owner=OURS),
            lambda: mail.issue_access(nobody),
        ]
        assert {refused(call) for call in calls} == {"unknown_mailbox"}
        mail.ensure_no_mailbox(nobody, owner=OURS)

    # Quotas, access, content

    @needs("ensure_mailbox_quota", "import_message")
    def test_a_quota_holds_and_is_never_put_under_the_use(self, mail: Mail) -> None:
        self.ready(mail, self.person)
        mail.ensure_mailbox_quota(self.person.address, 1_000_000)
        mail.import_message(self.person.address, "INBOX", message("lourd", 600_000), received_at=OLD, seen=False)
        assert refused(lambda: mail.ensure_mailbox_quota(self.person.address, 500_000)) == "below_use"
        box = self.seen(mail, self.person.address)
        assert box.quota == 1_000_000
        assert box.used is not None
        assert 600_000 <= box.used < 700_000
        heavy = message("trop", 600_000)

        def put() -> None:
            mail.import_message(self.person.address, "INBOX", heavy, received_at=OLD, seen=False)

        assert refused(put) == "over_quota"
        mail.ensure_mailbox_quota(self.person.address, None)
        assert self.seen(mail, self.person.address).quota is None
        put()

    @needs("ensure_mailbox_quota", "import_message")
    def test_the_domain_s_quota_holds_for_all_its_mailboxes_together(self, mail: Mail) -> None:
        self.ready(mail, self.person, self.shared)
        mail.ensure_quota(DOMAIN, 1_000_000)
        mail.import_message(self.person.address, "INBOX", message("lourd", 600_000), received_at=OLD, seen=False)
        heavy = message("trop", 600_000)

        def put() -> None:
            mail.import_message(self.shared.address, "INBOX", heavy, received_at=OLD, seen=False)

        assert refused(put) == "over_quota"

    @needs("issue_access")
    def test_gives_a_way_in_that_nothing_prints(self, mail: Mail) -> None:
        self.ready(mail, self.person, self.redirect)
        first, second = mail.issue_access(self.person.address), mail.issue_access(self.person.address)
        assert first != second
        assert not any(word in repr(first) for word in (first.password, first.url) if word)
        for access in (first, second):
            assert isinstance(access, Access)
            assert (access.url is None) != (access.password is None)
        assert refused(lambda: mail.issue_access(self.redirect.address)) == "no_access"
        mail.ensure_active(self.person.address, active=False, owner=OURS)
        assert refused(lambda: mail.issue_access(self.person.address)) == "inactive"

    @needs("import_message", "export_messages")
    def test_old_mail_comes_in_and_all_goes_out(self, mail: Mail) -> None:
        self.ready(mail, self.person)
        put = {("INBOX", message("un")), ("Projets/École été", message("deux")), ("Projets & co", message("trois"))}
        for folder, raw in put:
            mail.import_message(self.person.address, folder, raw, received_at=OLD, seen=True)
        assert {(folder, raw) for folder, raw in mail.export_messages(self.person.address)} == put

    def test_says_what_it_cannot_do(self, mail: Mail) -> None:
        self.ready(mail, *(() if "ensure_mailbox" in self.unable else (self.person,)))
        address, box = self.person.address, self.person
        calls: dict[str, Callable[[], object]] = {
            "ensure_mailbox": lambda: mail.ensure_mailbox(box, owner=OURS),
            "ensure_mailbox_settings": lambda: mail.ensure_mailbox_settings(box),
            "ensure_active": lambda: mail.ensure_active(address, active=False, owner=OURS),
            "ensure_mailbox_quota": lambda: mail.ensure_mailbox_quota(address, GB),
            "ensure_no_mailbox": lambda: mail.ensure_no_mailbox(address, owner=OURS),
            "ensure_no_domain": lambda: mail.ensure_no_domain(DOMAIN, owner=OURS),
            "issue_access": lambda: mail.issue_access(address),
            "import_message": lambda: mail.import_message(address, "INBOX", b"x", received_at=OLD, seen=True),
            "export_messages": lambda: list(mail.export_messages(address)),
        }
        before = mail.mailboxes(DOMAIN)
        for name in sorted(self.unable & calls.keys()):
            with pytest.raises(Outcome) as told:
                calls[name]()
            assert told.value.code in {"unsupported", "by_hand", "not_empty"}, name
        assert mail.mailboxes(DOMAIN) == before
