"""The contract of the registrars on a stand-in of Gandi's API, and what goes wrong with orders. Never the real one."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from pytest_django import Settings

from onboarding.provisioning.backends.gandi import GandiRegistrar
from onboarding.provisioning.backends.local import LocalDns
from onboarding.provisioning.backends.local_dns import reply
from onboarding.provisioning.backends.protocols import Delegation, Registrar
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from tests.provisioning.contracts.dns import OURS, THEIRS, refusal
from tests.provisioning.contracts.registrar import NAME, RegistrarContract, settled
from tests.standins.gandi import TOKEN, GandiStandIn

SERVERS = ("ns1.suite.example.", "ns2.suite.example.")


@pytest.fixture
def gandi(settings: Settings, tmp_path: object) -> Iterator[GandiStandIn]:
    del tmp_path
    cache.clear()
    settings.DNS_NAME_SERVERS = [server.rstrip(".") for server in SERVERS]
    settings.GANDI_TOKEN = TOKEN
    settings.GANDI_HOLDER = {"email": "noms@suite.example", "orgname": "La Suite", "country": "FR", "type": 2}
    standin = GandiStandIn()
    with standin.running(), zone_served() as port:
        settings.GANDI_URL = f"{standin.url}/v5"
        settings.NAME_SERVER_ADDRESSES = {server.rstrip("."): f"127.0.0.1:{port}" for server in SERVERS}
        yield standin
    cache.clear()


class zone_served:  # noqa: N801 - used as a context, like the functions of contextlib
    """Serve the local world's zones on a free UDP port, for the registrar to read a zone's key."""

    def __enter__(self) -> int:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        port: int = self.socket.getsockname()[1]
        return port

    def serve(self) -> None:
        while not self.over.is_set():
            try:
                wire, caller = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            response = reply(wire, over_udp=True)
            if response is not None:
                self.socket.sendto(response, caller)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(timeout=5)
        self.socket.close()


@pytest.fixture(autouse=True)
def _own_world(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.LOCAL_WORLD = tmp_path_factory.mktemp("world") / "world.sqlite3"


@pytest.fixture
def registrar(gandi: GandiStandIn) -> Registrar:
    del gandi
    return GandiRegistrar()


class TestGandi(RegistrarContract):
    """The contract, on the stand-in; a name is ordered with our servers."""

    parked = Delegation(SERVERS)

    def delegation(self) -> Delegation:
        LocalDns().ensure_zone(NAME, owner=OURS)
        LocalDns().ensure_signed(NAME)
        return Delegation(SERVERS, LocalDns().delegation(NAME).ds)


class TestOrders:
    def test_an_order_is_waited_for_and_made_once(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        gandi.slow = 3
        for _ in range(4):
            with pytest.raises(NotYet) as waiting:
                registrar.ensure_registered(NAME, owner=OURS)
            assert waiting.value.code == "ordered"
        registrar.ensure_registered(NAME, owner=OURS)
        assert gandi.spent == 1

    def test_a_memory_that_is_lost_costs_nothing(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        gandi.slow = 3
        for _ in range(3):
            with pytest.raises(NotYet):
                registrar.ensure_registered(NAME, owner=OURS)
            cache.clear()
        settled(registrar.ensure_registered, NAME, owner=OURS)
        assert gandi.spent == 1

    def test_a_name_of_somebody_else_is_taken(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        assert refusal(registrar.ensure_registered, "pris.fr", owner=OURS) == "taken"
        gandi.names["achete.fr"] = {"fqdn": "achete.fr", "tags": [], "nameservers": [], "status": []}
        assert refusal(registrar.ensure_registered, "achete.fr", owner=OURS) == "taken"
        assert gandi.spent == 0

    def test_an_order_of_another_organization_is_taken_before_it_ends(self, registrar: Registrar) -> None:
        with pytest.raises(NotYet):
            registrar.ensure_registered(NAME, owner=THEIRS)
        assert refusal(registrar.ensure_registered, NAME, owner=OURS) == "taken"

    def test_a_mark_that_an_order_loses_is_put_back(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        gandi.keeps_tags = False
        settled(registrar.ensure_registered, NAME, owner=OURS)
        assert gandi.names[NAME]["tags"] == ["suite-organization-ours"]

    def test_without_funds_it_waits_and_goes_on_by_itself(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        gandi.funds = 0
        with pytest.raises(NotYet) as waiting:
            registrar.ensure_registered(NAME, owner=OURS)
        assert waiting.value.code == "no_funds"
        gandi.funds = 10
        settled(registrar.ensure_registered, NAME, owner=OURS)

    @pytest.mark.parametrize("fault", ["500", "drop", "drop_after", "garbage", "lie"])
    def test_whatever_happens_to_an_order_or_a_renewal_it_is_paid_once(
        self, registrar: Registrar, gandi: GandiStandIn, fault: str
    ) -> None:
        gandi.faults = [("POST", fault)]
        ended_in_time = _patient(registrar.ensure_registered, NAME, owner=OURS)
        if not ended_in_time:  # nothing was ordered: it is ordered again once the memory of it has passed
            cache.clear()
            settled(registrar.ensure_registered, NAME, owner=OURS)
        end = registrar.expires_at(NAME)
        gandi.faults = [("POST", fault)]
        if not _patient(registrar.ensure_renewed, NAME, end + timedelta(days=1)):
            cache.clear()
            settled(registrar.ensure_renewed, NAME, end + timedelta(days=1))
        assert gandi.spent == 2
        assert timedelta(days=364) < registrar.expires_at(NAME) - end < timedelta(days=367)

    def test_a_key_that_our_servers_do_not_publish_is_waited_for(self, registrar: Registrar) -> None:
        settled(registrar.ensure_registered, NAME, owner=OURS)
        with pytest.raises(NotYet) as waiting:
            registrar.ensure_delegated(NAME, Delegation(SERVERS, ("1 13 2 " + "ab" * 32,)))
        assert waiting.value.code == "keys_not_served"

    def test_an_old_key_leaves_after_the_new_one_is_there(self, registrar: Registrar, gandi: GandiStandIn) -> None:
        settled(registrar.ensure_registered, NAME, owner=OURS)
        for _ in range(2):
            LocalDns().ensure_zone(NAME, owner=OURS)
            LocalDns().ensure_signed(NAME)
            ds = LocalDns().delegation(NAME).ds
            settled(registrar.ensure_delegated, NAME, Delegation(SERVERS, ds))
            LocalDns().ensure_no_zone(NAME, owner=OURS)
        found = registrar.delegation(NAME)
        assert found == Delegation(SERVERS, ds)
        assert len(gandi.names[NAME]["keys"]) == 1

    @pytest.mark.parametrize(("fault", "code"), [("401", "denied"), ("other", "other_answer"), ("garbage", "garbage")])
    def test_a_wrong_answer_is_not_believed(
        self, registrar: Registrar, gandi: GandiStandIn, fault: str, code: str
    ) -> None:
        settled(registrar.ensure_registered, NAME, owner=OURS)
        gandi.faults = [("GET", fault)]
        with pytest.raises(Unavailable) as wrong:
            registrar.expires_at(NAME)
        assert wrong.value.code == code
        assert TOKEN not in wrong.value.note

    def test_what_is_refused_is_said(self, settings: Settings, gandi: GandiStandIn) -> None:
        settings.GANDI_HOLDER = {"orgname": "Sans adresse"}
        with pytest.raises(Refused) as refused:
            GandiRegistrar().ensure_registered(NAME, owner=OURS)
        assert (refused.value.code, gandi.spent) == ("invalid", 0)


def _patient(call: object, *args: object, **kwargs: object) -> bool:
    for _ in range(6):
        try:
            call(*args, **kwargs)  # type: ignore[operator]  # any method of a backend
        except (NotYet, Unavailable):
            continue
        return True
    return False
