"""The Messages backend against its stand-in over real HTTP: the contract, W4, and what only a person can do there."""

import dataclasses
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from onboarding.audits.facts import Lookup
from onboarding.provisioning import backends
from onboarding.provisioning.backends.messages import MessagesMail
from onboarding.provisioning.backends.protocols import Mailbox, Owned
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable
from onboarding.provisioning.models import Resource
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.provisioning import PlanFactory
from tests.provisioning.contracts.mail import DOMAIN, GB, MailContract, refused
from tests.standins.messages import CHANNEL, KEY, Messages

pytestmark = pytest.mark.django_db

OURS, THEIRS = (f"organization:{uuid.UUID(int=number)}" for number in (1, 2))
SIRENS = {OURS: "210100012", THEIRS: "210100020"}
PERSON = Mailbox(f"zoe.le-gall@{DOMAIN}", "personal", "Zoé Le Gall")


class OurDns:
    """A DNS where every domain leads to Messages."""

    mx: ClassVar[tuple[str, ...]] = ("10 mx1.messages.example.",)

    def lookup(self, name: str, kind: str) -> Lookup:
        return Lookup(name, kind, "answer", self.mx)


@pytest.fixture
def messages(tmp_path: Path, settings: Settings) -> Iterator[Messages]:
    stand_in = Messages(tmp_path / "messages.sqlite3")
    with stand_in.serving() as url:
        settings.MESSAGES_URL, settings.MESSAGES_CHANNEL_ID, settings.MESSAGES_API_KEY = url, CHANNEL, KEY
        settings.MESSAGES_TIMEOUT = 0.6
        settings.BACKENDS = {**settings.BACKENDS, "resolver": "tests.live.test_messages.OurDns"}
        backends.renew()
        yield stand_in


@pytest.fixture
def mail(messages: Messages) -> MessagesMail:
    for owner, siren in SIRENS.items():
        MembershipFactory.create(organization__pk=owner.partition(":")[2], organization__siren=siren)
    return MessagesMail()


@pytest.fixture
def ready(mail: MessagesMail) -> MessagesMail:
    mail.ensure_domain(DOMAIN, owner=OURS)
    return mail


def fault(call: Callable[[], object]) -> Outcome:
    """Return how the call did not succeed: one of the three ways, and no other."""
    with pytest.raises(Outcome) as told:
        call()
    assert isinstance(told.value, NotYet | Unavailable | Refused)
    return told.value


class TestContract(MailContract):
    """As every provider, for domains; mailboxes are made there by their holders, or by hand."""

    ours: ClassVar = OURS
    theirs: ClassVar = THEIRS
    unable: ClassVar = frozenset({"ensure_mailbox", "ensure_no_domain", "import_message", "export_messages"})


class TestDomains:
    def test_w4_all_four_fields_are_sent_each_time_and_the_siret_never_changes(
        self, ready: MessagesMail, messages: Messages, settings: Settings
    ) -> None:
        def kept() -> tuple[dict[str, str], int, int]:
            ((attributes, autojoin, identity_sync),) = messages.rows(
                "SELECT attributes, autojoin, identity_sync FROM domains"
            )
            return json.loads(attributes), autojoin, identity_sync

        first = kept()
        assert first[0]["siret"].startswith(SIRENS[OURS])
        assert first[1:] == (1, 0)
        MembershipFactory.create(organization__pk=uuid.uuid4(), organization__siren="210100038")
        ready.ensure_domain(DOMAIN, owner=OURS)
        assert kept() == first
        assert [set(call.body) for call in messages.calls if call.method == "POST"] == 2 * [
            {"domains", "custom_attributes", "oidc_autojoin", "identity_sync"}
        ]
        assert refused(lambda: ready.ensure_domain(DOMAIN, owner=THEIRS)) == "conflict"
        assert kept() == first

    def test_w4_the_error_of_an_item_is_said(self, mail: MessagesMail, messages: Messages) -> None:
        messages.refuses[DOMAIN] = "This domain is on a deny list"
        told = fault(lambda: mail.ensure_domain(DOMAIN, owner=OURS))
        assert (type(told), told.code) == (Refused, "invalid")
        assert "deny list" in told.note

    def test_a_domain_that_was_there_before_us_keeps_its_siret(self, mail: MessagesMail, messages: Messages) -> None:
        messages.foreign_domain(DOMAIN)
        assert refused(lambda: mail.ensure_domain(DOMAIN, owner=OURS)) == "conflict"
        assert messages.called("POST", "maildomains") == 0
        assert list(mail.domains()) == [Owned(DOMAIN, None)]

    def test_an_answer_that_was_lost_is_not_a_domain_of_somebody_else(
        self, mail: MessagesMail, messages: Messages
    ) -> None:
        messages.fail("POST", "maildomains", "drop_after")
        assert fault(lambda: mail.ensure_domain(DOMAIN, owner=OURS)).code == "network"
        mail.ensure_domain(DOMAIN, owner=OURS)
        assert list(mail.domains()) == [Owned(DOMAIN, OURS)]

    def test_an_answer_for_another_domain_is_not_believed(self, mail: MessagesMail, messages: Messages) -> None:
        messages.answers_for = "autre.fr"
        assert fault(lambda: mail.ensure_domain(DOMAIN, owner=OURS)).code == "other_domain"

    def test_a_domain_on_any_page_is_found_in_few_calls(self, mail: MessagesMail, messages: Messages) -> None:
        messages.page_max = 7
        for number in range(40):
            messages.foreign_domain(f"voisine-{number}.fr")
        mail.ensure_domain(DOMAIN, owner=OURS)
        before = len(messages.calls)
        assert mail.spec(DOMAIN).dkim_selector == "stmessages"
        assert len(messages.calls) - before == 2
        assert len(list(mail.domains())) == 41

    def test_the_key_is_waited_for(self, ready: MessagesMail, messages: Messages) -> None:
        messages.without_key = True
        told = fault(lambda: ready.ensure_dkim(DOMAIN))
        assert (type(told), told.code) == (NotYet, "no_dkim")

    def test_without_a_siret_nothing_is_sent(self, mail: MessagesMail, messages: Messages) -> None:
        stranger = f"organization:{uuid.uuid4()}"
        assert refused(lambda: mail.ensure_domain("autre.fr", owner=stranger)) == "no_siret"
        assert messages.calls == []

    def test_a_domain_deleted_by_hand_ends_there(self, ready: MessagesMail, messages: Messages) -> None:
        messages.rows("DELETE FROM domains")
        assert fault(lambda: ready.spec(DOMAIN)).code == "out_of_sync"
        ready.ensure_no_domain(DOMAIN, owner=OURS)
        assert refused(lambda: ready.spec(DOMAIN)) == "unknown_domain"


class TestMailboxes:
    def test_a_personal_mailbox_appears_when_its_holder_comes(self, ready: MessagesMail, messages: Messages) -> None:
        told = fault(lambda: ready.ensure_mailbox(PERSON, owner=OURS))
        assert (type(told), told.code) == (NotYet, "first_login")
        assert "ProConnect" in told.note
        messages.sign_in(PERSON.address)
        ready.ensure_mailbox(PERSON, owner=OURS)
        ready.ensure_mailbox_settings(PERSON)
        assert ready.issue_access(PERSON.address.upper()).url

    @pytest.mark.parametrize("kind", ["shared", "redirect"])
    def test_others_are_made_by_hand(self, ready: MessagesMail, kind: str) -> None:
        told = fault(lambda: ready.ensure_mailbox(dataclasses.replace(PERSON, kind=kind), owner=OURS))
        assert (type(told), told.code) == (Refused, "by_hand")
        assert "administration de Messages" in told.note

    def test_what_only_a_person_can_do_is_said_and_seen_once_done(
        self, ready: MessagesMail, messages: Messages
    ) -> None:
        messages.sign_in(PERSON.address)
        for call in (
            lambda: ready.ensure_active(PERSON.address, active=False, owner=OURS),
            lambda: ready.ensure_no_mailbox(PERSON.address, owner=OURS),
        ):
            assert refused(call) == "by_hand"
        assert refused(lambda: ready.ensure_mailbox_quota(PERSON.address, GB)) == "unsupported"
        ready.ensure_mailbox_quota(PERSON.address, None)
        messages.rows("DELETE FROM boxes")
        ready.ensure_no_mailbox(PERSON.address, owner=OURS)
        assert refused(lambda: ready.ensure_mailbox_settings(PERSON)) == "unknown_mailbox"

    def test_a_mailbox_in_a_domain_with_another_siret_is_not_ours(
        self, ready: MessagesMail, messages: Messages
    ) -> None:
        messages.sign_in(PERSON.address)
        messages.rows("UPDATE domains SET attributes = ?", json.dumps({"siret": "99999999900001"}))
        assert refused(lambda: ready.ensure_mailbox(PERSON, owner=OURS)) == "conflict"

    def test_an_answer_for_another_mailbox_is_not_believed(self, ready: MessagesMail, messages: Messages) -> None:
        messages.sign_in(PERSON.address)
        messages.answers_for = f"autre@{DOMAIN}"
        assert fault(lambda: ready.ensure_mailbox(PERSON, owner=OURS)).code == "other_mailbox"

    def test_lists_the_asked_mailboxes_that_exist(self, mail: MessagesMail, messages: Messages) -> None:
        from onboarding.provisioning import workflow  # noqa: PLC0415

        plan = PlanFactory.build(organization=MembershipFactory.create(organization__siren="210100046").organization)
        plan.operator.save()
        deployment = workflow.start(plan, by=UserFactory.create())
        mail.ensure_domain(deployment.domain, owner=deployment.owner)
        assert mail.mailboxes(deployment.domain) == ()
        asked = Resource.objects.filter(deployment=deployment, kind=Resource.Kind.MAILBOX)
        assert asked.count() == 2
        messages.sign_in(f"jeanne.martin@{deployment.domain}")
        (box,) = mail.mailboxes(deployment.domain)
        assert (box.address, box.kind) == (f"jeanne.martin@{deployment.domain}", "personal")

    def test_delivery_is_checked_by_the_dns(
        self, ready: MessagesMail, messages: Messages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert refused(lambda: ready.check_delivery(PERSON.address)) == "unknown_mailbox"
        messages.sign_in(PERSON.address)
        ready.check_delivery(PERSON.address)
        monkeypatch.setattr(OurDns, "mx", ("10 mx.ailleurs.example.",))
        assert fault(lambda: ready.check_delivery(PERSON.address)).code == "mx_elsewhere"


@pytest.mark.parametrize(
    ("method", "path", "act"),
    [
        ("POST", "maildomains/$", lambda mail: mail.ensure_domain(DOMAIN, owner=OURS)),
        ("GET", "maildomains/dns/", lambda mail: mail.spec(DOMAIN)),
        ("GET", "mailboxes/", lambda mail: mail.ensure_mailbox(PERSON, owner=OURS)),
    ],
)
def test_each_call_survives_whatever_may_come_back(
    ready: MessagesMail, messages: Messages, method: str, path: str, act: Callable[[MessagesMail], object]
) -> None:
    messages.sign_in(PERSON.address)
    expected = {
        "drop": "network", "hang": "timeout", "500": "status_500", "502": "status_502", "429": "rate_limited",
        "401": "denied", "403": "denied", "404": "out_of_sync", "422": "invalid", "302": "status_302",
        "html": "bad_answer", "garbage": "bad_answer", "list": "bad_answer",
    }  # fmt: skip
    for kind, code in expected.items():
        messages.fail(method, path, kind)
        assert fault(lambda: act(ready)).code == code, kind
    act(ready)


def test_an_older_instance_takes_a_bearer_and_no_key_is_ever_printed(
    ready: MessagesMail, messages: Messages, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MESSAGES_CHANNEL_ID = ""
    with caplog.at_level(logging.DEBUG):
        ready.ensure_quota(DOMAIN, GB)
        settings.MESSAGES_API_KEY = "une-cle-perdue"
        told = fault(lambda: ready.ensure_quota(DOMAIN, GB))
    assert told.code == "denied"
    for secret in (KEY, "une-cle-perdue"):
        assert secret not in caplog.text + repr(told) + told.note + repr(vars(ready))


def test_a_key_never_travels_in_clear(messages: Messages, settings: Settings) -> None:
    settings.MESSAGES_URL = "http://messages.example"
    with pytest.raises(ImproperlyConfigured):
        MessagesMail()
    settings.MESSAGES_URL = ""
    with pytest.raises(ImproperlyConfigured):
        MessagesMail()
