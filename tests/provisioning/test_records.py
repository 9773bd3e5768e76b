"""What a zone of ours publishes (services.md, 6.3; rulings, 21)."""

import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.protocols import MailSpec
from onboarding.provisioning.backends.rrsets import normal_record
from onboarding.provisioning.records import expected_of, mail_records, records_for

DOMAIN = "essai.collectivite.fr"
# As dimail says it (services.md, 6.3).
SPEC = MailSpec(
    mx=((10, "mx.ox.numerique.gouv.fr."),),
    spf="include:_spf.ox.numerique.gouv.fr",
    dkim_selector="dimail",
    dkim="v=DKIM1; h=sha256; k=rsa; p=ABCD",
    aliases=tuple((label, f"{label}.ox.numerique.gouv.fr.") for label in ("imap", "smtp", "webmail")),
)


@pytest.fixture
def published(settings: Settings) -> dict[tuple[str, str], tuple[str, ...]]:
    settings.DMARC_REPORTS, settings.TLS_REPORTS = "dmarc@suite.example", "tls@suite.example"
    settings.MAIL_DISCOVERY_HOST = "suite.example"
    return {(each.name.removesuffix(DOMAIN).rstrip("."), each.type): each.values for each in records_for(DOMAIN, SPEC)}


def test_mail_comes_and_goes_by_the_provider(published: dict[tuple[str, str], tuple[str, ...]]) -> None:
    assert published["", "MX"] == ("10 mx.ox.numerique.gouv.fr.",)
    assert published["", "TXT"] == ("v=spf1 include:_spf.ox.numerique.gouv.fr -all",)
    assert published["dimail._domainkey", "TXT"] == (SPEC.dkim,)
    assert published["webmail", "CNAME"] == ("webmail.ox.numerique.gouv.fr.",)


def test_who_usurps_it_is_refused_and_told_of(published: dict[tuple[str, str], tuple[str, ...]]) -> None:
    assert published["_dmarc", "TXT"] == ("v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:dmarc@suite.example",)
    assert published["", "CAA"] == ('0 issue "letsencrypt.org"', '0 issuewild ";"')


def test_it_comes_encrypted_and_failures_are_told(published: dict[tuple[str, str], tuple[str, ...]]) -> None:
    assert published["_mta-sts", "TXT"][0].startswith("v=STSv1; id=")
    assert published["_mta-sts", "TXT"][0].partition("id=")[2].isalnum()
    assert published["mta-sts", "CNAME"] == ("suite.example.",)
    assert published["_smtp._tls", "TXT"] == ("v=TLSRPTv1; rua=mailto:tls@suite.example",)


def test_mail_programs_find_their_servers(published: dict[tuple[str, str], tuple[str, ...]]) -> None:
    assert published["_imaps._tcp", "SRV"] == ("0 1 993 imap.ox.numerique.gouv.fr.",)
    assert published["_submissions._tcp", "SRV"] == ("0 1 465 smtp.ox.numerique.gouv.fr.",)
    assert published["autoconfig", "CNAME"] == ("suite.example.",)
    assert ("_autodiscover._tcp", "SRV") not in published


def test_where_nothing_must_be_the_zone_says_so(published: dict[tuple[str, str], tuple[str, ...]]) -> None:
    assert published["*", "MX"] == ("0 .",)
    assert published["*", "TXT"] == ("v=spf1 -all",)
    for service in ("_imap", "_pop3", "_pop3s"):
        assert published[f"{service}._tcp", "SRV"] == ("0 0 0 .",)


def test_every_set_is_valid_and_stands_once(settings: Settings) -> None:
    settings.MAIL_DISCOVERY_HOST = "suite.example"
    records = records_for(DOMAIN, SPEC)
    assert len({(each.name, each.type) for each in records}) == len(records)
    assert [normal_record(each, DOMAIN).name for each in records] == [each.name for each in records]
    aliases = {each.name for each in records if each.type == "CNAME"}
    assert not aliases & {each.name for each in records if each.type != "CNAME"}


def test_what_is_not_set_is_not_announced(settings: Settings) -> None:
    settings.CAA_ISSUERS = []
    names = {each.name for each in records_for(DOMAIN, SPEC)}
    assert not names & {f"_mta-sts.{DOMAIN}", f"mta-sts.{DOMAIN}", f"_smtp._tls.{DOMAIN}", f"autoconfig.{DOMAIN}"}
    assert not [each for each in records_for(DOMAIN, SPEC) if each.type == "CAA"]


def test_a_provider_with_pages_of_its_own_keeps_them(settings: Settings) -> None:
    settings.MAIL_DISCOVERY_HOST = "suite.example"
    spec = MailSpec(SPEC.mx, SPEC.spf, "s", SPEC.dkim, (*SPEC.aliases, ("autoconfig", "auto.provider.example.")))
    found = [each.values for each in records_for(DOMAIN, spec) if each.name == f"autoconfig.{DOMAIN}"]
    assert found == [("auto.provider.example.",)]


def test_on_a_domain_in_use_only_mail_is_asked() -> None:
    assert {each.type for each in mail_records(DOMAIN, SPEC)} == {"MX", "TXT", "CNAME"}
    assert expected_of(SPEC).spf == SPEC.spf
