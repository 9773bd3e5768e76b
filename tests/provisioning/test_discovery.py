"""The two files that mail servers and mail programs ask of a commune's domain."""

from dataclasses import asdict
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.provisioning.backends.protocols import MailSpec
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.records import mta_sts_policy, records_for
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db

SPEC = MailSpec(
    mx=((20, "mx2.mail.example."), (10, "mx1.mail.example.")),
    spf="include:_spf.mail.example",
    dkim_selector="suite",
    dkim="v=DKIM1; p=AB",
    aliases=(("imap", "imap.mail.example."), ("smtp", "smtp.mail.example.")),
)
POLICY = "/.well-known/mta-sts.txt"
CONFIG = "/mail/config-v1.1.xml"


def see(made: Deployment, observed: dict[str, object]) -> None:
    """Write what the mail domain's step would have seen."""
    domains = made.resources.filter(kind=Resource.Kind.MAIL_DOMAIN)
    domains.update(observed=observed, observed_at=timezone.now())


@pytest.fixture
def live() -> Deployment:
    """Return a deployment whose mail domain was seen."""
    made = deployment(domain="essai.collectivite.fr")
    made.resources.filter(kind=Resource.Kind.MAIL_DOMAIN).update(
        observed_at=timezone.now(), observed={"quota": 1, "spec": asdict(SPEC)}
    )
    return made


class TestPolicy:
    def test_it_names_every_mail_server_of_the_domain(
        self, client: Client, live: Deployment, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(1):
            response = client.get(POLICY, headers={"host": f"MTA-STS.{live.domain}"})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")
        assert response.text.splitlines() == [
            "version: STSv1",
            "mode: testing",
            "mx: mx1.mail.example",
            "mx: mx2.mail.example",
            "max_age: 604800",
        ]
        assert not response.cookies

    def test_it_is_told_by_http_as_by_https_without_leading_elsewhere(
        self, client: Client, live: Deployment, settings: Settings
    ) -> None:
        settings.SECURE_SSL_REDIRECT, settings.PUBLIC_BASE_URL = True, "https://suite.example"
        assert client.get(POLICY, headers={"host": f"mta-sts.{live.domain}"}).status_code == 200

    @pytest.mark.parametrize(
        "host", ["mta-sts.inconnu.fr", "mta-sts.", "mta-sts.a\x00b.fr", "mta-sts..fr", "mta-sts." + "a." * 200 + "fr"]
    )
    def test_a_domain_that_is_not_ours_has_none(self, client: Client, host: str) -> None:
        assert client.get(POLICY, headers={"host": host}).status_code == 404

    def test_nor_one_whose_owner_publishes_its_own_records(self, client: Client) -> None:
        made = deployment(external=True)
        made.resources.filter(kind=Resource.Kind.MAIL_DOMAIN).update(
            observed_at=timezone.now(), observed={"spec": asdict(SPEC)}
        )
        assert client.get(POLICY, headers={"host": f"mta-sts.{made.domain}"}).status_code == 404

    def test_nor_one_that_closed_or_is_not_built_yet(self, client: Client, live: Deployment) -> None:
        Deployment.objects.filter(pk=live.pk).update(closed_at=timezone.now())
        assert client.get(POLICY, headers={"host": f"mta-sts.{live.domain}"}).status_code == 404
        unbuilt = deployment()
        assert client.get(POLICY, headers={"host": f"mta-sts.{unbuilt.domain}"}).status_code == 404

    def test_nothing_else_of_the_site_answers_under_a_communes_name(self, client: Client, live: Deployment) -> None:
        for path in ("/", "/connexion/", "/healthz/", "/.well-known/", CONFIG):
            assert client.get(path, headers={"host": f"mta-sts.{live.domain}"}).status_code in {400, 404}

    def test_nothing_is_written_there(self, client: Client, live: Deployment) -> None:
        assert client.post(POLICY, headers={"host": f"mta-sts.{live.domain}"}).status_code == 405

    def test_its_version_follows_what_it_says(self, settings: Settings) -> None:
        settings.MAIL_DISCOVERY_HOST = "suite.example"
        versions = set()
        for mode in ("testing", "enforce", "enforce"):
            settings.MTA_STS_MODE = mode
            published = {(each.name, each.type): each.values for each in records_for("essai.fr", SPEC)}
            versions |= set(published["_mta-sts.essai.fr", "TXT"])
        assert len(versions) == 2
        assert mta_sts_policy(SPEC).endswith("\r\n")


class TestAutoconfig:
    def test_a_mail_program_finds_both_servers(self, client: Client, live: Deployment) -> None:
        response = client.get(f"{CONFIG}?emailaddress=a@b.fr", headers={"host": f"autoconfig.{live.domain}"})
        root = ET.fromstring(response.text)  # noqa: S314 - our own answer
        assert root.findtext("./emailProvider/domain") == live.domain
        for tag, host, port in [("incoming", "imap.mail.example", "993"), ("outgoing", "smtp.mail.example", "465")]:
            server = root.find(f"./emailProvider/{tag}Server")
            assert server is not None
            assert (server.findtext("hostname"), server.findtext("port")) == (host, port)
            assert server.findtext("socketType") == "SSL"

    def test_a_provider_that_names_no_host_has_no_such_page(self, client: Client, live: Deployment) -> None:
        bare = {**asdict(SPEC), "aliases": []}
        live.resources.filter(kind=Resource.Kind.MAIL_DOMAIN).update(
            observed_at=timezone.now(), observed={"spec": bare}
        )
        assert client.get(CONFIG, headers={"host": f"autoconfig.{live.domain}"}).status_code == 404
