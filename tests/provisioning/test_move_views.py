"""The pages of what moves, as people meet them."""

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.move_models import BroughtMessage, Cutover, ImportFolder, MailImport, Renewal
from suite.accounts import codes
from suite.accounts.models import User
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db

SPEC = {
    "mx": [[10, "mx1.suite.example."]], "spf": "include:_spf.suite.example", "dkim_selector": "suite",
    "dkim": "v=DKIM1; k=rsa; p=" + "A" * 390, "aliases": [["autoconfig", "autoconfig.suite.example."]],
}  # fmt: skip
BEFORE = {"mx": ["10 mx.ancien.example."], "txt": ["v=spf1 include:ancien.example ~all"], "dmarc": [], "aliases": {}}
ACCOUNT = {"host": "imap.ancien.example", "login": "mairie@ancien.example", "password": "secret-à-taire"}


@pytest.fixture
def built() -> Deployment:
    built = deployment(external=True)
    now = timezone.now()
    built.resources.filter(kind=Resource.Kind.MAIL_DOMAIN).update(observed={"spec": SPEC}, observed_at=now)
    return built


@pytest.fixture
def manager(built: Deployment) -> User:
    user: User = MembershipFactory.create(organization=built.organization, manager=True).user
    return user


@pytest.fixture
def signed_in(client: Client, manager: User) -> Client:
    client.force_login(manager)
    return client


@pytest.fixture
def box(built: Deployment) -> Resource:
    return built.resources.get(key__startswith="mairie@")


@pytest.fixture
def old_mail(box: Resource, manager: User) -> MailImport:
    row = MailImport.objects.create(
        resource=box, asked_by=manager, host="imap.ancien.example", login="mairie", surveyed_at=timezone.now(),
        sealed_password=codes.seal("x"),
    )  # fmt: skip
    folder = ImportFolder.objects.create(
        mail_import=row, source="INBOX", target="INBOX", messages=10, size=4000, brought=3, bytes_brought=1000, failed=1
    )
    BroughtMessage.objects.create(
        folder=folder, uid=4, size=60_000_000, state="failed", reason="too_large", received_at=timezone.now()
    )
    return row


@pytest.fixture
def cutover(built: Deployment, manager: User) -> Cutover:
    return Cutover.objects.create(
        deployment=built, asked_by=manager, before=BEFORE, before_at=timezone.now(), due_at=None
    )


class TestImports:
    def test_each_mailbox_has_its_way_in(
        self, signed_in: Client, built: Deployment, old_mail: MailImport,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:  # fmt: skip
        with django_assert_max_num_queries(15):
            page = signed_in.get(reverse("provisioning:imports", args=[built.pk])).content.decode()
        assert page.count("Apporter du courrier") == 2
        assert "imap.ancien.example" in page


class TestStartImport:
    def test_it_begins_and_the_password_is_nowhere_in_the_clear(self, signed_in: Client, box: Resource) -> None:
        response = signed_in.post(reverse("provisioning:start_import", args=[box.pk]), ACCOUNT)
        row = MailImport.objects.get()
        assert response["Location"] == reverse("provisioning:import_detail", args=[row.pk])
        assert ACCOUNT["password"] not in str(vars(row))
        assert codes.unseal(row.sealed_password) == ACCOUNT["password"]

    @pytest.mark.parametrize(
        "host", ["", "127.0.0.1", "localhost", "imap.exemple.fr:22", "http://a.fr/", "[::1]", "a b.fr"]
    )
    def test_what_names_no_server_is_refused_with_what_was_typed(
        self, signed_in: Client, box: Resource, host: str
    ) -> None:
        response = signed_in.post(reverse("provisioning:start_import", args=[box.pk]), ACCOUNT | {"host": host})
        page = response.content.decode()
        assert response.status_code == 422
        assert 'href="#id_host"' in page
        assert ACCOUNT["login"] in page
        assert ACCOUNT["password"] not in page
        assert not MailImport.objects.exists()

    def test_a_second_one_for_the_same_mailbox_is_refused(
        self, signed_in: Client, box: Resource, old_mail: MailImport
    ) -> None:
        response = signed_in.post(reverse("provisioning:start_import", args=[box.pk]), ACCOUNT)
        assert response.status_code == 422
        assert "déjà ouverte" in response.content.decode()

    def test_the_holder_may_and_a_reader_who_is_not_may_not(
        self, client: Client, built: Deployment, box: Resource
    ) -> None:
        holder = MembershipFactory.create(organization=built.organization, role="reader").user
        client.force_login(holder)
        address = reverse("provisioning:start_import", args=[box.pk])
        assert client.get(address).status_code == 403
        Resource.objects.filter(pk=box.pk).update(desired={**box.desired, "recovery_email": holder.email.upper()})
        assert client.get(address).status_code == 200

    def test_a_closed_suite_receives_nothing_more(self, signed_in: Client, built: Deployment, box: Resource) -> None:
        Deployment.objects.filter(pk=built.pk).update(closed_at=timezone.now())
        response = signed_in.post(reverse("provisioning:start_import", args=[box.pk]), ACCOUNT)
        assert response.status_code == 422


class TestImportDetail:
    def test_it_says_how_far_it_is_and_what_was_left(
        self, signed_in: Client, old_mail: MailImport, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(15):
            page = signed_in.get(reverse("provisioning:import_detail", args=[old_mail.pk])).content.decode()
        assert "40 %" in page.replace("\u00a0", " ")
        assert "6 messages" in page
        assert "trop gros" in page


class TestImportAct:
    def act(self, client: Client, row: MailImport, **said: str) -> int:
        return client.post(reverse("provisioning:import_act", args=[row.pk]), said).status_code

    def test_pause_resume_and_cancel(self, signed_in: Client, old_mail: MailImport) -> None:
        states = []
        for act in ("pause", "resume", "cancel"):
            assert self.act(signed_in, old_mail, act=act) == 302
            states.append(MailImport.objects.get(pk=old_mail.pk).state)
        assert states == ["paused", "running", "cancelled"]
        assert MailImport.objects.get(pk=old_mail.pk).sealed_password == ""

    def test_what_is_over_is_not_paused(self, signed_in: Client, old_mail: MailImport) -> None:
        self.act(signed_in, old_mail, act="cancel")
        assert self.act(signed_in, old_mail, act="pause") == 409
        assert self.act(signed_in, old_mail, act="nonsense") == 400

    def test_a_password_forgotten_is_asked_where_it_is_missing(self, signed_in: Client, old_mail: MailImport) -> None:
        MailImport.objects.filter(pk=old_mail.pk).update(state="stopped", code="bad_password", sealed_password="")
        response = signed_in.post(reverse("provisioning:import_act", args=[old_mail.pk]), {"act": "resume"})
        page = response.content.decode()
        assert response.status_code == 422
        assert 'href="#id_password"' in page
        assert "aria-describedby" in page
        assert self.act(signed_in, old_mail, act="resume", password="neuf") == 302


class TestCutover:
    def test_the_difference_is_shown_before_any_date(
        self,
        signed_in: Client,
        built: Deployment,
        cutover: Cutover,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        with django_assert_max_num_queries(15):
            page = signed_in.get(reverse("provisioning:cutover", args=[built.pk])).content.decode()
        assert "v=spf1 include:_spf.suite.example include:ancien.example ~all" in page
        assert "v=DMARC1; p=none" in page
        assert "p=reject" not in page
        assert f"{built.domain} MX 10 mx.ancien.example." in page

    def test_before_anything_it_explains_and_proposes(self, signed_in: Client, built: Deployment) -> None:
        page = signed_in.get(reverse("provisioning:cutover", args=[built.pk])).content.decode()
        assert "Préparer la bascule" in page


class TestBeginCutover:
    def test_once(self, signed_in: Client, built: Deployment) -> None:
        address = reverse("provisioning:begin_cutover", args=[built.pk])
        assert signed_in.post(address).status_code == 302
        assert signed_in.post(address).status_code == 409
        assert Cutover.objects.get().state == "draft"


class TestPlanCutover:
    def test_a_date_with_consent_is_kept_with_its_words(
        self, signed_in: Client, cutover: Cutover, manager: User
    ) -> None:
        day = timezone.localdate() + dt.timedelta(days=10)
        said = {"day": day.isoformat(), "hour": "8", "consent": "on"}
        response = signed_in.post(reverse("provisioning:plan_cutover", args=[cutover.pk]), said)
        cutover.refresh_from_db()
        assert response.status_code == 302
        assert (cutover.state, cutover.consent_by) == ("planned", manager)
        assert cutover.at is not None
        assert timezone.localtime(cutover.at).strftime("%Y-%m-%d %H") == f"{day.isoformat()} 08"
        assert cutover.deployment.domain in cutover.consent_text

    def test_without_consent_nothing_is_planned(self, signed_in: Client, cutover: Cutover) -> None:
        day = timezone.localdate() + dt.timedelta(days=10)
        address = reverse("provisioning:plan_cutover", args=[cutover.pk])
        response = signed_in.post(address, {"day": day.isoformat(), "hour": "8"})
        assert response.status_code == 422
        assert 'href="#id_consent"' in response.content.decode()
        assert Cutover.objects.get().state == "draft"

    @pytest.mark.parametrize("day", ["", "hier", "2020-01-01", "9999-12-31"])
    def test_a_day_that_is_none_is_refused(self, signed_in: Client, cutover: Cutover, day: str) -> None:
        address = reverse("provisioning:plan_cutover", args=[cutover.pk])
        response = signed_in.post(address, {"day": day, "hour": "8", "consent": "on"})
        assert response.status_code == 422
        assert 'href="#id_day"' in response.content.decode()


class TestCutoverAct:
    def test_calling_off(self, signed_in: Client, cutover: Cutover) -> None:
        address = reverse("provisioning:cutover_act", args=[cutover.pk])
        assert signed_in.post(address, {"act": "cancel"}).status_code == 302
        assert Cutover.objects.get().state == "cancelled"
        assert signed_in.post(address, {"act": "cancel"}).status_code == 409
        assert signed_in.post(address, {"act": "nonsense"}).status_code == 400


class TestRenewal:
    def test_the_operator_agrees_with_its_name_and_date(self, client: Client) -> None:
        built = deployment(registered=True)
        Renewal.objects.create(deployment=built, expires_at=timezone.now() + dt.timedelta(days=90))
        instructor = OperatorRoleFactory.create(operator=built.operator, role="instructor").user
        client.force_login(instructor)
        from tests.accounts.elevation import elevate  # noqa: PLC0415 - only here

        elevate(client)
        address = reverse("provisioning:renewal", args=[built.pk])
        assert client.post(address, {"automatic": "oui"}).status_code == 302
        row = Renewal.objects.get()
        assert (row.automatic, row.consent_by) == (True, instructor)
        assert row.consent_at is not None
        assert "Renouvellement automatique" in client.get(address).content.decode()
        assert client.post(address, {"automatic": "peut-être"}).status_code == 400

    def test_the_commune_reads_and_does_not_decide(self, signed_in: Client, built: Deployment) -> None:
        address = reverse("provisioning:renewal", args=[built.pk])
        assert signed_in.get(address).status_code == 200
        assert signed_in.post(address, {"automatic": "oui"}).status_code == 403
