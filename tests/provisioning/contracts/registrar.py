"""What every registrar promises. A setting is a subclass with a `registrar` fixture."""

from datetime import timedelta

import pytest
from django.utils import timezone

from onboarding.provisioning.backends.names import years_later
from onboarding.provisioning.backends.protocols import Delegation, Registrar
from onboarding.provisioning.errors import NotYet, Refused
from tests.provisioning.contracts.dns import OURS, THEIRS, refusal

NAME = "nouveau.fr"
_PATIENCE = 5


def settled(call: object, *args: object, **kwargs: object) -> None:
    """Ask until it is done, as the engine does when a registry takes its time."""
    for _ in range(_PATIENCE):
        try:
            call(*args, **kwargs)  # type: ignore[operator]  # any method of a backend
        except NotYet:
            continue
        return
    raise AssertionError("never done")


class RegistrarContract:
    """`parked`: where a name points from its order on; `delegation` gives one that the setting can publish."""

    parked: Delegation | None = None

    def delegation(self) -> Delegation:
        return Delegation(("ns1.suite.example.", "ns2.suite.example."), ("1 13 2 " + "ab" * 32,))

    def test_holds_a_name_once_for_one_owner(self, registrar: Registrar) -> None:
        for spelling in (NAME, NAME, NAME.upper()):
            settled(registrar.ensure_registered, spelling, owner=OURS)
        assert registrar.delegation(NAME) == self.parked
        assert refusal(registrar.ensure_registered, NAME, owner=THEIRS) == "taken"

    def test_points_the_name_at_our_servers(self, registrar: Registrar) -> None:
        delegation = self.delegation()
        settled(registrar.ensure_registered, NAME, owner=OURS)
        for _ in range(2):
            settled(registrar.ensure_delegated, NAME, delegation)
        assert registrar.delegation(NAME) == delegation

    def test_knows_nothing_of_a_name_it_does_not_hold(self, registrar: Registrar) -> None:
        delegation = Delegation(("ns1.suite.example.",))
        assert refusal(registrar.ensure_delegated, "inconnu.fr", delegation) == "unknown_domain"
        assert refusal(registrar.delegation, "inconnu.fr") == "unknown_domain"
        assert refusal(registrar.expires_at, "inconnu.fr") == "unknown_domain"
        assert refusal(registrar.ensure_renewed, "inconnu.fr", timezone.now()) == "unknown_domain"

    def test_a_name_is_held_for_a_year_and_renewed_once_for_a_date(self, registrar: Registrar) -> None:
        settled(registrar.ensure_registered, NAME, owner=OURS)
        first = registrar.expires_at(NAME)
        assert timedelta(days=364) < first - timezone.now() < timedelta(days=367)
        registrar.ensure_renewed(NAME, first)
        assert registrar.expires_at(NAME) == first
        for _ in range(2):
            settled(registrar.ensure_renewed, NAME, first + timedelta(days=1))
        assert registrar.expires_at(NAME) == years_later(first, 1)

    def test_a_name_that_is_no_name_is_refused(self, registrar: Registrar) -> None:
        with pytest.raises(Refused) as refused:
            registrar.ensure_registered("pas un nom.fr", owner=OURS)
        assert refused.value.code == "invalid_name"
