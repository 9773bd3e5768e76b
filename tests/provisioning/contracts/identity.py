"""The contract of what attaches domains to identity providers. A setting gives `identity` and `provider`, an empty one.

`stranger` attaches a domain there as somebody else would.
"""

from collections.abc import Callable

import pytest

from onboarding.provisioning.backends.protocols import Identity
from onboarding.provisioning.errors import Refused

Stranger = Callable[[str], None]


class IdentityContract:
    """What every backend keeps."""

    def test_attaches_exactly_what_is_wanted(self, identity: Identity, provider: str) -> None:
        wanted = frozenset({"a.fr", "b.fr"})
        for _ in range(2):
            identity.ensure_domains(provider, wanted, known=frozenset())
        assert identity.domains(provider) == wanted
        identity.ensure_domains(provider, frozenset({"a.fr", "c.fr"}), known=wanted)
        assert identity.domains(provider) == {"a.fr", "c.fr"}

    def test_a_name_is_one_however_it_is_written(self, identity: Identity, provider: str) -> None:
        identity.ensure_domains(provider, frozenset({"A.fr", "a.fr."}), known=frozenset())
        assert identity.domains(provider) == {"a.fr"}

    def test_a_domain_that_somebody_else_attached_stops_everything(
        self, identity: Identity, provider: str, stranger: Stranger
    ) -> None:
        stranger("theirs.fr")
        with pytest.raises(Refused) as refused:
            identity.ensure_domains(provider, frozenset({"ours.fr"}), known=frozenset({"ours.fr"}))
        assert refused.value.code == "not_ours"
        assert "theirs.fr" in refused.value.note
        assert identity.domains(provider) == {"theirs.fr"}

    def test_five_may_go_at_once_and_six_may_not(self, identity: Identity, provider: str) -> None:
        many = frozenset(f"c{number}.fr" for number in range(7))
        identity.ensure_domains(provider, many, known=frozenset())
        with pytest.raises(Refused) as refused:
            identity.ensure_domains(provider, frozenset({"c0.fr"}), known=many)
        assert refused.value.code == "not_ours"
        assert identity.domains(provider) == many
        identity.ensure_domains(provider, frozenset({"c0.fr", "c1.fr"}), known=many)
        assert identity.domains(provider) == {"c0.fr", "c1.fr"}

    def test_refuses_a_provider_that_is_not_there(self, identity: Identity) -> None:
        for unknown in ("idp-unknown", "../admin", "", "a/b"):
            with pytest.raises(Refused) as refused:
                identity.domains(unknown)
            assert refused.value.code == "unknown_provider"
