"""First credentials (services.md, 6.5): D4 and D13, and what must never be readable."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.db import close_old_connections, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.provisioning import access_workflow, backends, engine, tasks
from onboarding.provisioning.access_models import CredentialLink
from onboarding.provisioning.access_workflow import AccessRefused
from onboarding.provisioning.backends.local import LocalMail
from onboarding.provisioning.backends.protocols import Access, Mailbox
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.workflow import MailboxPlan
from suite.accounts.models import User
from suite.journal.models import Event
from suite.notices import delivery
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.provisioning import deployment

State = CredentialLink.State
FIRST, READY = "provisioning:first", "provisioning:ready"


class Told(LocalMail):
    """Remembers the passwords it gave, and fails as the test says."""

    raises: ClassVar[list[Exception]] = []
    given: ClassVar[list[str]] = []
    until: ClassVar[Any] = None

    def issue_access(self, address: str) -> Access:
        if self.raises:
            raise self.raises.pop(0)
        access = super().issue_access(address)
        assert access.password
        self.given.append(access.password)
        return Access(password=access.password, expires_at=self.until)


@pytest.fixture(autouse=True)
def _told(settings: Settings) -> Iterator[None]:
    settings.BACKENDS = {**settings.BACKENDS, "mail": f"{__name__}.Told"}
    backends.renew()
    Told.raises.clear()
    Told.given.clear()
    Told.until = None
    yield
    backends.renew()


@pytest.fixture
def built(db: None) -> Deployment:
    made = deployment()
    engine.advance(made.pk)
    return made


def box(built: Deployment, local: str = "mairie") -> Resource:
    return Resource.objects.select_related("deployment__organization", "deployment__operator").get(
        deployment=built, kind="mailbox", key=f"{local}@{built.domain}"
    )


def token_of(notice: Notice) -> str:
    found = re.search(r"\?jeton=([\w-]+)", notice.body_text)
    assert found
    return found[1]


def sent(built: Deployment, local: str = "mairie") -> str:
    """Send a link, and return its token, as its reader finds it."""
    link = access_workflow.issue(box(built, local), by=None).link
    return token_of(Notice.objects.get(dedupe_key__contains=str(link.pk)))


def state(token: str) -> str:
    link = access_workflow.find(token)
    assert link is not None
    return link.state


def manager(built: Deployment) -> Client:
    return signed_in(MembershipFactory.create(organization=built.organization, manager=True).user)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def kinds(built: Deployment) -> list[str]:
    events = Event.objects.about("deployment", built.pk)
    return [event.kind for event in events if event.kind.startswith("access_")]


class TestFirst:
    def test_d13_looking_at_the_link_consumes_nothing_and_says_nothing(self, built: Deployment, client: Client) -> None:
        token = sent(built)
        events = Event.objects.count()
        pages = [client.get(reverse(FIRST), {"jeton": each}) for each in (token, token, "inconnu", "")]
        pages.append(client.head(reverse(FIRST), {"jeton": token}))
        assert {page.status_code for page in pages} == {200}
        assert (state(token), Event.objects.count()) == (State.OPEN, events)
        assert "mairie@" not in pages[0].content.decode()
        assert Told.given == []
        for page in pages:
            assert "no-store" in page["Cache-Control"]
            assert page["X-Robots-Tag"] == "noindex"
            assert page["Referrer-Policy"] == "same-origin"

    def test_from_the_link_to_the_password_that_opens_the_mailbox(self, built: Deployment, client: Client) -> None:
        token = sent(built)
        response = client.post(reverse(FIRST), {"jeton": token})
        assert (response.status_code, response["Location"]) == (302, reverse(READY))
        cookie = response.cookies["suite_first_access"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", reverse(READY))
        waiting = client.get(reverse(READY))
        assert waiting["Refresh"]
        assert "se prépare" in waiting.content.decode()
        link = access_workflow.find(token)
        assert link is not None
        tasks.fulfil_access(str(link.pk))
        shown = client.get(reverse(READY))
        assert "Voir mon accès" in shown.content.decode()
        assert Told.given[0] not in shown.content.decode()
        page = client.post(reverse(READY))
        assert "no-store" in page["Cache-Control"]
        assert LocalMail().opens(f"mairie@{built.domain}", Told.given[0])
        assert Told.given[0] in page.content.decode()
        assert client.cookies["suite_first_access"].value == ""
        link.refresh_from_db()
        assert (link.state, link.sealed, link.box_key) == (State.USED, None, None)
        assert kinds(built) == ["access_issued", "access_claimed", "access_ready", "access_shown"]

    def test_d13_a_second_post_is_refused_while_it_prepares_and_once_it_is_used(
        self, built: Deployment, client: Client
    ) -> None:
        token = sent(built)
        client.post(reverse(FIRST), {"jeton": token})
        assert client.post(reverse(FIRST), {"jeton": token}).status_code == 409
        link = access_workflow.find(token)
        assert link is not None
        access_workflow.fulfil(link.pk)
        client.post(reverse(READY))
        again = client.post(reverse(FIRST), {"jeton": token})
        assert again.status_code == 410
        assert "déjà servi" in again.content.decode()
        client.cookies["suite_first_access"] = token
        assert client.post(reverse(READY)).status_code == 410
        assert len(Told.given) == 1

    def test_d13_an_expired_link_is_refused(self, built: Deployment, client: Client) -> None:
        token = sent(built)
        with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
            response = client.post(reverse(FIRST), {"jeton": token})
        assert response.status_code == 410
        assert state(token) == State.OPEN
        assert Told.given == []

    @pytest.mark.parametrize("token", ["", "x", "a" * 5000, "é\x00", "../../"])
    def test_a_token_that_is_none_is_refused(self, db: None, client: Client, token: str) -> None:
        assert client.post(reverse(FIRST), {"jeton": token}).status_code == 410

    def test_tries_from_one_place_are_bounded(self, db: None, client: Client) -> None:
        codes = [client.post(reverse(FIRST), {"jeton": "x"}).status_code for _ in range(31)]
        assert codes == [410] * 30 + [429]


class TestReady:
    def test_without_a_link_there_is_nothing(self, db: None, client: Client) -> None:
        assert client.get(reverse(READY)).status_code == 410
        assert client.post(reverse(READY)).status_code == 410

    def test_a_link_that_is_not_claimed_shows_nothing(self, built: Deployment, client: Client) -> None:
        client.cookies["suite_first_access"] = sent(built)
        assert client.post(reverse(READY)).status_code == 409

    @pytest.mark.parametrize(
        "failure", [Unavailable("down", "En panne."), Refused("unknown_mailbox", "La boîte n’existe pas.")]
    )
    def test_a_provider_that_fails_arms_the_link_again(
        self, built: Deployment, client: Client, failure: Exception
    ) -> None:
        token = sent(built)
        Told.raises.append(failure)
        client.post(reverse(FIRST), {"jeton": token})
        link = access_workflow.find(token)
        assert link is not None
        assert not access_workflow.fulfil(link.pk)
        page = client.get(reverse(READY)).content.decode()
        assert "Réessayer" in page
        assert client.post(reverse(FIRST), {"jeton": token}).status_code == 302
        assert access_workflow.fulfil(link.pk)
        assert Told.given[0] in client.post(reverse(READY)).content.decode()
        assert "access_failed" in kinds(built)

    def test_a_provider_that_asks_to_wait_is_waited_for(self, built: Deployment, client: Client) -> None:
        token = sent(built)
        Told.raises.append(NotYet("busy", "Occupé.", after=timedelta(seconds=3)))
        client.post(reverse(FIRST), {"jeton": token})
        link = access_workflow.find(token)
        assert link is not None
        assert not access_workflow.fulfil(link.pk)
        assert state(token) == State.CLAIMED
        with time_machine.travel(timezone.now() + timedelta(seconds=4)):
            assert access_workflow.sweep() == 1
            assert access_workflow.fulfil(link.pk)

    def test_a_worker_killed_between_the_claim_and_the_access_loses_nothing(
        self, built: Deployment, client: Client, settings: Settings
    ) -> None:
        token = sent(built)
        client.post(reverse(FIRST), {"jeton": token})
        link = access_workflow.find(token)
        assert link is not None
        Told.raises.append(KeyboardInterrupt())  # type: ignore[arg-type] # as a kill: nothing of ours runs after it
        with pytest.raises(KeyboardInterrupt):
            access_workflow.fulfil(link.pk)
        assert not access_workflow.fulfil(link.pk), "its lease still runs"
        with time_machine.travel(timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 1)):
            assert access_workflow.sweep() == 1
            assert access_workflow.fulfil(link.pk)
            assert Told.given[0] in client.post(reverse(READY)).content.decode()

    def test_a_claim_that_nobody_answers_is_armed_again(self, built: Deployment, client: Client) -> None:
        token = sent(built)
        client.post(reverse(FIRST), {"jeton": token})
        with time_machine.travel(timezone.now() + timedelta(minutes=6)):
            access_workflow.sweep()
            assert state(token) == State.OPEN
            assert client.post(reverse(FIRST), {"jeton": token}).status_code == 302

    @pytest.mark.parametrize(("until", "after"), [(None, 16), (10, 11)])
    def test_what_nobody_reads_in_time_is_erased_and_may_be_asked_again(
        self, built: Deployment, client: Client, until: int | None, after: int
    ) -> None:
        token = sent(built)
        Told.until = timezone.now() + timedelta(minutes=until) if until else None
        client.post(reverse(FIRST), {"jeton": token})
        link = access_workflow.find(token)
        assert link is not None
        access_workflow.fulfil(link.pk)
        with time_machine.travel(timezone.now() + timedelta(minutes=after)):
            access_workflow.sweep()
        link.refresh_from_db()
        assert (link.state, link.sealed) == (State.OPEN, None)

    def test_a_link_is_tried_ten_times_at_most(self, built: Deployment) -> None:
        token = sent(built)
        for _ in range(10):
            Told.raises.append(Unavailable("down", "En panne."))
            access_workflow.fulfil(access_workflow.claim(token).pk)
        with pytest.raises(AccessRefused):
            access_workflow.claim(token)


class TestIssue:
    def test_d13_a_new_link_cancels_the_one_before(self, built: Deployment) -> None:
        first, second = sent(built), sent(built)
        assert (state(first), state(second)) == (State.CANCELLED, State.OPEN)
        with pytest.raises(AccessRefused, match="remplacé"):
            access_workflow.claim(first)
        assert kinds(built) == ["access_issued", "access_cancelled", "access_issued"]

    def test_a_new_link_takes_back_what_was_ready_to_read(self, built: Deployment) -> None:
        token = sent(built)
        access_workflow.fulfil(access_workflow.claim(token).pk)
        sent(built)
        with pytest.raises(AccessRefused):
            access_workflow.reveal(token)
        assert not CredentialLink.objects.filter(sealed__isnull=False).exists()

    def test_three_links_a_day_for_a_mailbox(self, built: Deployment) -> None:
        for _ in range(3):
            sent(built)
        with pytest.raises(AccessRefused) as refused:
            sent(built)
        assert refused.value.http == 429
        sent(built, "jeanne.martin")
        with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1)):
            sent(built)

    @pytest.mark.parametrize("address", ["", "mairie@{domain}", "x@mail.{domain}", "X@{domain}.", "rien"])
    def test_a_link_goes_to_no_address_of_the_new_domain(self, built: Deployment, address: str) -> None:
        resource = box(built)
        recovery = address.format(domain=built.domain)
        resource.desired = {**resource.desired, "recovery_email": recovery}
        resource.save()
        with pytest.raises(AccessRefused):
            access_workflow.issue(resource, by=None)
        assert "@" in access_workflow.recovery(box(built, "jeanne.martin"))

    def test_what_has_no_access_has_no_link(self, db: None) -> None:
        boxes = (MailboxPlan("contact", "Contact", "redirect", "a@ailleurs.example", ("b@ailleurs.example",)),)
        built = deployment(mailboxes=boxes)
        with pytest.raises(AccessRefused, match="redirection"):
            access_workflow.issue(box(built, "contact"), by=None)
        unmade = deployment()
        with pytest.raises(AccessRefused, match="pas encore"):
            access_workflow.issue(box(unmade), by=None)


class TestSweep:
    def test_every_mailbox_made_gets_one_link_and_one_only(self, built: Deployment) -> None:
        for _ in range(3):
            access_workflow.sweep()
        notices = Notice.objects.filter(kind="first_access")
        assert {notice.recipient for notice in notices} == {"secretaire@ailleurs.example", "jeanne@ailleurs.example"}
        assert notices.count() == 2
        assert CredentialLink.objects.filter(first=True, issued_by=None).count() == 2

    def test_d4_a_mailbox_made_later_gets_a_working_link(self, db: None, settings: Settings) -> None:
        """Blocked, then run again by a person: the path does not matter."""
        built = deployment()
        LocalMail().ensure_domain(built.domain, owner=built.owner)
        LocalMail().ensure_mailbox(Mailbox(f"mairie@{built.domain}", "shared", ""), owner="somebody else")
        engine.advance(built.pk)
        access_workflow.sweep()
        assert not CredentialLink.objects.filter(resource=box(built)).exists()
        LocalMail().ensure_no_mailbox(f"mairie@{built.domain}", owner="somebody else")
        blocked = Step.objects.filter(deployment=built, status=Step.Status.BLOCKED)
        blocked.update(status=Step.Status.WAITING, due_at=timezone.now())
        engine.advance(built.pk)
        access_workflow.sweep()
        token = token_of(Notice.objects.get(kind="first_access", recipient="secretaire@ailleurs.example"))
        access_workflow.fulfil(access_workflow.claim(token).pk)
        _, access = access_workflow.reveal(token)
        assert access.password
        assert LocalMail().opens(f"mairie@{built.domain}", access.password)

    def test_a_mailbox_that_is_shut_is_not_written_to(self, built: Deployment) -> None:
        shut = box(built)
        shut.desired = {**shut.desired, "active": False}
        shut.save()
        access_workflow.sweep()
        assert [link.resource.key for link in CredentialLink.objects.all()] == [f"jeanne.martin@{built.domain}"]

    def test_mailboxes_of_long_ago_are_not_written_to(self, built: Deployment) -> None:
        with time_machine.travel(timezone.now() + timedelta(days=8)):
            access_workflow.sweep()
        assert not CredentialLink.objects.exists()

    def test_a_message_that_left_keeps_no_link(self, built: Deployment) -> None:
        token = sent(built)
        notice = Notice.objects.get(kind="first_access")
        access_workflow.sweep()
        notice.refresh_from_db()
        assert token in notice.body_text, "it has yet to leave"
        delivery.deliver(notice.pk)
        access_workflow.sweep()
        notice.refresh_from_db()
        assert (notice.state, notice.body_text, notice.body_html) == (Notice.State.SENT, "", "")


class TestSecrets:
    def test_d13_no_password_is_readable_anywhere(
        self, built: Deployment, client: Client, caplog: pytest.LogCaptureFixture, mailoutbox: list[Any]
    ) -> None:
        caplog.set_level("DEBUG")
        token = sent(built)
        seen: list[str] = []
        with connection.execute_wrapper(_spy(seen)):
            client.post(reverse(FIRST), {"jeton": token})
            link = access_workflow.find(token)
            assert link is not None
            access_workflow.fulfil(link.pk)
            dumped = _everything()
            client.post(reverse(READY))
        delivery.deliver(Notice.objects.get(kind="first_access").pk)
        told = [caplog.text, dumped, _everything(), json.dumps([str(mail.message()) for mail in mailoutbox]), *seen]
        (password,) = Told.given
        assert all(password not in text for text in told)
        assert token not in caplog.text
        assert any(token in str(mail.body) for mail in mailoutbox), "the test would see it"

    def test_the_box_opens_with_its_token_alone(self, built: Deployment) -> None:
        mine, other = sent(built), sent(built, "jeanne.martin")
        for token in (mine, other):
            access_workflow.fulfil(access_workflow.claim(token).pk)
        swapped = CredentialLink.objects.get(resource=box(built, "jeanne.martin")).sealed
        CredentialLink.objects.filter(resource=box(built)).update(sealed=swapped)
        with pytest.raises(AccessRefused, match="ne se lit pas"):
            access_workflow.reveal(mine)
        assert access_workflow.reveal(other)[1].password == Told.given[1]


def _spy(seen: list[str]) -> Any:
    def run(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's
        seen.append(f"{sql} {params!r}")
        return execute(sql, params, many, context)

    return run


def _everything() -> str:
    """Return all the rows that first credentials touch, as text."""
    told = []
    with connection.cursor() as cursor:
        for table in ("provisioning_credentiallink", "journal_event", "notices_notice", "provisioning_resource"):
            cursor.execute(f"SELECT t::text, encode(convert_to(t::text, 'UTF8'), 'escape') FROM {table} t")  # noqa: S608
            told += [str(row) for row in cursor.fetchall()]
    return "\n".join(told)


@pytest.mark.django_db(transaction=True)
def test_of_two_claims_at_once_one_wins() -> None:
    built = deployment()
    engine.advance(built.pk)
    token = sent(built)
    start, outcomes = threading.Barrier(2), list[str]()

    def go() -> None:
        try:
            start.wait(10)
            access_workflow.claim(token)
            outcomes.append("claimed")
        except AccessRefused:
            outcomes.append("refused")
        finally:
            close_old_connections()
            connection.close()

    people = [threading.Thread(target=go) for _ in range(2)]
    for one in people:
        one.start()
    for one in people:
        one.join(20)
    assert sorted(outcomes) == ["claimed", "refused"]
    assert kinds(built).count("access_claimed") == 1


class TestAccesses:
    def test_says_where_each_link_is_in_few_queries(
        self, built: Deployment, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        sent(built)
        client = manager(built)
        with django_assert_max_num_queries(15):
            page = client.get(reverse("provisioning:accesses", args=[built.pk])).content.decode()
        assert "Lien en attente" in page
        assert "À envoyer" in page
        assert page.count("Envoyer un lien d’accès") == 2

    def test_a_reader_sees_and_sends_nothing(self, built: Deployment) -> None:
        reader = signed_in(MembershipFactory.create(organization=built.organization).user)
        page = reader.get(reverse("provisioning:accesses", args=[built.pk]))
        assert page.status_code == 200
        assert "Envoyer un lien" not in page.content.decode()
        assert reader.post(reverse("provisioning:send_access", args=[box(built).pk])).status_code == 403
        stranger = signed_in(UserFactory.create())
        assert stranger.get(reverse("provisioning:accesses", args=[built.pk])).status_code == 404
        assert stranger.post(reverse("provisioning:send_access", args=[box(built).pk])).status_code == 404


class TestSend:
    def test_a_manager_and_an_instructor_send(self, built: Deployment) -> None:
        instructor = signed_in(OperatorRoleFactory.create(operator=built.operator).user)
        for client in (manager(built), instructor):
            response = client.post(reverse("provisioning:send_access", args=[box(built).pk]), follow=True)
            assert "part vers son adresse de secours" in response.content.decode()
        assert CredentialLink.objects.filter(resource=box(built), state=State.OPEN).count() == 1

    def test_a_refusal_is_said_on_the_page(self, built: Deployment) -> None:
        client = manager(built)
        codes = [client.post(reverse("provisioning:send_access", args=[box(built).pk])).status_code for _ in range(4)]
        assert codes == [302, 302, 302, 429]


class TestPaper:
    def test_only_what_has_no_address_is_printed_and_with_a_second_factor(self, built: Deployment) -> None:
        client = manager(built)
        url = reverse("provisioning:print_access", args=[box(built).pk])
        assert not client.post(url).content.startswith(b"%PDF")
        elevate(client)
        assert client.post(url).status_code == 409
        resource = box(built)
        resource.desired = {**resource.desired, "recovery_email": ""}
        resource.save()
        printed = client.post(url)
        assert printed.content.startswith(b"%PDF")
        assert "no-store" in printed["Cache-Control"]
        link = CredentialLink.objects.get(resource=resource)
        assert link.channel == "paper"
        assert timedelta(days=6) < link.expires_at - timezone.now() <= timedelta(days=7)
        assert not Notice.objects.filter(kind="first_access").exists()


class TestRevoke:
    def test_a_link_is_taken_back(self, built: Deployment) -> None:
        token = sent(built)
        client, url = manager(built), reverse("provisioning:revoke_access", args=[box(built).pk])
        assert client.post(url).status_code == 302
        assert client.post(url).status_code == 409
        with pytest.raises(AccessRefused):
            access_workflow.claim(token)
