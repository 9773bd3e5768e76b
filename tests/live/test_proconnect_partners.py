"""W5: ProConnect's partners' API, against a stand-in that checks each signature."""

import json
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.proconnect import ProConnectIdentity
from onboarding.provisioning.backends.protocols import Identity
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from tests.provisioning.contracts.identity import IdentityContract, Stranger
from tests.standins.proconnect_partners import PREFIX, SECRET, Partners, Provider, partners

NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def server(settings: Settings) -> Iterator[Partners]:
    with partners() as state:
        state.providers["idp-1"] = Provider()
        settings.PROCONNECT_PARTNERS_URL = state.url
        settings.PROCONNECT_PARTNERS_SECRET = SECRET
        yield state


class TestProConnectIdentity(IdentityContract):
    @pytest.fixture
    def identity(self, server: Partners) -> Identity:
        return ProConnectIdentity()

    @pytest.fixture
    def provider(self, server: Partners) -> str:
        return "idp-1"

    @pytest.fixture
    def stranger(self, server: Partners) -> Stranger:
        return server.providers["idp-1"].domains.append

    def test_reads_before_it_replaces_and_replaces_only_what_differs(
        self, identity: Identity, server: Partners
    ) -> None:
        for _ in range(2):
            identity.ensure_domains("idp-1", frozenset({"b.fr", "a.fr"}), known=NOBODY)
        assert [method for method, _, _ in server.requests] == ["GET", "PATCH", "GET"]
        assert server.requests[1][2] == b'{"attached_email_domains":["a.fr","b.fr"]}'

    def test_the_prefix_of_the_address_is_in_the_path_that_is_signed(
        self, identity: Identity, server: Partners
    ) -> None:
        assert identity.domains("idp-1") == NOBODY
        assert server.requests[0][1] == f"{PREFIX}/api/oidc_providers/idp-1/configuration"

    def test_a_body_that_is_not_ascii_is_signed_as_it_is_sent(self, identity: Identity, server: Partners) -> None:
        identity.ensure_domains("idp-1", frozenset({"évreux.fr"}), known=NOBODY)
        assert "évreux.fr".encode() in server.requests[1][2]
        assert server.providers["idp-1"].domains == ["évreux.fr"]

    def test_a_domain_not_yet_allowed_waits_and_is_named(self, identity: Identity, server: Partners) -> None:
        server.providers["idp-1"].allowed = {"a.fr"}
        with pytest.raises(NotYet) as waiting:
            identity.ensure_domains("idp-1", frozenset({"a.fr", "b.fr"}), known=NOBODY)
        assert waiting.value.code == "not_allowed"
        assert "b.fr" in waiting.value.note
        assert "a.fr," not in waiting.value.note
        server.providers["idp-1"].allowed.add("b.fr")
        identity.ensure_domains("idp-1", frozenset({"a.fr", "b.fr"}), known=NOBODY)
        assert identity.domains("idp-1") == {"a.fr", "b.fr"}

    def test_an_answer_lost_after_success_is_found_done(self, identity: Identity, server: Partners) -> None:
        server.faults = ["", "drop"]
        with pytest.raises(Unavailable):
            identity.ensure_domains("idp-1", frozenset({"a.fr"}), known=NOBODY)
        identity.ensure_domains("idp-1", frozenset({"a.fr"}), known=frozenset({"a.fr"}))
        assert [method for method, _, _ in server.requests] == ["GET", "PATCH", "GET"]

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            ("redirect", "redirected"),
            ("garbage", "garbage"),
            ("error", "server_error"),
            ("other", "another_provider"),
            ("hang", "timeout"),
        ],
    )
    def test_what_is_no_clear_answer_is_unavailable(
        self, identity: Identity, server: Partners, fault: str, code: str
    ) -> None:
        server.faults = [fault]
        with pytest.raises(Unavailable) as failed:
            identity.domains("idp-1")
        assert failed.value.code == code
        assert len(server.requests) == 1

    def test_a_server_that_says_yes_and_keeps_something_else_is_not_believed(
        self, identity: Identity, server: Partners
    ) -> None:
        server.faults = ["", "lie"]
        with pytest.raises(Unavailable) as failed:
            identity.ensure_domains("idp-1", frozenset({"a.fr"}), known=NOBODY)
        assert failed.value.code == "not_kept"

    def test_a_provider_that_is_not_ours_to_edit_needs_a_person(self, identity: Identity, server: Partners) -> None:
        server.providers["idp-1"].editable = False
        with pytest.raises(Refused) as refused:
            identity.ensure_domains("idp-1", frozenset({"a.fr"}), known=NOBODY)
        assert refused.value.code == "not_editable"

    def test_a_wrong_secret_is_denied(self, server: Partners, settings: Settings) -> None:
        settings.PROCONNECT_PARTNERS_SECRET = "another"
        with pytest.raises(Unavailable) as failed:
            ProConnectIdentity().domains("idp-1")
        assert failed.value.code == "denied"


@pytest.mark.parametrize("url", ["http://partenaires.example/api", "ftp://127.0.0.1/", "", "http://127.0.0.1.example/"])
def test_nothing_is_sent_in_clear(settings: Settings, url: str) -> None:
    settings.PROCONNECT_PARTNERS_URL = url
    with pytest.raises(Refused) as refused:
        ProConnectIdentity().domains("idp-1")
    assert refused.value.code == "not_https"


def test_the_password_of_a_proxy_is_in_nothing_that_is_raised_or_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PROCONNECT_PARTNERS_URL = "https://partenaires.example"
    settings.PROCONNECT_PARTNERS_PROXY = "http://robot:motdepasse@127.0.0.1:9"
    caplog.set_level("DEBUG")
    with pytest.raises(Unavailable) as failed:
        ProConnectIdentity().domains("idp-1")
    told = [str(failed.value), failed.value.note, str(failed.value.__cause__), json.dumps(caplog.messages)]
    assert "motdepasse" not in " ".join(told)
