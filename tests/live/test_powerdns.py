"""The contract of the DNS backends on a real PowerDNS, and what only it can show."""

from collections.abc import Iterator

import httpx
import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.powerdns import PowerDns
from onboarding.provisioning.backends.protocols import Dns
from tests.live.name_servers import PowerDnsServer, powerdns
from tests.provisioning.contracts.dns import PARENT, DnsContract

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("powerdns")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDnsServer]:
    with powerdns(tmp_path_factory.mktemp("powerdns")) as started:
        yield started


@pytest.fixture
def api(server: PowerDnsServer) -> Iterator[httpx.Client]:
    """Call as the server's administrator would, on a server without zones but the parent."""
    with httpx.Client(base_url=f"{server.url}/api/v1/servers/localhost/", headers={"X-API-Key": server.key}) as client:
        for zone in client.get("zones").json():
            client.delete(f"zones/{zone['id']}").raise_for_status()
        made = {"name": f"{PARENT}.", "kind": "Native", "nameservers": ["ns1.suite.example."]}
        client.post("zones", json=made).raise_for_status()
        yield client


@pytest.fixture
def dns(settings: Settings, server: PowerDnsServer, api: httpx.Client) -> Dns:
    del api
    settings.POWERDNS_URL, settings.POWERDNS_API_KEY = server.url, server.key
    settings.DNS_NAME_SERVERS = ["ns1.suite.example", "ns2.suite.example"]
    return PowerDns()


class TestPowerDns(DnsContract):
    """The contract, on the real server."""
