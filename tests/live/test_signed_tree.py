"""A private signed tree on a real PowerDNS: . -> fr. -> a commune's zone, built by us, validated by others.

The root and `fr` are the registry's, signed by hand; the rest is what the steps do. dnspython validates link by link,
and unbound as any resolver of the country would.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import httpx
import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.powerdns import PowerDns
from onboarding.provisioning.backends.protocols import Delegation, MailSpec
from onboarding.provisioning.records import records_for
from tests.live import chain
from tests.live.name_servers import PowerDnsServer, free_port, powerdns, program, running
from tests.provisioning.contracts.dns import OURS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("powerdns")]

PARENT = "collectivite.fr"
ZONES = (f"essai.{PARENT}", "essai-sur-loire.fr")
SPEC = MailSpec(
    mx=((10, "mx1.mail.example."),),
    spf="include:_spf.mail.example",
    dkim_selector="suite",
    dkim="v=DKIM1; k=rsa; p=" + "Ab9+/" * 80,
    aliases=(("imap", "imap.mail.example."), ("smtp", "smtp.mail.example.")),
)


@dataclass(frozen=True)
class Tree:
    """The server, what builds on it, and the DS of its root."""

    server: PowerDnsServer
    dns: PowerDns
    anchor: tuple[str, ...]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDnsServer]:
    with powerdns(tmp_path_factory.mktemp("tree")) as started:
        yield started


@pytest.fixture
def tree(settings: Settings, server: PowerDnsServer) -> Tree:
    """Make the registry's part by the API, and the communes' by the product."""
    settings.POWERDNS_URL, settings.POWERDNS_API_KEY = server.url, server.key
    settings.DNS_NAME_SERVERS = ["ns1.suite.example", "ns2.suite.example"]
    settings.TLS_REPORTS, settings.DMARC_REPORTS = "tls@suite.example", "dmarc@suite.example"
    settings.MAIL_DISCOVERY_HOST = "suite.example"
    product = PowerDns()
    with httpx.Client(base_url=f"{server.url}/api/v1/servers/localhost/", headers={"X-API-Key": server.key}) as client:
        if not client.get("zones").json():
            for zone in (".", "fr.", f"{PARENT}."):
                made = {"name": zone, "kind": "Native", "nameservers": ["ns1.suite.example."], "dnssec": True}
                client.post("zones", json=made).raise_for_status()
        (anchor,) = client.get("zones/=2E/cryptokeys").json()
    delegate(product, server, "", "fr", product.delegation("fr"))
    delegate(product, server, "fr", PARENT, product.delegation(PARENT))
    for zone in ZONES:
        product.ensure_zone(zone, owner=OURS)
        product.ensure_signed(zone)
        product.ensure_records(zone, records_for(zone, SPEC), owner=OURS)
        if zone.endswith(PARENT):
            product.ensure_delegated(PARENT, zone, product.delegation(zone), owner=OURS)
        else:
            delegate(product, server, "fr", zone, product.delegation(zone))
    for parent in ("fr", PARENT):
        product.rectify_changed(parent)
    return Tree(server, product, tuple(ds for ds in anchor["ds"] if ds.split()[2] == "2"))


def delegate(product: PowerDns, server: PowerDnsServer, parent: str, zone: str, delegation: Delegation) -> None:
    """Do what the registry does with what a registrar hands it."""
    del product
    sets = {"NS": delegation.name_servers, "DS": delegation.ds}
    changes = [
        {
            "name": f"{zone}.",
            "type": kind,
            "ttl": 60,
            "changetype": "REPLACE",
            "records": [{"content": value, "disabled": False} for value in values],
        }
        for kind, values in sets.items()
    ]
    path = f"{server.url}/api/v1/servers/localhost/zones/{f'{parent}.' if parent else '=2E'}"
    headers = {"X-API-Key": server.key}
    httpx.patch(path, json={"rrsets": changes}, headers=headers).raise_for_status()
    httpx.put(f"{path}/rectify", headers=headers).raise_for_status()


class TestValidates:
    @pytest.mark.parametrize("zone", ZONES)
    def test_from_the_root_to_every_record(self, tree: Tree, zone: str) -> None:
        ask = chain.asking(tree.server.port)
        keys, ds = chain.keys_of(ask, ".", tree.anchor), tree.anchor
        for link in ["fr", PARENT, zone] if zone.endswith(PARENT) else ["fr", zone]:
            ds = tuple(str(each) for each in chain.answered(ask, link, "DS", keys))
            keys = chain.keys_of(ask, link, ds)
        assert ds == tree.dns.delegation(zone).ds
        for record in records_for(zone, SPEC):
            if not record.name.startswith("*"):
                assert chain.answered(ask, record.name, record.type, keys)
        for name, kind in [(zone, "AAAA"), (f"_tcp.{zone}", "A")]:
            assert chain.denied(ask, name, kind, keys).rcode() == dns.rcode.NOERROR

    def test_unbound_vouches_for_it_and_for_nothing_altered(self, tree: Tree, tmp_path: Path) -> None:
        zone = ZONES[0]
        with unbound(tmp_path, tree) as resolve:
            for record in records_for(zone, SPEC):
                answer = resolve(record.name.replace("*", "nimporte"), record.type)
                # The hosts of the mail provider are not in this tree: an alias leads to a signed absence.
                code = dns.rcode.NXDOMAIN if record.type == "CNAME" else dns.rcode.NOERROR
                assert (answer.rcode(), bool(answer.answer)) == (code, True), str(record)
                assert answer.flags & dns.flags.AD, f"{record.name} {record.type} is not vouched for"
            absent = resolve(f"absente.{PARENT}", "A")
            assert (absent.rcode(), bool(absent.flags & dns.flags.AD)) == (dns.rcode.NXDOMAIN, True)
        servers = tree.dns.delegation(zone).name_servers
        wrong = Delegation(servers, (f"12345 13 2 {'ab' * 32}",))
        tree.dns.ensure_delegated(PARENT, zone, wrong, owner=OURS)
        with unbound(tmp_path / "again", tree) as resolve:
            assert resolve(zone, "MX").rcode() == dns.rcode.SERVFAIL
        tree.dns.ensure_delegated(PARENT, zone, tree.dns.delegation(zone), owner=OURS)


@contextlib.contextmanager
def unbound(folder: Path, tree: Tree) -> Iterator[chain.Ask]:
    """Run a validating resolver that trusts our root alone."""
    server, port = program("unbound"), free_port()
    folder.mkdir(exist_ok=True)
    # One server holds the whole tree: it is asked as the root, and answers from the zone nearest to the name.
    stub = f'stub-zone:\n  name: "."\n  stub-addr: 127.0.0.1@{tree.server.port}\n  stub-prime: no\n'
    anchors = "".join(f'  trust-anchor: ". DS {ds}"\n' for ds in tree.anchor)
    (folder / "unbound.conf").write_text(
        f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  do-not-query-localhost: no
  do-ip6: no
  module-config: "validator iterator"
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
{anchors}remote-control:
  control-enable: no
{stub}"""
    )

    def resolve(name: str, kind: str) -> dns.message.Message:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        return dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=10)[0]

    def ready() -> bool:
        with contextlib.suppress(OSError, dns.exception.DNSException):
            return bool(dns.query.udp(dns.message.make_query(".", "SOA"), "127.0.0.1", port=port, timeout=1).answer)
        return False

    with running([server, "-d", "-c", str(folder / "unbound.conf")], folder, ready):
        yield resolve
