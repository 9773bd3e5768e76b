from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from suite import doctor as site
from suite.accounts import breakglass
from suite.accounts.diagnosis import Facts, Line, Ours, judge
from suite.celery import app
from suite.notices.models import Notice
from tests.factories.notices import NoticeFactory

ISSUER = "https://auth.agentconnect.gouv.fr/api/v2"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OURS = Ours(
    issuer=ISSUER,
    endpoints={
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "jwks_uri": f"{ISSUER}/jwks",
        "end_session_endpoint": f"{ISSUER}/session/end",
    },
    scopes=["openid", "siret"],
    levels=["eidas1", "eidas2"],
    pkce=True,
    requires_iss=True,
    redirect_uri="https://suite.example/connexion/retour/",
    post_logout_uri="https://suite.example/deconnexion/retour/",
)
DISCOVERY: dict[str, Any] = {
    "issuer": ISSUER,
    **OURS.endpoints,
    "response_types_supported": ["code"],
    "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    "userinfo_signing_alg_values_supported": ["RS256"],
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "code_challenge_methods_supported": ["S256"],
    "scopes_supported": ["openid", "siret", "email"],
    "acr_values_supported": ["eidas1", "eidas2", "eidas3"],
    "claims_parameter_supported": True,
    "authorization_response_iss_parameter_supported": True,
}
KEY = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": "x", "e": "AQAB"}
FACTS = Facts(
    discovery=DISCOVERY,
    keys=[KEY],
    clock_difference=0.4,
    certificate_ends=NOW + timedelta(days=60),
    probe="invalid_grant",
    now=NOW,
)


def bad(facts: Facts, ours: Ours = OURS) -> list[tuple[str, str]]:
    """Return what is wrong, by level and name."""
    return [(line.level, line.name) for line in judge(facts, ours) if line.level in {"warning", "error"}]


def changed(**changes: Any) -> Facts:
    """Return the facts with another discovery document; None removes a claim."""
    document = {**DISCOVERY, **changes}
    return replace(FACTS, discovery={name: value for name, value in document.items() if value is not None})


class TestJudge:
    def test_a_provider_that_agrees_is_said_to(self) -> None:
        assert bad(FACTS) == []

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"issuer": f"{ISSUER}/"}, ("error", "issuer")),
            ({"token_endpoint": "https://evil.example/token"}, ("error", "token-endpoint")),
            ({"end_session_endpoint": None}, ("warning", "end-session-endpoint")),
            ({"response_types_supported": ["id_token"]}, ("error", "flow")),
            ({"id_token_signing_alg_values_supported": ["ES256"]}, ("error", "id-token")),
            ({"userinfo_signing_alg_values_supported": ["ES256"]}, ("error", "userinfo")),
            ({"userinfo_signing_alg_values_supported": None}, ("warning", "userinfo")),
            ({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, ("error", "client")),
            ({"code_challenge_methods_supported": ["plain"]}, ("error", "pkce")),
            ({"code_challenge_methods_supported": None}, ("warning", "pkce")),
            ({"scopes_supported": ["openid"]}, ("error", "scopes")),
            ({"acr_values_supported": ["eidas1"]}, ("error", "levels")),
            ({"acr_values_supported": "eidas1"}, ("error", "levels")),
            ({"claims_parameter_supported": False}, ("error", "claims")),
            ({"claims_parameter_supported": None}, ("warning", "claims")),
            ({"authorization_response_iss_parameter_supported": False}, ("error", "callback-iss")),
        ],
        ids=str,
    )
    def test_each_divergence_has_its_line(self, changes: dict[str, Any], expected: tuple[str, str]) -> None:
        assert bad(changed(**changes)) == [expected]

    def test_a_promised_iss_must_be_demanded(self) -> None:
        assert bad(FACTS, replace(OURS, requires_iss=False)) == [("error", "callback-iss")]

    def test_pkce_switched_off_is_recalled(self) -> None:
        assert bad(FACTS, replace(OURS, pkce=False)) == [("warning", "pkce")]

    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            ([], [("error", "keys")]),
            ([{**KEY, "use": "enc"}], [("error", "keys")]),
            ([{**KEY, "alg": "RS512"}], [("error", "keys")]),
            ([{**KEY, "kty": "EC"}], [("error", "keys")]),
            ([{**KEY, "kid": ""}], [("warning", "key-names")]),
            (["garbage", KEY], [("warning", "key-names")]),
            ([KEY, {**KEY, "kid": "two"}], []),
        ],
        ids=str,
    )
    def test_the_keys_are_looked_at(self, keys: list[Any], expected: list[tuple[str, str]]) -> None:
        assert bad(replace(FACTS, keys=keys)) == expected

    @pytest.mark.parametrize(
        ("seconds", "expected"), [(10, []), (-11, [("warning", "clock")]), (31, [("error", "clock")])]
    )
    def test_the_clocks_are_compared(self, seconds: float, expected: list[tuple[str, str]]) -> None:
        assert bad(replace(FACTS, clock_difference=seconds)) == expected

    @pytest.mark.parametrize(
        ("days", "expected"), [(16, []), (14, [("warning", "certificate")]), (-1, [("error", "certificate")])]
    )
    def test_the_certificate_s_end_is_announced(self, days: int, expected: list[tuple[str, str]]) -> None:
        assert bad(replace(FACTS, certificate_ends=NOW + timedelta(days=days))) == expected

    def test_a_certificate_that_is_refused_is_an_error(self) -> None:
        facts = replace(FACTS, certificate_ends=None, certificate_problem="self-signed certificate")
        assert bad(facts) == [("error", "certificate")]

    @pytest.mark.parametrize(
        ("probe", "expected"),
        [("invalid_client", [("error", "credentials")]), ("status 500", [("warning", "credentials")]), ("", [])],
    )
    def test_the_probe_tells_good_credentials_from_wrong_ones(
        self, probe: str, expected: list[tuple[str, str]]
    ) -> None:
        assert bad(replace(FACTS, probe=probe)) == expected

    def test_a_provider_that_does_not_answer_is_one_sentence(self) -> None:
        facts = Facts(discovery_problem="it answers 500", keys_problem="it answers 500", now=NOW)
        assert bad(facts) == [("error", "discovery"), ("error", "keys")]

    def test_the_addresses_to_register_are_printed_exactly(self) -> None:
        said = " ".join(line.text for line in judge(FACTS, OURS))
        assert " https://suite.example/connexion/retour/ " in f"{said} "
        assert " https://suite.example/deconnexion/retour/" in said

    def test_what_a_stranger_announces_stays_on_one_line(self) -> None:
        facts = changed(issuer="x\n\x1b[31mok" + "y" * 500)
        line = next(line for line in judge(facts, OURS) if line.name == "issuer")
        assert line.text.isprintable()
        assert len(line.text) < 300


@pytest.mark.django_db
class TestSite:
    def lines(self, name: str) -> list[Line]:
        return [line for line in site.look() if line.name == name]

    def test_the_database_the_cache_and_the_broker_answer(self) -> None:
        for name in ("database", "migrations", "cache", "broker", "notices"):
            assert [line.level for line in self.lines(name)] == ["ok"], name

    @pytest.mark.parametrize(
        ("waiting", "level"),
        [(timedelta(minutes=14), "ok"), (timedelta(minutes=16), "warning"), (timedelta(days=2), "error")],
    )
    def test_a_notice_that_waits_is_said(self, waiting: timedelta, level: str) -> None:
        then = timezone.now() - waiting
        NoticeFactory.create(state=Notice.State.QUEUED, created_at=then, next_at=then)
        assert [line.level for line in self.lines("notices")] == [level]

    def test_a_notice_that_was_given_up_is_said(self) -> None:
        NoticeFactory.create(state=Notice.State.FAILED)
        assert [line.level for line in self.lines("notices-failed")] == ["warning"]

    def test_a_broker_that_is_away_is_said_without_its_password(self, settings: Any) -> None:
        kept = app.conf.broker_url
        app.conf.update(broker_url="redis://:hidden@127.0.0.1:1/0")
        try:
            (line,) = self.lines("broker")
        finally:
            app.conf.update(broker_url=kept)
        assert line.level == "error"
        assert "hidden" not in line.text

    def test_a_backend_that_does_not_exist_is_said(self, settings: Any) -> None:
        settings.BACKENDS = {**settings.BACKENDS, "dns": "nowhere.Dns"}
        assert [line.level for line in self.lines("backend-dns")] == ["error"]

    def test_the_drill_of_the_break_glass_accounts_is_recalled(self) -> None:
        assert "no break-glass account" in self.lines("break-glass")[0].text
        breakglass.create("coffre-1")
        assert "hold a drill" in self.lines("break-glass")[0].text
