"""What is declared, read with care; the lists; the remedies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.audits import declared
from onboarding.audits.facts import organizational_domain
from onboarding.audits.lists import SHIPPED, shipped
from onboarding.audits.remedies import remedy
from onboarding.audits.rules.finding import Finding

ADDRESSES = [
    ("mairie@exemple.fr", "exemple.fr"),
    (" Mairie@EXEMPLE.fr ", "exemple.fr"),
    ("a.b-c_d+e'f@x.y.fr", "x.y.fr"),
    ("mairie@xn--exmple-cva.fr", "xn--exmple-cva.fr"),
    ("", None),
    ("mairie", None),
    ("@exemple.fr", None),
    ("mairie@", None),
    ("mairie@exemple", None),
    ("mairie@exemple..fr", None),
    ("mairie@-exemple.fr", None),
    ("mairie@exemple-.fr", None),
    ("mairie@exem_ple.fr", None),
    (".mairie@exemple.fr", None),
    ("mairie.@exemple.fr", None),
    ("ma irie@exemple.fr", None),
    ("mairie@exemple.fr; autre@exemple.fr", None),
    ('"mairie"@exemple.fr', None),
    ("mairie@exémple.fr", None),
    ("mairie@" + "a" * 64 + ".fr", None),
    ("mairie@" + ".".join(["abcdefghi"] * 26) + ".fr", None),
    ("mairie@[192.0.2.1]", None),
]


@pytest.mark.parametrize(("address", "domain"), ADDRESSES)
def test_the_domain_of_an_address_is_read(address: str, domain: str | None) -> None:
    assert declared.mail_domain(address) == domain


SITES = [
    ("https://www.exemple.fr", "www.exemple.fr", None),
    ("HTTP://EXEMPLE.FR:8080/x", "exemple.fr", 8080),
    ("https://exemple.fr./", "exemple.fr", None),
    ("https://évreux.fr/é?é#é", "xn--vreux-9ra.fr", None),
    ("https://a_b.exemple.fr/", "a_b.exemple.fr", None),
]


@pytest.mark.parametrize(("address", "host", "port"), SITES)
def test_a_well_formed_site_is_read(address: str, host: str, port: int | None) -> None:
    site = declared.site(address)
    assert site is not None
    assert (site.host, site.port) == (host, port)
    assert "#" not in site.url


@pytest.mark.parametrize(
    "address",
    [
        "", "exemple.fr", "ftp://exemple.fr", "javascript:alert(1)", "http://", "http:///chemin", "https://exemple",
        "https://a@exemple.fr", "https://192.0.2.1/", "https://2130706433/", "https://127.1/", "https://[::1]/",
        "https://exemple.fr:99999/", "https://exemple.fr:x/", "https://exem ple.fr/", "https://-a.fr/", "https://.fr/",
        "https://a..fr/", "https://" + "a" * 64 + ".fr/", "https://" + "a." * 127 + "fr/", "http://[::1", "//exemple.fr",
    ],
)  # fmt: skip
def test_what_is_not_a_site_is_none(address: str) -> None:
    assert declared.site(address) is None


@given(st.text(max_size=100))
def test_no_text_can_break_the_reading(text: str) -> None:
    for each in (text, f"https://{text}", f"https://{text}.fr/", f"https://exemple.fr:{text}"):
        site = declared.site(each)
        assert site is None or "." in site.host
    declared.mail_domain(text)
    declared.mail_domain(f"mairie@{text}.fr")
    declared.to_ascii(text)


@pytest.mark.parametrize(
    ("host", "platform"),
    [
        ("facebook.com", "facebook.com"),
        ("fr-fr.facebook.com", "facebook.com"),
        ("FACEBOOK.COM.", "facebook.com"),
        ("sites.google.com", "sites.google.com"),
        ("google.com", ""),
        ("notfacebook.com", ""),
        ("mairie19.paris.fr", ""),
        ("x.collectivite.fr", ""),
    ],
)
def test_a_platform_is_known_by_its_own_name_and_those_below(host: str, platform: str) -> None:
    assert shipped().is_platform(host) == platform


def test_the_lists_are_those_of_the_referentiel() -> None:
    lists = shipped()
    assert len(lists.sovereign_extensions) == 16
    assert len(lists.generic_mail_domains) == 67
    assert len(lists.shared_platforms) == 57
    assert lists.redirect_allowed == {"collectivite.fr", "gouv.fr"}
    assert len(lists.eu_countries) == 33
    assert not lists.eu_countries & lists.french_outside_eu
    assert not {"copler.fr", "selonnet.fr", "intramuros.org"} & lists.generic_mail_domains
    assert "intramuros.org" in lists.shared_platforms
    assert lists.version


def test_the_lists_are_written_in_lower_case_and_once_each() -> None:
    for key, values in json.loads(SHIPPED.read_text()).items():
        if isinstance(values, list):
            assert len(values) == len(set(values)), key
            if key not in {"eu_countries", "french_outside_eu"}:
                assert all(each == each.lower().strip(".") for each in values), key


@pytest.mark.parametrize(
    ("domain", "shared"),
    [("orange.fr", True), ("wordpress.com", True), ("exemple.fr", False), ("collectivite.fr", False)],
)
def test_what_lies_below_a_provider_is_each_its_own(domain: str, shared: bool) -> None:  # noqa: FBT001 - a parameter
    assert shipped().is_shared(domain) is shared


def test_the_organisational_domain_of_an_extension_alone_is_itself() -> None:
    assert organizational_domain("fr") == "fr"
    assert organizational_domain("gouv.fr") == "gouv.fr"


def test_a_record_to_copy_names_the_domain() -> None:
    mending = remedy(Finding("2.6", "fail", "no_dmarc", "…"), "exemple.fr")
    assert mending is not None
    assert mending.record == '_dmarc.exemple.fr. IN TXT "v=DMARC1; p=quarantine"'


@pytest.mark.parametrize(
    ("finding", "word"),
    [
        (Finding("1.5", "fail", "certificate_expired", "…"), "certificat"),
        (Finding("1.3", "fail", "status_503", "…"), "erreur"),
        (Finding("1.3", "fail", "dns_nxdomain", "…"), "renouvelé"),
        (Finding("B7", "warning", "tls_old_accepted", "…"), "TLS"),
        (Finding("B3", "fail", "policy_malformed", "…"), "MTA-STS"),
        (Finding("1.3", "fail", "reset", "…"), "site"),
        (Finding("2.4", "fail", "mx_differs", "…"), "Signalez"),
    ],
)
def test_a_family_of_reasons_shares_a_remedy(finding: Finding, word: str) -> None:
    mending = remedy(finding, "exemple.fr")
    assert mending is not None
    assert word in mending.text
    assert mending.ask


@pytest.mark.parametrize(
    "finding",
    [
        Finding("1.1", "pass", "ok", "…"),
        Finding("2.3", "not_required", "waived", "…"),
        Finding("2.7", "fail", "depends_on:2.6", "…"),
        Finding("2.4", "unknown", "dns_timeout", "…"),
    ],
)
def test_what_is_fine_unknown_or_stands_on_something_else_has_none(finding: Finding) -> None:
    assert remedy(finding, "exemple.fr") is None
