"""The local identity providers under the contract, and the check vectors of ProConnect's signature (W5)."""

import pytest

from onboarding.provisioning.backends.local import LocalIdentity
from onboarding.provisioning.backends.proconnect import signature
from onboarding.provisioning.backends.protocols import Identity
from tests.provisioning.contracts.identity import IdentityContract, Stranger

PATH = "/api/oidc_providers/idp-demo/configuration"


class TestLocalIdentity(IdentityContract):
    @pytest.fixture
    def identity(self) -> Identity:
        return LocalIdentity()

    @pytest.fixture
    def provider(self) -> str:
        return "idp-demo"

    @pytest.fixture
    def stranger(self, identity: Identity, provider: str) -> Stranger:
        return lambda domain: identity.ensure_domains(provider, frozenset({domain}), known=frozenset())


class TestSignature:
    def test_w5_the_check_vector_of_a_get(self) -> None:
        expected = "f449006c868967037278c1b1bae967241a6f89acc9cc33e90d137f1a5e8e88ba"
        assert signature("demo-secret", "1750000000", "GET", PATH, b"") == expected

    def test_w5_the_check_vector_of_a_patch(self) -> None:
        body = b'{"attached_email_domains":["mairie-a.fr","mairie-b.fr"]}'
        expected = "7f81988ca29b113176b6dd81f231ddca41f5e9a21a05c8d8ddcdaa724affc011"
        assert signature("demo-secret", "1750000000", "PATCH", PATH, body) == expected
